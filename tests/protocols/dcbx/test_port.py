"""Which dialect a port speaks with whom, and when none counts."""

from dataclasses import replace

import pytest

from protocols.dcbx import cee
from protocols.dcbx.model import CEE_OUI, Application, CeeApplications, Control, LegacySubtype, LegacyTlv
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import Body, DcbxResult, DcbxSettings, Dialect, State
from tests.support.dcbx import FCOE, HIGH, LOW, SHARED, End, converge, key, neighbor, willing

OURS = DcbxSettings(ets=SHARED, recommended=SHARED, pfc=0b1000, apps=(FCOE,))
OTHER = bytes.fromhex("020000000c01")


def result_of(port: DcbxPort) -> DcbxResult:
    assert port.result is not None
    return port.result


def test_off() -> None:
    port = DcbxPort(None, LOW)
    port.heard(End(HIGH, OURS).said)
    assert port.result is None and port.tlvs == ()
    port.configure(OURS, LOW)
    assert result_of(port).dialect is Dialect.IEEE and port.tlvs
    port.configure(None, LOW)
    assert port.result is None and port.tlvs == ()


def test_alone() -> None:
    result = result_of(DcbxPort(willing(OURS), LOW))
    assert (result.state, result.dialect, result.reason) == (State.ALONE, Dialect.IEEE, "no neighbor speaks DCBX")
    assert (result.ets.operational, result.pfc.operational, result.app.operational) == (SHARED, 0b1000, (FCOE,))
    assert result.ets.reason == "no neighbor speaks DCBX" and not result.warnings


def test_nothing_is_said_that_is_not_to_be() -> None:
    """The peer is heard, and what would come of it is known."""
    port = DcbxPort(replace(willing(OURS), advertise=False), LOW)
    port.heard(End(HIGH, replace(OURS, pfc=0b0001)).said)
    assert port.tlvs == () and result_of(port).pfc.operational == 1 and result_of(port).heard


def test_neighbors_without_dcbx_do_not_count() -> None:
    port = DcbxPort(willing(OURS), LOW)
    port.heard(neighbor(OTHER, [(bytes.fromhex("0080c2"), 1, b"\0\1"), (bytes.fromhex("00120f"), 4, b"\5\xee")]))
    assert result_of(port).state is State.ALONE
    port.heard(End(HIGH, replace(OURS, pfc=1)).said)
    assert result_of(port).state is State.PEER and result_of(port).pfc.operational == 1


@pytest.mark.parametrize("dialect", list(Dialect))
def test_several_peers_suspend_it(dialect: Dialect) -> None:
    """None counts, in any dialect, until one is left (sheet 5.4)."""
    port = DcbxPort(replace(willing(OURS), dialect=dialect), LOW)
    peers = [End(mac, replace(OURS, dialect=dialect, pfc=1 << number)) for number, mac in enumerate((HIGH, OTHER))]
    for peer in peers:
        port.heard(peer.said)
    result = result_of(port)
    assert (result.state, result.pfc.operational, result.ets.operational) == (State.SUSPENDED, 0b1000, SHARED)
    assert any("suspended: 2 neighbors" in warning for warning in result.warnings) and result.peer is None
    port.lost(key(OTHER))
    assert result_of(port).state is State.PEER and result_of(port).peer == key(HIGH)


@pytest.mark.parametrize("dialect", [Dialect.CEE, Dialect.CIN])
def test_fall_back_and_back_again(dialect: Dialect) -> None:
    """IEEE until the peer speaks nothing else (sheet 5.1); both agree then. IEEE again when it is gone."""
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=dialect, pfc=0b0100))
    assert result_of(here.port).dialect is Dialect.IEEE
    converge(here, there)
    assert result_of(here.port).dialect is dialect and result_of(here.port).pfc.operational == 0b0100
    here.port.lost(key(HIGH))
    assert result_of(here.port).dialect is Dialect.IEEE and result_of(here.port).pfc.operational == 0b1000


def test_link_down_begins_anew() -> None:
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=Dialect.CEE))
    converge(here, there)
    here.port.clear()
    assert (result_of(here.port).dialect, result_of(here.port).state) == (Dialect.IEEE, State.ALONE)


def test_both_in_one_lldpdu() -> None:
    """IEEE wins."""
    port = DcbxPort(willing(OURS), LOW)
    both = [*End(HIGH, OURS).port.tlvs, *End(HIGH, replace(OURS, dialect=Dialect.CEE)).port.tlvs]
    port.heard(neighbor(HIGH, both))
    assert result_of(port).dialect is Dialect.IEEE


def test_a_peer_that_comes_to_speak_ieee() -> None:
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=Dialect.CEE))
    converge(here, there)
    there.port.configure(replace(OURS, dialect=Dialect.IEEE, pfc=1), HIGH)
    converge(here, there)
    assert result_of(here.port).dialect is Dialect.IEEE and result_of(here.port).pfc.operational == 1


