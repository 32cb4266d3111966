"""One port's stack: what it takes from the wire, what each request brings about, and in which order."""

from dataclasses import replace

import pytest

from protocols.evb.bridge import WITHDRAWAL_GRACE, SetRelay
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Relay, Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.mib import RemoteAdded, RemoteRemoved, RemovalReason, TooManyNeighbors
from protocols.lldp.tlvs import ChassisId, OptionalTlv, OrganizationalTlv, PortId, SystemName
from protocols.lldp.tx import TxSettings
from protocols.port import (
    Configure,
    Effect,
    ForwardingChanged,
    Indicate,
    LinkState,
    NeighborEvent,
    NewSettings,
    PortSettings,
    RelayAble,
    RelaySet,
    SendFrame,
    Shutdown,
    WarningsChanged,
)
from protocols.stack import PortStack
from protocols.timers import SECOND
from tests.support.lldpdus import NEAREST_BRIDGE, NEAREST_CUSTOMER_BRIDGE, NEAREST_NON_TPMR_BRIDGE, tlv
from tests.support.wire import (
    BRIDGE_MAC,
    OTHER_MAC,
    STATION_MAC,
    captured,
    draft,
    edition_of,
    evb_octets,
    frame,
    lldpdu,
    port_settings,
    ratified,
    tlvs_of,
    ttl_of,
)

NOW = 100 * SECOND
EVERYWHERE = dict.fromkeys(Scope, AdminStatus.TX_AND_RX)
REFLECTS = ratified("0305 6e 54 14")
IS_ABLE = ratified("0200 6e 54 14")
ASKS = ratified("0007 6e 94 14")
COUNTS_ON_IT = ratified("0305 6e 94 14")
HAS_NONE = ratified("0204 6e 94 14")


def stack(role: Role = Role.STATION, up: bool = True, **changes: object) -> PortStack:
    mac = STATION_MAC if role is Role.STATION else BRIDGE_MAC
    made = PortStack(role, port_settings(mac, **changes), lambda: 1)  # type: ignore[arg-type]
    if role is Role.BRIDGE:
        made.request(RelayAble(True), NOW)
    if up:
        made.request(LinkState(True), NOW)
    return made


def settings(of: PortStack, **changes: object) -> NewSettings:
    return NewSettings(replace(of.settings, **changes))  # type: ignore[arg-type]


def evb_settings(of: PortStack, **changes: object) -> NewSettings:
    return settings(of, evb=replace(of.settings.evb, **changes))  # type: ignore[arg-type]


def words(effects: list[Effect]) -> list[str]:
    """Effects in short: `relay on`, `+`, `-`, `~`, `crowd`, `active`, `warnings 1`, `frame`, `goodbye`."""
    found = []
    for effect in effects:
        match effect:
            case SendFrame(data):
                found.append("frame" if ttl_of(data) else "goodbye")
            case Configure(SetRelay(on)):
                found.append(f"relay {'on' if on else 'off'}")
            case Indicate(ForwardingChanged(_, new)):
                found.append(str(new.relay))
            case Indicate(WarningsChanged(warnings)):
                found.append(f"warnings {len(warnings)}")
            case Indicate(NeighborEvent(_, change)):
                found.append(
                    {"RemoteAdded": "+", "RemoteUpdated": "~", "RemoteRemoved": "-"}.get(type(change).__name__, "crowd")
                )
    return found


def sent(effects: list[Effect]) -> list[bytes]:
    return [effect.data for effect in effects if isinstance(effect, SendFrame)]


def answered(of: PortStack, effects: list[Effect], now: int = NOW, error: str | None = None) -> list[Effect]:
    """The effects with the port switched as asked, in the driver's order."""
    effects = list(effects)
    for effect in effects:
        if isinstance(effect, Configure):
            on = effect.setting.on if error is None else not effect.setting.on
            effects += of.request(RelaySet(on, error), now)
    return effects


