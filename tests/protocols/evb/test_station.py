"""The station: what it says to every bridge, whether it has reflective relay, and why not."""

from dataclasses import replace

import pytest

from protocols.evb.draft import DRAFT
from protocols.evb.peers import EvbBody, NeighborKey
from protocols.evb.ratified import RATIFIED
from protocols.evb.station import EvbStation
from protocols.evb.status import EvbCapability, EvbParameters, EvbSettings, Relay

SWITCH: NeighborKey = (4, b"switch", 3, b"p1")
OTHER: NeighborKey = (4, b"other", 3, b"p1")
SETTINGS = EvbSettings((RATIFIED, DRAFT))
PLAIN: list[EvbBody] = []


def names(key: NeighborKey) -> str:
    return key[1].decode()


def ratified(octets: str) -> list[EvbBody]:
    return [(bytes.fromhex("0080c2"), 13, bytes.fromhex(octets))]


def draft(octets: str) -> list[EvbBody]:
    return [(bytes.fromhex("001b3f"), 0, bytes.fromhex(octets))]


def heard(bodies: list[EvbBody] | None, settings: EvbSettings = SETTINGS) -> EvbStation:
    evb = EvbStation(settings)
    if bodies is not None:
        evb.heard(SWITCH, bodies)
    return evb


def says(evb: EvbStation) -> str:
    oui, subtype, body = evb.tlv()
    edition = {("0080c2", 13): "ratified", ("001b3f", 0): "draft"}[oui.hex(), subtype]
    return f"{edition} {body.hex()}"


