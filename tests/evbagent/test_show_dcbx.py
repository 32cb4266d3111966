"""`dcbx show` and `dcbx diff`: what an operator reads of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from msgspec.json import decode

from evbagent.dcbnic import DcbNic
from evbagent.dcbnl import Cee, DcbxMode, Ets, Features, Ieee, Pfc
from evbagent.dcbplan import Plan, make_plan
from evbagent.dcbsocket import DcbSocket
from evbagent.dcbstore import DcbStore
from evbagent.dcbxconfig import DcbxConfig
from evbagent.dcbxlocal import wanted_of
from evbagent.dcbxview import dcbx_document
from evbagent.show import event_line, render
from evbagent.show_dcbx import render_dcbx, render_differences
from protocols.dcbx.model import CEE_OUI, Application, CeeApplication
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

SCHEMA = decode((Path(__file__).parents[2] / "evbagent/schema/state-1.json").read_bytes())
HALVES = Tables((0, 0, 0, 1, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (50, 50, 0, 0, 0, 0, 0, 0))
FCOE, ROCE = Application(3, 1, 0x8906), Application(3, 3, 4791)
SETTINGS = DcbxSettings(ets_willing=True, pfc_willing=True, apps=(FCOE,), apps_willing=True)
PEER = (4, bytes(6), 3, bytes(6))
AGREED = DcbxResult(
    State.PEER,
    Dialect.IEEE,
    "one peer speaks IEEE",
    EtsResult(Tables(), HALVES, HALVES, True, False, "willing: the peer's recommendation"),
    PfcResult(0, 8, 8, True, False, "willing, and the peer is not"),
    AppResult((FCOE,), (FCOE, ROCE), (ROCE,), True, None, "the peer's are taken over"),
    peer=PEER,
    heard=(
        (PEER, (bytes.fromhex("0080c2"), 9, bytes.fromhex("04 00 02 00 00") + bytes(16))),
        (PEER, (bytes.fromhex("0080c2"), 11, b"\x08\x08")),
        (PEER, (bytes.fromhex("0080c2"), 12, b"\x00\x63")),  # cut short
    ),
)
NIC = Ieee(Ets(8), Pfc(8), (FCOE,))
CONFIG = DcbxConfig(advertise=True)
DIFFERS = "it differs, and mode observe writes nothing: `evbagent dcbx apply eth0` does"


class Kernel:
    def __init__(self, settings: Ieee | None, mode: DcbxMode | None, cee: Cee | None = None) -> None:
        self.says = settings, mode, cee

    def mode(self, name: str) -> DcbxMode | None:
        return self.says[1]

    def ieee(self, name: str) -> Ieee | None:
        return self.says[0]

    def cee(self, name: str) -> Cee | None:
        return self.says[2]


def nic(kernel: Kernel) -> DcbNic:
    found = DcbNic(cast(DcbSocket, kernel), DcbStore(Path("/nonexistent")), 2, "eth0")
    found.look()
    return found


def document(
    result: DcbxResult = AGREED,
    settings: DcbxSettings = SETTINGS,
    kernel: Kernel | None = None,
    nic_state: str = DIFFERS,
    peer: str = "switch1 (02:00:00:00:00:0b)",
) -> dict[str, Any]:
    """As the agent answers; held against the schema of the state file."""
    of = nic(kernel or Kernel(NIC, DcbxMode(0x0D)))
    plan = Plan() if of.settings is None else make_plan(of.settings, wanted_of(result, settings, CONFIG, of))
    found = dcbx_document(result, settings, CONFIG, of, plan, nic_state, peer)
    Draft202012Validator({**SCHEMA["$defs"]["dcbx"], "$defs": SCHEMA["$defs"]}).validate(found)
    return {"interface": "eth0", **found}


def test_all_sides_beside_each_other_and_why() -> None:
    assert render_dcbx([document()]) == (
        "eth0: DCBX by IEEE 802.1Qaz with switch1 (02:00:00:00:00:0b), mode observe\n"
        "  one peer speaks IEEE\n"
        "                        local       remote                  agreed                  NIC\n"
        "  ets willing           on          off                     -                       off\n"
        "  prio-tc               all:0       all:0 3:2               all:0 3:1               all:0\n"
        "  tc-tsa                all:strict  all:strict              all:strict 0:ets 1:ets  all:strict\n"
        "  tc-bw                 all:0       all:0                   0:50 1:50               all:0\n"
        "  ets-cap               8           4                       -                       8\n"
        "  reco-prio-tc          -           all:0 3:1               -                       -\n"
        "  reco-tc-tsa           -           all:strict 0:ets 1:ets  -                       -\n"
        "  reco-tc-bw            -           0:50 1:50               -                       -\n"
        "  pfc willing           on          off                     -                       -\n"
        "  prio-pfc              all:off     3:on                    3:on                    all:off\n"
        "  pfc-cap               8           8                       -                       8\n"
        "  dgram-port-prio 4791  -           3                       3                       -\n"
        "  ethtype-prio 0x8906   3           -                       3                       3\n"
        "  ETS: willing: the peer's recommendation\n"
        "  PFC: willing, and the peer is not\n"
        "  applications: the peer's are taken over\n"
        f"  NIC: {DIFFERS}\n"
        "    prio-tc 3:0 -> 3:1\n"
        "    tc-tsa 0:strict 1:strict -> 0:ets 1:ets\n"
        "    tc-bw 0:0 1:0 -> 0:50 1:50\n"
        "    prio-pfc 3:off -> 3:on\n"
        "    dgram-port-prio - -> 4791:3\n"
    )
    assert render("dcbx", [document()]) == render_dcbx([document()])
    assert "remote-tlvs:" in render("dcbx", [document()], details=True)


def test_nothing_is_agreed_with_one_that_says_nothing() -> None:
    row = document(settings=replace(SETTINGS, advertise=False))
    assert row["advertise"] is False and "would be agreed" in render_dcbx([row])


def test_what_would_be_written() -> None:
    row = document()
    assert render_differences([row]) == (
        "eth0: prio-tc 3:0 -> 3:1\n"
        "eth0: tc-tsa 0:strict 1:strict -> 0:ets 1:ets\n"
        "eth0: tc-bw 0:0 1:0 -> 0:50 1:50\n"
        "eth0: prio-pfc 3:off -> 3:on\n"
        "eth0: dgram-port-prio - -> 4791:3\n"
    )
    has = "it has what is agreed"
    assert render_differences([{**row, "differences": [], "nic-state": has}]) == f"eth0: {has}\n"


def test_nobody_there_and_no_dcb() -> None:
    own = Tables()
    alone = DcbxResult(
        State.ALONE,
        Dialect.IEEE,
        "no neighbor speaks DCBX",
        EtsResult(own, own, willing=True, reason="no peer"),
        PfcResult(0, 0, willing=True, reason="no peer"),
        AppResult((), (), willing=True, reason="no peer"),
    )
    row = document(alone, DcbxSettings(recommended=HALVES), Kernel(None, None), "the NIC has no DCB", "")
    assert (row["remote"], row["peer"], row["differences"], row["nic"]["settings"]) == (None, None, [], None)
    shown = render_dcbx([row, row])
    assert shown.count("eth0: DCBX by IEEE 802.1Qaz, mode observe\n  no neighbor speaks DCBX\n") == 2
    assert "                local                   agreed\n" in shown
    assert "  reco-prio-tc  all:0 3:1               -\n" in shown
    assert "  NIC: the NIC has no DCB\n" in shown


def test_firmware_and_what_it_has_heard() -> None:
    cee = Cee((0,) * 8, (100, 0, 0, 0, 0, 0, 0, 0), 8, (CeeApplication(0x8906, 0, CEE_OUI, 8),), {"pg": Features(0x0E)})
    peer = replace(
        NIC, peer_ets=Ets(0, tc_tx_bw=HALVES.tc_bw, tc_tsa=HALVES.tc_tsa), peer_pfc=Pfc(8, 8), peer_apps=(ROCE,)
    )
    row = document(kernel=Kernel(peer, DcbxMode(0x0E), cee), nic_state="the NIC's firmware runs DCBX")
    assert row["nic"]["dcbx-mode"] == ["lld-managed", "cee", "ieee"]
    found = row["nic"]["firmware-peer"]
    assert (found["pfc"]["enable"], found["ets"]["tc-bandwidth-table"][:2]) == ([3], [50, 50])
    assert found["cee"]["features"] == {"pg": ["enable", "willing", "advertise"]}
    assert "firmware's peer" in render_dcbx([row])


def test_sequence_numbers_of_cee() -> None:
    row = document(replace(AGREED, dialect=Dialect.CEE, seq_no=2, ack_no=1))
    assert row["sequence"] == {"seq-no": 2, "ack-no": 1}
    assert render_dcbx([row]).startswith("eth0: DCBX by CEE 1.01 with switch1")


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "\u202e"])
def test_words_of_the_network_are_only_words(hostile: str) -> None:
    row = document(replace(AGREED, reason=hostile), peer=hostile)
    shown = render_dcbx([row]) + render_differences([{**row, "differences": [], "nic-state": hostile}])
    assert all(line.isprintable() for line in shown.split("\n"))
    assert len(shown.splitlines()) == len(render_dcbx([document()]).splitlines()) + 1


def test_what_another_version_may_send() -> None:
    """Nothing is needed to be there."""
    assert render_dcbx([{"interface": "eth0"}]) == "eth0: no DCBX, mode -\n"
    odd: dict[str, Any] = {
        "interface": "eth0",
        "local": {"ets": None, "application-priority-table": None},
        "differences": [{}],
    }
    assert "eth0: no DCBX" in render_dcbx([odd])
    assert render_differences([odd]) == "eth0: - - -> -\n"


def test_events() -> None:
    row = {"event": "dcbx", "time": "2026-11-22T09:30:00.1Z", **document()}
    assert event_line(row).endswith("eth0         dcbx ieee: one peer speaks IEEE")
    changes = [{"key": "prio-pfc", "nic": "3:off", "wanted": "3:on"}]
    written = {"event": "dcb-written", "interface": "eth0", "changes": changes, "error": ""}
    assert event_line(written).endswith("dcb-written prio-pfc 3:off -> 3:on")
    assert event_line({**written, "error": "refused"}).endswith("prio-pfc 3:off -> 3:on; refused")