# From the wire.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        NEAREST_CUSTOMER_BRIDGE,
        NEAREST_CUSTOMER_BRIDGE + BRIDGE_MAC,
        NEAREST_CUSTOMER_BRIDGE + BRIDGE_MAC + b"\x88",
        frame(BRIDGE_MAC, to=bytes.fromhex("0180c2000001")),
        frame(BRIDGE_MAC, to=STATION_MAC),
        frame(BRIDGE_MAC, to=b"\xff" * 6),
        frame(BRIDGE_MAC).replace(b"\x88\xcc", b"\x88\xcd", 1),
        NEAREST_CUSTOMER_BRIDGE + BRIDGE_MAC + bytes.fromhex("81000064") + frame(BRIDGE_MAC)[12:],
        NEAREST_CUSTOMER_BRIDGE + BRIDGE_MAC + bytes.fromhex("88a80064") + frame(BRIDGE_MAC)[12:],
    ],
)
def test_frames_that_are_none_of_ours(data: bytes) -> None:
    port = stack()
    assert port.receive(data, NOW) == [] and port.ignored_frames == 1
    assert all(agent.rx.statistics.total == 0 for agent in port.agents.values())


def test_a_frame_with_our_own_address_is_counted_and_nobody() -> None:
    port = stack()
    assert port.receive(frame(STATION_MAC, REFLECTS), NOW) == []
    statistics = port.agents[Scope.NEAREST_CUSTOMER_BRIDGE].rx.statistics
    assert (statistics.own, statistics.total, port.ignored_frames) == (1, 0, 0)


def test_a_bare_header_is_a_bad_frame() -> None:
    port = stack()
    assert port.receive(NEAREST_CUSTOMER_BRIDGE + BRIDGE_MAC + b"\x88\xcc", NOW) == []
    statistics = port.agents[Scope.NEAREST_CUSTOMER_BRIDGE].rx.statistics
    assert (statistics.total, statistics.discarded, statistics.errors) == (1, 1, 1)


def test_a_jumbo_frame_is_a_frame() -> None:
    port = stack()
    filler = tlv(127, bytes.fromhex("334455") + bytes(500))
    assert "+" in words(port.receive(frame(BRIDGE_MAC, REFLECTS, *[filler] * 17), NOW))
    assert port.forwarding.relay is Relay.ACTIVE


@pytest.mark.parametrize("scope", Scope)
def test_each_scope_is_an_agent_of_its_own(scope: Scope) -> None:
    port = stack(admin_status=EVERYWHERE)
    effects = port.receive(frame(BRIDGE_MAC, REFLECTS, to=scope.address), NOW)
    assert {
        effect.event.scope
        for effect in effects
        if isinstance(effect, Indicate) and isinstance(effect.event, NeighborEvent)
    } == {scope}
    assert {len(agent.rx.remotes) for other, agent in port.agents.items() if other is not scope} == {0}
    expected = Relay.ACTIVE if scope is Scope.NEAREST_CUSTOMER_BRIDGE else Relay.INACTIVE
    assert port.forwarding.relay is expected, "EVB lives in the nearest customer bridge scope"
    assert {data[:6] for data in sent(effects)} == {scope.address}


def test_the_evb_tlv_goes_out_in_its_scope_alone() -> None:
    port = stack(up=False, admin_status=EVERYWHERE, optional=(SystemName(b"host"),))
    frames = sent(port.request(LinkState(True), NOW))
    assert {data[:6]: edition_of(data) for data in frames} == {
        NEAREST_BRIDGE: "",
        NEAREST_NON_TPMR_BRIDGE: "",
        NEAREST_CUSTOMER_BRIDGE: "ratified",
    }
    assert all((5, b"host") in tlvs_of(data) for data in frames)


def test_the_first_frame_as_octets() -> None:
    """Chassis, port, TTL 121, EVB (9 octets: RRREQ, RRSTAT unknown, R 3 RTE 14, station, RWD 20, RKA 20), End."""
    port = stack(up=False)
    assert sent(port.request(LinkState(True), NOW)) == [
        bytes.fromhex(
            "0180c2000000 02000000000a 88cc 0207 04 02000000000a 0407 03 02000000000a 0602 0079"
            "fe09 0080c2 0d 00 07 6e 94 14 0000 0000000000000000000000"
        )
    ]


# What each input brings about, in the driver's order.