# What is heard, what is said then, and the answer.
#
# ratified octets: copy of the bridge status, RRREQ and RRSTAT, R and RTE, mode ROL RWD, ROL RKA
TABLE: dict[str, tuple[list[EvbBody] | None, str, Relay, str | None, str]] = {
    "nobody": (None, "ratified 00076e9414", Relay.UNKNOWN, None, "no neighbor has been heard on this link"),
    "ordinary LLDP": (
        PLAIN,
        "ratified 00076e9414",
        Relay.INACTIVE,
        None,
        "the neighbor speaks LLDP but not EVB",
    ),
    "a bridge that cannot": (
        ratified("0400 6e 54 14"),
        "ratified 04046e9414",
        Relay.INACTIVE,
        "ratified",
        "switch cannot do reflective relay",
    ),
    "a bridge that can": (
        ratified("0200 6e 54 14"),
        "ratified 02046e9414",
        Relay.INACTIVE,
        "ratified",
        "switch is able to do reflective relay but has not switched it on",
    ),
    "a bridge that reflects": (
        ratified("0307 6e 54 14"),
        "ratified 03056e9414",
        Relay.ACTIVE,
        "ratified",
        "reflective relay agreed with switch",
    ),
    "reserved bits and other values": (
        ratified("ffff ff 5f df"),
        "ratified ff056e9414",  # the refused exponents leave no ROL
        Relay.ACTIVE,
        "ratified",
        "reflective relay agreed with switch",
    ),
    "another station": (
        ratified("0007 6e 94 14"),
        "ratified 00076e9414",
        Relay.INACTIVE,
        None,
        "switch is an EVB station, not a bridge",
    ),
    "no usable role": (
        ratified("0300 6e 14 14"),
        "ratified 00076e9414",
        Relay.INACTIVE,
        None,
        "switch sends an EVB TLV that names no usable role",
    ),
    "a short TLV": (
        ratified("0307 6e 54"),
        "ratified 00076e9414",
        Relay.INACTIVE,
        None,
        "the neighbor speaks LLDP but not EVB",
    ),
    "draft, cannot": (
        draft("8007 8000 0000 0000 0f"),
        "draft 40048004000000000e",
        Relay.INACTIVE,
        "draft",
        "switch cannot do reflective relay",
    ),
    "draft, can": (
        draft("4007 8000 0000 0000 0f"),
        "draft 40044004000000000e",
        Relay.INACTIVE,
        "draft",
        "switch is able to do reflective relay but has not switched it on",
    ),
    "draft, says so to anybody": (
        draft("4007 4000 0000 0000 0f"),
        "draft 40044004000000000e",
        Relay.INACTIVE,
        "draft",
        "switch has not heard this station yet",
    ),
    "draft, has heard us": (
        draft("4007 4004 0000 0000 0f"),
        "draft 40044004000000000e",
        Relay.ACTIVE,
        "draft",
        "reflective relay agreed with switch",
    ),
    "draft, both modes": (
        draft("c007 c007 0cdf 0000 0f"),
        "draft 40044004000000000e",
        Relay.ACTIVE,
        "draft",
        "reflective relay agreed with switch",
    ),
    "draft, nothing in common": (
        draft("4001 4000 0000 0000 0f"),
        "draft 40044000000000000e",
        Relay.ACTIVE,
        "draft",
        "reflective relay agreed with switch",
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_is_said_and_answered(case: str) -> None:
    bodies, words, relay, edition, reason = TABLE[case]
    evb = heard(bodies)
    assert says(evb) == words
    forwarding = evb.forwarding(bodies is not None, names)
    assert (forwarding.relay, forwarding.edition, forwarding.reason) == (relay, edition, reason)
    assert evb.operational.reflective_relay is evb.relay_active is (relay is Relay.ACTIVE)


@pytest.mark.parametrize("case", TABLE)
def test_after_the_loss_it_says_what_it_said_first(case: str) -> None:
    bodies, *_ = TABLE[case]
    first = says(EvbStation(SETTINGS))
    for forget in (lambda evb: evb.lost(SWITCH), EvbStation.clear, lambda evb: evb.heard(SWITCH, PLAIN)):
        evb = heard(bodies)
        forget(evb)
        assert says(evb) == first and not evb.relay_active


@pytest.mark.parametrize(
    ("bodies", "words"),
    [
        (None, "ratified 00036e9414"),
        (ratified("0200 6e 54 14"), "ratified 02006e9414"),
        (ratified("0307 6e 54 14"), "ratified 03016e9414"),
        (draft("c007 4007 0000 0000 0f"), "draft 80048004000000000e"),
    ],
)
def test_a_station_that_does_not_ask_has_it_from_nobody(bodies: list[EvbBody] | None, words: str) -> None:
    evb = heard(bodies, replace(SETTINGS, reflective_relay=False))
    assert says(evb) == words
    assert not evb.relay_active
    if bodies:
        assert evb.forwarding(True, names).reason == "reflective relay is not asked for (configuration)"


def test_asking_and_not_asking_takes_effect_with_the_settings() -> None:
    evb = heard(ratified("0307 6e 54 14"))
    assert evb.relay_active
    evb.configure(replace(SETTINGS, reflective_relay=False))
    assert not evb.relay_active and says(evb) == "ratified 03016e9414"
    evb.configure(SETTINGS)
    assert evb.relay_active


def test_editions_that_are_not_accepted() -> None:
    assert not heard(ratified("0307 6e 54 14"), EvbSettings((DRAFT,))).relay_active
    evb = heard(draft("4007 4004 0000 0000 0f"), EvbSettings((RATIFIED,)))
    assert not evb.relay_active and evb.edition is RATIFIED
    evb = heard(draft("4007 4004 0000 0000 0f"))
    evb.configure(EvbSettings((RATIFIED,)))
    assert not evb.relay_active and evb.edition is RATIFIED


def test_parameters_and_group_ids() -> None:
    own = EvbParameters(retries=7, rte=1, rwd=2, rka=27, group_ids=True)
    evb = heard(ratified("0707 6e 54 14"), EvbSettings((RATIFIED,), parameters=own))
    assert says(evb) == "ratified 070d" + "e1" + "a2" + "1b"  # RWD 20 is the bridge's: ROL with our own 2
    found = evb.operational
    assert (found.retries, found.rte, found.rwd, found.rka, found.group_ids) == (7, 14, 20, 27, True)


def test_draft_capabilities_that_are_agreed_on() -> None:
    both = EvbParameters(capabilities=EvbCapability.RTE | EvbCapability.VDP)
    evb = heard(draft("4003 4001 0000 0000 0f"), EvbSettings((DRAFT,), parameters=both))
    assert says(evb) == "draft 40054001000000000e" and evb.relay_active


def test_two_bridges_are_none() -> None:
    evb = heard(ratified("0307 6e 54 14"))
    evb.heard(OTHER, ratified("0200 6e 54 14"))
    assert not evb.relay_active and says(evb) == "ratified 00076e9414"
    forwarding = evb.forwarding(True, names)
    assert (forwarding.relay, forwarding.reason) == (
        Relay.INACTIVE,
        "2 systems claim to be the bridge: other, switch",
    )
    assert evb.warnings(names) == ["2 systems claim to be the bridge: other, switch"]
    evb.lost(OTHER)
    assert evb.relay_active and evb.warnings(names) == []


def test_of_a_crowd_the_first_four_are_named() -> None:
    evb = EvbStation(SETTINGS)
    for number in range(9):
        evb.heard((4, b"sw%d" % number, 3, b"p"), ratified("0307 6e 54 14"))
    assert evb.warnings(names) == ["9 systems claim to be the bridge: sw0, sw1, sw2, sw3, ..."]


def test_another_station_is_a_warning_only_while_there_is_no_bridge() -> None:
    """With the bridge there, the other may be overheard through it: a Linux bridge without STP forwards this scope."""
    evb = heard(ratified("0007 6e 94 14"))
    assert evb.warnings(names) == ["role conflict: switch is an EVB station too"]
    evb.heard(OTHER, ratified("0307 6e 54 14"))
    assert evb.relay_active and evb.warnings(names) == []


def test_refused_exponents_are_a_warning() -> None:
    evb = heard(ratified("0307 7c 54 1f"))
    assert evb.relay_active
    assert evb.warnings(names) == ["switch proposes RTE=28, RKA=31, above the greatest usable 27: refused"]


def test_what_only_repeats_the_bridge_is_no_word_of_our_own() -> None:
    evb = heard(ratified("0200 6e 54 14"))
    words, said = evb.own_words(), says(evb)
    evb.heard(SWITCH, ratified("0600 6e 54 14"))  # GroupIDs
    assert evb.own_words() == words and says(evb) != said
    evb.heard(SWITCH, ratified("0300 6e 54 14"))  # relay control: RRSTAT is our own
    assert evb.own_words() != words