def test_configured_dialect_stays() -> None:
    port = DcbxPort(replace(willing(OURS), dialect=Dialect.CEE), LOW)
    port.heard(End(HIGH, OURS).said)
    result = result_of(port)
    assert (result.dialect, result.pfc.operational) == (Dialect.CEE, 0b1000)
    assert "says nothing in CEE" in result.pfc.reason


def test_what_was_heard_is_kept_as_it_came() -> None:
    broken: Body = (CEE_OUI, LegacySubtype.CEE, b"\xff\xff")
    port = DcbxPort(OURS, LOW)
    port.heard(neighbor(HIGH, [broken]))
    assert result_of(port).heard == ((key(HIGH), broken),) and result_of(port).warnings


@pytest.mark.parametrize("dialect", [Dialect.CEE, Dialect.CIN])
def test_another_peer_in_place_of_the_first(dialect: Dialect) -> None:
    """Numbers are a matter of two: none of the first one's counts, also where both were there for a while."""
    settings = replace(OURS, dialect=dialect)
    here, there = End(LOW, willing(settings)), End(HIGH, settings)
    for bit in range(4):
        there.port.configure(replace(settings, pfc=1 << bit), HIGH)
        converge(here, there)
    other, nobody = End(OTHER, replace(settings, pfc=0b10000)), End(LOW, settings)
    for bit in range(2):
        other.port.configure(replace(settings, pfc=0b10000 << bit), OTHER)
        converge(other, nobody)
    here.port.heard(other.said)
    here.port.lost(key(HIGH))
    result = result_of(here.port)
    assert (result.state, result.pfc.remote, result.warnings) == (State.PEER, 0b100000, ())
    converge(here, other)
    assert result_of(here.port).pfc.operational == 0b100000


def test_more_applications_than_a_tlv_holds() -> None:
    apps = tuple(Application(1, 1, 0x9000 + number) for number in range(200))
    for dialect, unsaid in ((Dialect.IEEE, 32), (Dialect.CEE, 123), (Dialect.CIN, 32)):
        port = DcbxPort(replace(OURS, dialect=dialect, apps=apps), LOW)
        assert f"the last {unsaid} applications are not announced" in result_of(port).warnings[0]
        assert all(len(body) <= 507 for _, _, body in port.tlvs)


def test_what_cee_has_no_words_for_takes_no_room() -> None:
    """However many DSCPs there are before: all that can be said is said, and nothing is missing."""
    apps = (*(Application(1, 5, dscp) for dscp in range(64)), *(Application(1, 1, 0x9000 + n) for n in range(70)))
    port = DcbxPort(replace(OURS, dialect=Dialect.CEE, apps=apps), LOW)
    ((_, subtype, body),) = port.tlvs
    tlv = cee.decode(subtype, body)
    assert tlv is not None
    (said,) = [one for one in tlv.sub_tlvs if isinstance(one, CeeApplications)]
    assert [one.protocol for one in said.applications] == [one.protocol for one in apps[64:]]
    assert not any("not announced" in warning for warning in result_of(port).warnings)


def test_a_sequence_number_that_goes_back() -> None:
    """Named, and nothing of it is used; a peer that starts anew begins with 0 or 1."""
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=Dialect.CEE))
    for bit in range(4):
        there.port.configure(replace(OURS, dialect=Dialect.CEE, pfc=1 << bit), HIGH)
        converge(here, there)
    assert result_of(here.port).pfc.operational == 0b1000
    ((oui, subtype, body),) = there.port.tlvs
    tlv = cee.decode(subtype, body)
    assert tlv is not None

    def with_number(number: int, enable: int) -> Body:
        changed = tuple(
            replace(one, seq_no=number)
            if isinstance(one, Control)
            else replace(one, enable=enable)
            if type(one).__name__ == "LegacyPfc"
            else one
            for one in tlv.sub_tlvs
        )
        return oui, *cee.encode(LegacyTlv(tlv.subtype, changed))

    def with_acknowledgement(number: int, body: Body) -> Body:
        """A peer that has heard nothing from us yet."""
        changed = cee.decode(body[1], body[2])
        assert changed is not None
        anew = tuple(replace(one, ack_no=number) if isinstance(one, Control) else one for one in changed.sub_tlvs)
        return oui, *cee.encode(LegacyTlv(tlv.subtype, anew))

    here.port.heard(neighbor(HIGH, [with_number(2, 1)]))
    assert any("gone back" in warning for warning in result_of(here.port).warnings)
    assert result_of(here.port).pfc.operational == 0b1000
    here.port.heard(neighbor(HIGH, [with_acknowledgement(0, with_number(2, 1))]))
    assert result_of(here.port).pfc.remote == 1 and not result_of(here.port).warnings
    anew = End(HIGH, replace(OURS, dialect=Dialect.CEE, pfc=2))
    converge(here, anew)
    assert result_of(here.port).pfc.operational == 2 and not result_of(here.port).warnings