def test_a_station_hears_a_bridge() -> None:
    port = stack()
    assert words(port.receive(frame(BRIDGE_MAC, IS_ABLE), NOW)) == ["+", "inactive", "frame"]
    assert words(port.receive(frame(BRIDGE_MAC, IS_ABLE), NOW)) == []
    assert words(port.receive(frame(BRIDGE_MAC, REFLECTS), NOW)) == ["~", "frame", "active"]
    assert words(port.receive(frame(BRIDGE_MAC, ttl=0), NOW)) == ["-", "unknown", "frame"]


def test_a_bridge_sets_the_port_first_and_tells_its_peer_of_an_agreement_before_people() -> None:
    port = stack(Role.BRIDGE)
    first = port.receive(frame(STATION_MAC, ASKS), NOW)
    assert words(first) == ["relay on", "+"]
    assert words(port.request(RelaySet(True), NOW)) == ["frame", "active"]
    gone = port.receive(frame(STATION_MAC, ttl=0), NOW)
    assert words(gone) == ["relay off", "-"]
    assert words(port.request(RelaySet(False), NOW)) == ["unknown", "frame"]


def test_a_port_that_refuses() -> None:
    port = stack(Role.BRIDGE)
    port.receive(frame(STATION_MAC, ASKS), NOW)
    effects = port.request(RelaySet(False, "Operation not permitted"), NOW)
    assert words(effects) == ["inactive", "warnings 1", "frame"]
    assert evb_octets(sent(effects)[0])[:2] == "02"


def test_echoes_do_not_make_frames() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, ASKS), NOW))
    effects = port.receive(frame(STATION_MAC, COUNTS_ON_IT), NOW)
    assert words(effects) == ["~"]
    assert port.next_deadline() == NOW + SECOND
    (data,) = sent(port.advance(NOW + SECOND))
    assert evb_octets(data)[2:4] == "05", "the copy of the station's octet goes with the next frame"


def test_a_known_peer_that_has_forgotten_us_is_answered_at_once() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, ASKS), NOW))
    answered(port, port.receive(frame(STATION_MAC, COUNTS_ON_IT), NOW))
    answered(port, port.advance(NOW + SECOND))
    effects = port.receive(frame(STATION_MAC, ASKS), NOW + 10 * SECOND)
    assert words(effects) == ["~", "frame"], "it restarted within its TTL: RRSTAT is unknown again"
    assert evb_octets(sent(effects)[0]).startswith("0307")


def test_link_up_and_down_of_a_station() -> None:
    port = stack(up=False)
    assert port.forwarding.reason == "the link is down"
    assert words(port.request(LinkState(True), NOW)) == ["unknown", "frame"]
    port.receive(frame(BRIDGE_MAC, REFLECTS), NOW)
    assert words(port.request(LinkState(False), NOW)) == ["unknown"]
    assert port.forwarding.reason == "the link is down"
    assert words(port.request(LinkState(False), NOW)) == []
    up = port.request(LinkState(True), NOW)
    assert words(up) == ["-", "unknown", "frame"] and evb_octets(sent(up)[0]).startswith("0007")


def test_link_down_of_a_bridge_stops_the_reflection() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, ASKS), NOW))
    down = answered(port, port.request(LinkState(False), NOW))
    assert words(down) == ["relay off", "unknown"]
    up = port.request(LinkState(True), NOW)
    assert words(up)[0] == "-" and evb_octets(sent(up)[0]).startswith("0200")


def test_a_neighbor_that_ages_out_while_the_link_is_down() -> None:
    port = stack()
    port.receive(frame(BRIDGE_MAC, REFLECTS, ttl=10), NOW)
    port.request(LinkState(False), NOW)
    assert words(port.advance(NOW + 10 * SECOND)) == ["-"]
    assert port.forwarding.reason == "the link is down"


def test_a_neighbor_that_ages_out() -> None:
    port = stack()
    port.receive(frame(BRIDGE_MAC, REFLECTS, ttl=10), NOW)
    effects = port.advance(NOW + 10 * SECOND)
    (event,) = [e.event for e in effects if isinstance(e, Indicate) and isinstance(e.event, NeighborEvent)]
    assert isinstance(event.change, RemoteRemoved) and event.change.reason is RemovalReason.AGED_OUT
    assert words(effects) == ["-", "unknown", "frame"]
    assert port.describe(event.change.remote.pdu.msap) == "a former neighbor"


