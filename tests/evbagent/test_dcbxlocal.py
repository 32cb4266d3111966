"""What the machines are told of this side, from the configuration and the NIC; what the NIC gets of the result."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from evbagent.dcbnic import DcbNic
from evbagent.dcbnl import DcbxMode, Ets, Ieee, Pfc
from evbagent.dcbplan import Wanted
from evbagent.dcbsocket import DcbSocket
from evbagent.dcbstore import Before, DcbStore
from evbagent.dcbxconfig import AppConfig, DcbxConfig, EtsConfig, PfcConfig, dcbx_wishes
from evbagent.dcbxlocal import advertises, local_settings, unfit, wanted_of
from protocols.dcbx.model import Application
from protocols.dcbx.settings import (
    AppResult,
    DcbxResult,
    DcbxSettings,
    Dialect,
    EtsResult,
    PfcResult,
    State,
    Tables,
)
from protocols.evb.status import Role

FCOE, ROCE, PCP = Application(3, 1, 0x8906), Application(3, 3, 4791), Application(5, 255, 5)
HALVES = Tables((0, 0, 0, 1, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (50, 50, 0, 0, 0, 0, 0, 0))
FOUND = Ieee(
    Ets(4, True, True, (100, 0, 0, 0, 0, 0, 0, 0), (0,) * 8, (2, 0, 0, 0, 0, 0, 0, 0)), Pfc(2, 1, True, 9), (FCOE, PCP)
)


class FakeSocket:
    """What the kernel would say."""

    def __init__(self, settings: Ieee | None, mode: DcbxMode | None) -> None:
        self.settings = settings
        self.given = mode

    def mode(self, name: str) -> DcbxMode | None:
        return self.given

    def ieee(self, name: str) -> Ieee | None:
        return self.settings

    def cee(self, name: str) -> None:
        return None


def nic(
    tmp_path: Path, settings: Ieee | None = FOUND, mode: int | None = 0x0D, store: DcbStore | None = None
) -> DcbNic:
    socket = cast(DcbSocket, FakeSocket(settings, None if mode is None else DcbxMode(mode)))
    found = DcbNic(socket, store or DcbStore(tmp_path), 2, "eth0")
    found.look()
    return found


def local(config: DcbxConfig, of: DcbNic, role: Role = Role.STATION) -> DcbxSettings:
    settings = local_settings(config, dcbx_wishes(config), of, role)
    assert settings is not None
    return settings


def test_what_is_not_configured_is_as_the_nic_has_it(tmp_path: Path) -> None:
    assert local(DcbxConfig(), nic(tmp_path)) == DcbxSettings(
        dialect=None,
        advertise=False,
        ets=Tables((0,) * 8, (2, 0, 0, 0, 0, 0, 0, 0), (100, 0, 0, 0, 0, 0, 0, 0)),
        ets_willing=True,
        recommended=None,
        pfc=1,
        pfc_willing=True,
        apps=(FCOE,),  # and not what no TLV could say
        apps_willing=True,
        classes=4,
        capability=2,
        credit_based_shaper=True,
        mbc=True,
    )


def test_what_it_had_before_the_agent_counts(tmp_path: Path) -> None:
    """Else what a peer had it set once would be its own for ever."""
    store = DcbStore(tmp_path)
    store.keep("eth0", 2, Before(0x0D, Ieee(Ets(8), Pfc(8), ())))
    found = local(DcbxConfig(), nic(tmp_path, store=store))
    assert found == replace(DcbxSettings(), advertise=False, ets_willing=True, pfc_willing=True, apps_willing=True)


def test_without_dcb(tmp_path: Path) -> None:
    found = local(DcbxConfig(mode="apply"), nic(tmp_path, None, None))
    assert (found.ets, found.pfc, found.apps) == (Tables(), 0, ())
    assert (found.classes, found.capability, found.advertise) == (8, 8, True)


def test_roles_differ(tmp_path: Path) -> None:
    config = DcbxConfig(ets=EtsConfig(tc_bw="0:50 1:50", prio_tc="3:1"))
    of = nic(tmp_path)
    station, bridge = local(config, of), local(config, of, Role.BRIDGE)
    assert (station.ets_willing, station.pfc_willing, station.apps_willing, station.recommended) == (
        True,
        True,
        True,
        None,
    )
    assert (bridge.ets_willing, bridge.pfc_willing, bridge.apps_willing, bridge.recommended) == (
        False,
        False,
        False,
        HALVES,
    )
    assert local(DcbxConfig(), of, Role.BRIDGE).recommended is None
    said = DcbxConfig(
        dialect="cin", ets=EtsConfig(willing=False, reco_prio_tc="1:1"), pfc=PfcConfig(willing=False, prio_pfc=(3,))
    )
    found = local(said, of)
    assert (found.dialect, found.ets_willing, found.pfc_willing, found.pfc) == (Dialect.CIN, False, False, 8)
    assert found.recommended == Tables((0, 1, 0, 0, 0, 0, 0, 0))


def test_configured_applications_take_the_place_of_those_that_are_there(tmp_path: Path) -> None:
    config = DcbxConfig(app=AppConfig(ethtype_prio={"0x8906": 4}, dgram_port_prio="4791:3"))
    assert local(config, nic(tmp_path)).apps == (Application(4, 1, 0x8906), ROCE)


def test_firmware_or_off_is_no_part(tmp_path: Path) -> None:
    assert local_settings(DcbxConfig(), dcbx_wishes(DcbxConfig()), nic(tmp_path, mode=0x0A), Role.STATION) is None
    off = DcbxConfig(mode="off")
    assert local_settings(off, dcbx_wishes(off), nic(tmp_path), Role.STATION) is None


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, False),
        ({"mode": "apply"}, True),
        ({"advertise": True}, True),
        ({"mode": "apply", "advertise": False}, False),
    ],
)
def test_who_says_something(config: Mapping[str, object], says: bool) -> None:
    assert advertises(DcbxConfig(**config)) is says  # type: ignore[arg-type]


def test_what_the_nic_cannot_have_is_not_announced(tmp_path: Path) -> None:
    of = nic(tmp_path)
    classes = DcbxConfig(ets=EtsConfig(prio_tc="3:7"), pfc=PfcConfig(prio_pfc=(3,)))
    assert unfit(of, dcbx_wishes(classes)) == (
        "dcbx.ets is not in force: priority 3 is in traffic class 7, and there are 4",
    )
    assert (local(classes, of).ets.prio_tc, local(classes, of).pfc) == ((0,) * 8, 8)
    lossless = DcbxConfig(ets=EtsConfig(prio_tc="1:1 2:2 3:3"), pfc=PfcConfig(prio_pfc=(1, 2, 3)))
    assert unfit(of, dcbx_wishes(lossless)) == (
        "dcbx.pfc is not in force: PFC is asked for in 3 traffic classes, and 2 can have it",
    )
    assert (local(lossless, of).ets.prio_tc[:4], local(lossless, of).pfc) == ((0, 1, 2, 3), 1)
    assert unfit(nic(tmp_path, None), dcbx_wishes(lossless)) == ()


def test_what_the_nic_gets(tmp_path: Path) -> None:
    result = DcbxResult(
        State.PEER,
        Dialect.IEEE,
        "",
        EtsResult(Tables(), HALVES),
        PfcResult(0, 8),
        AppResult((), (ROCE,)),
    )
    settings = DcbxSettings(ets_willing=True)
    config = DcbxConfig(pfc=PfcConfig(delay=4096))
    assert wanted_of(result, settings, config, nic(tmp_path)) == Wanted(HALVES, None, True, 8, 4096, (ROCE, PCP))
    assert wanted_of(result, settings, DcbxConfig(), nic(tmp_path, None)) == Wanted(
        HALVES, None, True, 8, None, (ROCE,)
    )
