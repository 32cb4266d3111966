"""DCBX in a port's stack: octets from the wire on one side, and what the port says and tells on the other."""

from dataclasses import replace

import pytest

from protocols.dcbx.model import Application
from protocols.dcbx.settings import DcbxResult, DcbxSettings, State, Tables
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.tlvs import OptionalTlv, OrganizationalTlv, SystemName
from protocols.port import (
    DcbxChanged,
    Effect,
    Indicate,
    LinkState,
    NewSettings,
    RelayAble,
    SendFrame,
    Shutdown,
    WarningsChanged,
)
from protocols.stack import PortStack
from protocols.timers import SECOND
from tests.support.dcbx import FCOE, OTHERS, willing
from tests.support.lldpdus import NEAREST_BRIDGE, NEAREST_CUSTOMER_BRIDGE, tlv
from tests.support.wire import BRIDGE_MAC, OTHER_MAC, STATION_MAC, frame, port_settings, tlvs_of

NOW = 100 * SECOND
BOTH = {Scope.NEAREST_BRIDGE: AdminStatus.TX_AND_RX, Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX}
OURS = willing(DcbxSettings(ets=OTHERS, pfc=0b0001))

# Of the annotated examples of sheet `dcbx.md`: what is after OUI and subtype.
ETS_CONFIGURATION = tlv(127, bytes.fromhex("0080c209 00 00010002 283c000000000000 0202000000000000"))
ETS_RECOMMENDATION = tlv(127, bytes.fromhex("0080c20a 00 00010002 283c000000000000 0202000000000000"))
PFC_3 = tlv(127, bytes.fromhex("0080c20b 08 08"))
PFC_5 = tlv(127, bytes.fromhex("0080c20b 08 20"))
FCOE_ON_3 = tlv(127, bytes.fromhex("0080c20c 00 618906"))
CEE = tlv(127, bytes.fromhex("001b2102 020a 0000 00000001 00000000 0606 00008000 0808"))
SWITCH = (ETS_CONFIGURATION, ETS_RECOMMENDATION, PFC_3, FCOE_ON_3)
ADOPTED = Tables((0, 0, 0, 1, 0, 0, 0, 2), (2, 2, 0, 0, 0, 0, 0, 0), (40, 60, 0, 0, 0, 0, 0, 0))


def stack(
    dcbx: DcbxSettings | None = OURS, role: Role = Role.STATION, optional: tuple[OptionalTlv, ...] = ()
) -> PortStack:
    settings = replace(port_settings(STATION_MAC, admin_status=BOTH, optional=optional), dcbx=dcbx)
    made = PortStack(role, settings, lambda: 1)
    if role is Role.BRIDGE:
        made.request(RelayAble(True), NOW)
    made.request(LinkState(True), NOW)
    return made


def told(
    to: PortStack, mac: bytes, *tlvs: bytes, at: int = NOW, ttl: int = 121, scope: bytes = NEAREST_BRIDGE
) -> list[Effect]:
    return to.receive(frame(mac, *tlvs, ttl=ttl, to=scope), at)


def outcome(of: PortStack) -> DcbxResult:
    assert of.dcbx.result is not None
    return of.dcbx.result


def news(effects: list[Effect]) -> list[DcbxResult | None]:
    return [one.event.result for one in effects if isinstance(one, Indicate) and isinstance(one.event, DcbxChanged)]


def said(effects: list[Effect]) -> list[str]:
    """The octets of DCBX TLVs in what is sent to the nearest bridge."""
    frames = [one.data for one in effects if isinstance(one, SendFrame) and one.data[:6] == NEAREST_BRIDGE]
    kinds = {bytes.fromhex("0080c2") + bytes([subtype]) for subtype in (9, 10, 11, 12)} | {bytes.fromhex("001b2102")}
    return [value.hex() for data in frames for kind, value in tlvs_of(data) if kind == 127 and value[:4] in kinds]


@pytest.mark.parametrize("role", list(Role))
def test_adopted_told_and_said_at_once(role: Role) -> None:
    """In one go: the event, and an LLDPDU with what is in operation now; the willing bits stay."""
    here = stack(role=role)
    effects = told(here, BRIDGE_MAC, *SWITCH)
    (result,) = news(effects)
    assert result is not None and result == outcome(here)
    assert (result.ets.operational, result.pfc.operational, result.app.operational) == (ADOPTED, 0b1000, (FCOE,))
    assert said(effects) == [
        "0080c209" + "80" + "00010002" + "283c000000000000" + "0202000000000000",
        "0080c20b" + "88" + "08",
        "0080c20c" + "00",
    ]
    assert told(here, BRIDGE_MAC, *SWITCH, at=NOW + SECOND) == [], "what is known is no news"


def test_in_another_scope_it_is_nobodys() -> None:
    here = stack()
    effects = told(here, BRIDGE_MAC, *SWITCH, scope=NEAREST_CUSTOMER_BRIDGE)
    assert not news(effects) and outcome(here).state is State.ALONE


def test_off_and_silent() -> None:
    for settings, state in ((None, None), (replace(OURS, advertise=False), State.PEER)):
        here = stack(settings)
        effects = here.advance(NOW + SECOND) + told(here, BRIDGE_MAC, *SWITCH, at=NOW + SECOND)
        assert not said(effects)
        assert (here.dcbx.result and here.dcbx.result.state) == state
        assert len(news(effects)) == (state is not None)