def test_an_ageing_station_takes_the_reflection_along() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, ASKS, ttl=10), NOW))
    effects = answered(port, port.advance(NOW + 10 * SECOND), NOW + 10 * SECOND)
    assert words(effects) == ["relay off", "-", "unknown", "frame"]


def test_no_two_bridges_reflect_on_one_segment() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, COUNTS_ON_IT), NOW))
    effects = answered(port, port.receive(frame(BRIDGE_MAC[:5] + b"\xbb", REFLECTS), NOW))
    assert words(effects) == ["relay off", "+", "inactive", "frame"], "a loop is not left for a grace"
    assert "make a loop" in port.forwarding.reason
    assert evb_octets(sent(effects)[0]).startswith("02")
    effects = answered(port, port.receive(frame(BRIDGE_MAC[:5] + b"\xbb", ttl=0), NOW))
    assert words(effects)[0] == "relay on"


def test_the_grace_of_a_withdrawal_is_a_deadline_of_the_stack() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, COUNTS_ON_IT), NOW))
    assert words(port.request(evb_settings(port, reflective_relay=False), NOW)) == ["inactive", "frame"]
    assert words(answered(port, port.advance(NOW + WITHDRAWAL_GRACE - 1))) == ["frame"], "fast start goes on"
    assert port.next_deadline() == NOW + WITHDRAWAL_GRACE
    over = answered(port, port.advance(NOW + WITHDRAWAL_GRACE), NOW + WITHDRAWAL_GRACE)
    assert words(over) == ["relay off"]


def test_a_grace_that_ends_with_a_neighbor() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, COUNTS_ON_IT, ttl=10), NOW))
    withdrawn = NOW + 10 * SECOND - WITHDRAWAL_GRACE
    port.request(evb_settings(port, reflective_relay=False), withdrawn)
    end = NOW + 10 * SECOND
    effects = answered(port, port.advance(end), end)
    assert words(effects) == ["relay off", "-", "unknown", "frame"]


def test_ability_and_news_of_the_port_mean_nothing_to_a_station() -> None:
    port = stack()
    assert port.request(RelayAble(True), NOW) == port.request(RelaySet(True), NOW) == []


def test_a_port_that_leaves_its_bridge() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, COUNTS_ON_IT), NOW))
    effects = port.request(RelayAble(False, "it is not a port of a bridge"), NOW)
    assert words(effects) == ["inactive", "frame"] and evb_octets(sent(effects)[0]).startswith("00")
    assert port.forwarding.reason == "this port cannot reflect: it is not a port of a bridge"
    joined = answered(port, port.request(RelayAble(True), NOW + 1), NOW + 1)
    assert words(joined) == ["relay on", "frame", "active"]


def test_somebody_else_switches_the_port_back() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, COUNTS_ON_IT), NOW))
    effects = port.request(RelaySet(False, "cleared by somebody else"), NOW)
    assert words(effects) == ["inactive", "warnings 1", "frame"]


# New settings.


def test_the_same_settings_again_are_no_news() -> None:
    for role in Role:
        port = stack(role)
        assert port.request(NewSettings(port.settings), NOW) == []


def test_another_mac_address_says_goodbye_for_the_old_one() -> None:
    port = stack()
    changed = settings(port, mac_address=OTHER_MAC, chassis_id=ChassisId(4, OTHER_MAC), port_id=PortId(3, OTHER_MAC))
    frames = sent(port.request(changed, NOW))
    assert [ttl_of(data) for data in frames] == [0, 121]
    assert [dict(tlvs_of(data))[2][1:] for data in frames] == [STATION_MAC, OTHER_MAC]
    assert port.receive(frame(OTHER_MAC), NOW) == []


def test_other_optional_tlvs_are_announced_in_every_scope() -> None:
    port = stack(admin_status=EVERYWHERE)
    frames = sent(port.request(settings(port, optional=dict.fromkeys(Scope, (SystemName(b"renamed"),))), NOW))
    assert len(frames) == 3 and all((5, b"renamed") in tlvs_of(data) for data in frames)


def test_each_scope_says_what_it_is_told_to_and_at_once() -> None:
    """What changes in one scope is no news in the others, which stay silent."""
    port = stack(up=False, admin_status=EVERYWHERE)
    said = {Scope.NEAREST_BRIDGE: (SystemName(b"near"),), Scope.NEAREST_CUSTOMER_BRIDGE: (SystemName(b"far"),)}
    port.request(settings(port, optional=said), NOW)
    names = {data[:6]: dict(tlvs_of(data)).get(5) for data in sent(port.request(LinkState(True), NOW))}
    assert names == {NEAREST_BRIDGE: b"near", NEAREST_NON_TPMR_BRIDGE: None, NEAREST_CUSTOMER_BRIDGE: b"far"}
    (data,) = sent(port.request(settings(port, optional=said | {Scope.NEAREST_BRIDGE: (SystemName(b"new"),)}), NOW))
    assert (data[:6], dict(tlvs_of(data))[5]) == (NEAREST_BRIDGE, b"new")
    assert sent(port.request(settings(port), NOW)) == []


def test_only_what_nobody_reads_is_unrecognized() -> None:
    port = stack()
    known = ("0080c20101", "00120f0405ee", "0012bb01002103", "0080c20900", "001b210200", "f8b15615")
    unknown = ("0080c20f", "0012bb0c", "3344550100", "00400d01")  # the last by its name alone
    tlvs = [tlv(127, bytes.fromhex(octets)) for octets in (*known, *unknown)]
    port.receive(frame(BRIDGE_MAC, REFLECTS, *tlvs), NOW)
    statistics = port.agents[Scope.NEAREST_CUSTOMER_BRIDGE].rx.statistics
    assert (statistics.total, statistics.tlvs_discarded) == (1, 0)
    assert statistics.tlvs_unrecognized == len(unknown)


def test_what_is_wrong_with_settings_is_a_warning() -> None:
    port = stack()
    port.request(settings(port, warnings=("no room",)), NOW)
    assert port.warnings == ("no room",)
    assert port.request(settings(port, warnings=()), NOW) == [Indicate(WarningsChanged(()))]


def test_another_admin_status() -> None:
    port = stack()
    port.receive(frame(BRIDGE_MAC, REFLECTS), NOW)
    off = port.request(settings(port, admin_status={}), NOW)
    assert words(off) == ["-", "unknown", "goodbye"]
    assert port.receive(frame(BRIDGE_MAC, REFLECTS), NOW) == []
    on = port.request(settings(port, admin_status={Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.RX_ONLY}), NOW)
    assert words(on) == []
    assert words(port.receive(frame(BRIDGE_MAC, REFLECTS), NOW)) == ["+", "active"]


def test_another_ttl_and_another_limit() -> None:
    port = stack(max_neighbors=1)
    port.receive(frame(BRIDGE_MAC), NOW)
    assert words(port.receive(frame(OTHER_MAC), NOW)) == ["crowd", "warnings 1"]
    effects = port.request(settings(port, tx=TxSettings(msg_tx_hold=2), max_neighbors=2), NOW)
    assert [ttl_of(data) for data in sent(effects)] == [61]
    assert words(port.receive(frame(OTHER_MAC), NOW))[0] == "+"


@pytest.mark.parametrize(("before", "after"), [((RATIFIED,), (RATIFIED, DRAFT)), ((RATIFIED,), (DRAFT,))])
def test_another_edition_counts_for_what_was_heard_already(before: object, after: object) -> None:
    """The switch has said its draft TLV and has no reason to say anything new."""
    port = stack(editions=before)
    switch = frame(BRIDGE_MAC, draft("4007 4004 0000 0000 0f"))
    port.receive(switch, NOW)
    effects = port.request(evb_settings(port, editions=after), NOW)
    assert port.forwarding.relay is Relay.ACTIVE and port.forwarding.edition == "draft"
    assert [edition_of(data) for data in sent(effects)] == ["draft"]
    assert port.receive(switch, NOW) == []


def test_an_edition_that_is_not_accepted_any_more_is_as_if_it_were_not_spoken() -> None:
    port = stack()
    port.receive(frame(BRIDGE_MAC, draft("4007 4004 0000 0000 0f")), NOW)
    effects = port.request(evb_settings(port, editions=(RATIFIED,)), NOW)
    assert port.forwarding.reason == "the neighbor speaks LLDP but not EVB"
    assert [edition_of(data) for data in sent(effects)] == ["ratified"]