def test_a_second_peer_suspends_it_until_it_ages_out() -> None:
    here = stack()
    told(here, BRIDGE_MAC, *SWITCH, ttl=120)
    effects = told(here, OTHER_MAC, PFC_5, at=NOW + SECOND, ttl=30)
    assert outcome(here).state is State.SUSPENDED and outcome(here).pfc.operational == 0b0001
    assert outcome(here).ets.operational == OTHERS and "0080c20b8801" in said(effects)
    (warnings,) = [one.event for one in effects if isinstance(one, Indicate) and isinstance(one.event, WarningsChanged)]
    assert any("suspended" in warning for warning in warnings.warnings)
    effects = here.advance(NOW + 32 * SECOND)
    assert outcome(here).state is State.PEER and outcome(here).ets.operational == ADOPTED
    assert news(effects) and not any("suspended" in warning for warning in here.warnings)


@pytest.mark.parametrize("goodbye", [True, False], ids=["shutdown", "silence"])
def test_a_lost_peer_leaves_what_is_configured(goodbye: bool) -> None:
    here = stack()
    told(here, BRIDGE_MAC, *SWITCH, ttl=20)
    effects = told(here, BRIDGE_MAC, at=NOW + SECOND, ttl=0) if goodbye else here.advance(NOW + 21 * SECOND)
    assert outcome(here).state is State.ALONE and outcome(here).ets.operational == OTHERS
    assert (outcome(here).pfc.operational, outcome(here).app.operational) == (0b0001, ())
    assert len(news(effects)) == 1 and "0080c20b8801" in said(effects)


def test_the_link_goes_down() -> None:
    here = stack()
    told(here, BRIDGE_MAC, CEE)
    assert outcome(here).dialect == "cee"
    effects = here.request(LinkState(False), NOW + SECOND)
    (result,) = news(effects)
    assert result is not None and (result.state, result.dialect) == (State.ALONE, "ieee")
    assert any(body.startswith("0080c209") for body in said(here.request(LinkState(True), NOW + 2 * SECOND)))


def test_a_broken_tlv_counts_for_nothing_and_is_named() -> None:
    """The neighbor stays, and so do its other TLVs."""
    here = stack()
    told(here, BRIDGE_MAC, tlv(127, bytes.fromhex("0080c20a 00 0001")), PFC_3)
    assert (outcome(here).ets.operational, outcome(here).pfc.operational) == (OTHERS, 0b1000)
    assert any("ETS_RECOMMENDATION" in warning for warning in here.warnings)
    assert len(here.agents[Scope.NEAREST_BRIDGE].rx.remotes.systems()) == 1


def test_other_settings_while_it_runs() -> None:
    here = stack()
    told(here, BRIDGE_MAC, *SWITCH)
    stubborn = replace(OURS, ets_willing=False, pfc_willing=False, apps=(Application(4, 1, 0x8906),))
    effects = here.request(NewSettings(replace(here.settings, dcbx=stubborn)), NOW + SECOND)
    (result,) = news(effects)
    assert result is not None and (result.ets.operational, result.pfc.operational) == (OTHERS, 0b0001)
    assert "0080c20c00818906" in said(effects)
    effects = here.request(NewSettings(replace(here.settings, dcbx=None)), NOW + 2 * SECOND)
    assert news(effects) == [None] and not said(effects)
    assert any(isinstance(one, SendFrame) and one.data[:6] == NEAREST_BRIDGE for one in effects)


def test_another_address_decides_the_tie() -> None:
    here = stack(willing(DcbxSettings(pfc=0b0001)))
    told(here, BRIDGE_MAC, tlv(127, bytes.fromhex("0080c20b 88 08")))
    assert outcome(here).pfc.operational == 0b1000
    higher = replace(here.settings, mac_address=bytes.fromhex("0200000000ff"))
    here.request(NewSettings(higher), NOW + SECOND)
    assert outcome(here).pfc.operational == 0b0001


def test_it_is_the_last_to_go_from_an_lldpdu_that_is_too_long() -> None:
    many = tuple(OrganizationalTlv(bytes.fromhex("020304"), number, bytes(480)) for number in range(4))
    apps = tuple(Application(1, 1, 0x9000 + number) for number in range(168))
    here = stack(replace(OURS, apps=apps), optional=(SystemName(b"host"), *many))
    effects = here.request(NewSettings(replace(here.settings, dcbx=replace(OURS, pfc=2, apps=apps))), NOW + SECOND)
    assert [body[:8] for body in said(effects)] == ["0080c209", "0080c20b", "0080c20c"]
    (sent,) = [one.data for one in effects if isinstance(one, SendFrame) and one.data[:6] == NEAREST_BRIDGE]
    assert len(sent) <= 1514 and len(said(effects)[2]) == 2 * (5 + 3 * 168)
    assert here.agents[Scope.NEAREST_BRIDGE].tx_statistics.length_errors


def test_the_end() -> None:
    here = stack()
    told(here, BRIDGE_MAC, *SWITCH)
    effects = here.request(Shutdown(), NOW + SECOND)
    assert not said(effects), "a shutdown LLDPDU has no optional TLVs"