def test_another_edition_while_the_link_is_down_hears_nobody() -> None:
    port = stack(Role.BRIDGE, editions=(DRAFT,))
    port.receive(frame(STATION_MAC, ASKS), NOW)
    port.request(LinkState(False), NOW)
    assert port.request(evb_settings(port, editions=(RATIFIED,)), NOW) == []


# The end.


def test_the_end_of_a_station() -> None:
    port = stack(admin_status=EVERYWHERE)
    port.receive(frame(BRIDGE_MAC, REFLECTS), NOW)
    effects = port.request(Shutdown(), NOW)
    assert words(effects) == ["unknown"] + ["goodbye"] * 3
    assert port.forwarding.reason == "the agent is ending"
    assert [len(tlvs_of(data)) for data in sent(effects)] == [3, 3, 3]
    assert port.receive(frame(BRIDGE_MAC, REFLECTS), NOW) == []


def test_the_end_of_a_bridge_people_neighbors_port() -> None:
    port = stack(Role.BRIDGE)
    answered(port, port.receive(frame(STATION_MAC, COUNTS_ON_IT), NOW))
    effects = answered(port, port.request(Shutdown(), NOW))
    assert words(effects) == ["unknown", "goodbye", "relay off"]


def test_the_end_of_a_port_that_is_down() -> None:
    for role in Role:
        assert words(stack(role, up=False).request(Shutdown(), NOW)) == ["unknown"]


# Words for people.


def test_how_a_neighbor_is_named() -> None:
    port = stack()
    (effect, *_) = port.receive(frame(BRIDGE_MAC, tlv(5, b"top-of-rack")), NOW)
    assert isinstance(effect, Indicate) and isinstance(effect.event, NeighborEvent)
    assert isinstance(effect.event.change, RemoteAdded)
    msap = effect.event.change.remote.pdu.msap
    assert port.describe(msap) == "top-of-rack (02:00:00:00:00:0b)"
    port.receive(frame(BRIDGE_MAC), NOW)
    assert port.describe(msap) == "02:00:00:00:00:0b"
    port.receive(frame(BRIDGE_MAC, tlv(5, "\x1b[2Jsw\u202e".encode() + b"\xff")), NOW)
    assert port.describe(msap) == r"\x1b[2Jsw\u202e\xff (02:00:00:00:00:0b)"


def test_the_crowd_is_a_warning_until_it_has_left() -> None:
    port = stack(max_neighbors=2)
    for number in range(5):
        port.receive(frame(BRIDGE_MAC[:5] + bytes([100 + number]), ttl=20), NOW)
    assert port.warnings == (
        "too many neighbors in scope nearest-customer-bridge: those that were there first are kept, others are not",
    )
    effects = port.advance(NOW + 20 * SECOND)
    assert port.warnings == () and words(effects).count("crowd") == 1
    assert TooManyNeighbors(False) in [
        e.event.change for e in effects if isinstance(e, Indicate) and isinstance(e.event, NeighborEvent)
    ]


def test_the_evb_tlv_is_the_last_to_go_when_an_lldpdu_is_too_long() -> None:
    long: tuple[OptionalTlv, ...] = tuple(OrganizationalTlv(b"\x33\x44\x55", n, bytes(500)) for n in range(4))
    port = stack(up=False, optional=long)
    (data,) = sent(port.request(LinkState(True), NOW))
    assert evb_octets(data) and len(data) - 14 <= 1500 and len(tlvs_of(data)) == 3 + 1 + 2


# Every truncation and single-byte change of every known frame.

KNOWN = {
    "ratified bridge": frame(OTHER_MAC, REFLECTS),
    "draft bridge": frame(OTHER_MAC, draft("4007 4004 0000 0000 0f")),
    "shutdown": frame(OTHER_MAC, ttl=0),
    "everything": frame(
        OTHER_MAC,
        tlv(4, b"port"),
        tlv(5, b"name"),
        tlv(6, b"description"),
        tlv(7, bytes.fromhex("00040004")),
        tlv(8, bytes.fromhex("0501c0000201020000000300")),
        tlv(8, bytes.fromhex("110220010db80000000000000000000000010200000003032b0601")),
        tlv(9, b"reserved"),
        tlv(127, bytes.fromhex("00120f0100000000")),
        REFLECTS,
        draft("4007 4004 0000 0000 0f"),
    ),
}


def changed(data: bytes) -> list[bytes]:
    """Every truncation, every octet with bits flipped (of many octets: some) and with whole values, one at a time."""
    found = [data[:length] for length in range(len(data))]
    for position, octet in enumerate(data):
        values = {octet ^ 1 << bit for bit in (range(8) if len(data) < 100 else (0, 7))} | {0x00, 0xFF}
        found += [data[:position] + bytes([value]) + data[position + 1 :] for value in values]
    return found


@pytest.mark.parametrize(
    ("name", "role"), [(name, role) for name in KNOWN for role in Role if (name, role) != ("everything", Role.BRIDGE)]
)
def test_every_changed_frame_is_taken_or_counted(name: str, role: Role) -> None:
    port = stack(role, admin_status=EVERYWHERE)
    frames = changed(KNOWN[name])
    for data in frames:
        answered(port, port.receive(data, NOW))
    statistics = [agent.rx.statistics for agent in port.agents.values()]
    assert port.ignored_frames + sum(s.total for s in statistics) + sum(s.own for s in statistics) >= len(frames)
    inserted = sum(agent.rx.remotes.statistics.inserts for agent in port.agents.values())
    assert inserted and sum(s.discarded for s in statistics)
    due = port.next_deadline()
    assert due is not None
    answered(port, port.advance(NOW + 65535 * SECOND), NOW + 65535 * SECOND)
    assert sum(len(agent.rx.remotes) for agent in port.agents.values()) == 0


@pytest.mark.parametrize(
    "name",
    [
        "lldpad-evb22-negotiate-shutdown.pcap",
        "lldpad-evb22-ratchet.pcap",
        "lldpad-three-agents.pcap",
        "lldpad-both-versions.pcap",
        "lldpd-full.pcap",
        "lldpd-dot1-dot3-custom.pcap",
    ],
)
def test_other_peoples_captures(name: str) -> None:
    port = stack(Role.BRIDGE, admin_status=EVERYWHERE)
    taken = 0
    for time, data in captured(name):
        answered(port, port.receive(data, NOW + time), NOW + time)
        taken += data[12:14] == b"\x88\xcc"
    statistics = [agent.rx.statistics for agent in port.agents.values()]
    assert sum(s.total + s.own for s in statistics) == taken > 10
    assert sum(s.discarded for s in statistics) == 0


def test_the_octets_of_a_frame_by_scapy() -> None:
    """What somebody else's codec reads in our LLDPDU."""
    lldp = pytest.importorskip("scapy.contrib.lldp")
    port = stack(up=False, optional=(SystemName(b"host"),))
    (data,) = sent(port.request(LinkState(True), NOW))
    read = lldp.LLDPDU(data[14:])
    assert read[lldp.LLDPDUChassisID].id == read[lldp.LLDPDUPortID].id == "02:00:00:00:00:0a"
    assert read[lldp.LLDPDUTimeToLive].ttl == 121
    assert read[lldp.LLDPDUSystemName].system_name == b"host"
    evb = read[lldp.LLDPDUGenericOrganisationSpecific]
    assert (evb.org_code, evb.subtype, evb.data.hex()) == (0x0080C2, 13, "00076e9414")


def test_next_deadline_and_advance_early_late_and_twice() -> None:
    for role in Role:
        port = PortStack(role, port_settings(STATION_MAC, admin_status=EVERYWHERE), lambda: 1)
        assert port.next_deadline() is None and port.advance(NOW) == []
        port.request(LinkState(True), NOW)
        assert port.advance(NOW) == []
        assert words(port.advance(NOW + 1000 * SECOND)) == ["frame"] * 3
        assert port.advance(NOW + 1000 * SECOND) == []
        due = port.next_deadline()
        assert due is not None and due > NOW + 1000 * SECOND


def test_settings_are_values() -> None:
    assert port_settings(STATION_MAC) == port_settings(STATION_MAC) != port_settings(BRIDGE_MAC)
    assert isinstance(stack().settings, PortSettings)
    assert lldpdu(STATION_MAC) in frame(STATION_MAC)
