"""An agent that only observes, and what an agent says that it may not do."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evbagent.attachments import Attachments
from evbagent.config import Config
from evbagent.exchange import ControlError
from evbagent.netlink import Link, LinkChange
from evbagent.observe import (
    CAP_NET_ADMIN,
    CAP_SYS_ADMIN,
    CAP_SYS_PTRACE,
    ONLY_OBSERVES,
    Muted,
    capabilities,
    listening,
    restrictions,
)
from evbagent.teller import Teller
from evbagent.uplinks import EDITION_CHOICES
from evbagent.vsis import VsiBook
from evbagent.vsiservice import VsiService
from protocols.evb.status import EvbSettings, Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.tlvs import ChassisId, PortId
from protocols.lldp.tx import TxSettings
from protocols.port import LinkState, PortSettings, RelayAble, SendFrame
from protocols.stack import PortStack
from protocols.timers import SECOND

MAC = bytes.fromhex("02000000000a")
SETTINGS = PortSettings(
    MAC,
    ChassisId(4, MAC),
    PortId(3, MAC),
    {},
    {
        Scope.NEAREST_BRIDGE: AdminStatus.TX_ONLY,
        Scope.NEAREST_NON_TPMR_BRIDGE: AdminStatus.DISABLED,
        Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX,
    },
    TxSettings(),
    32,
    EvbSettings(EDITION_CHOICES["auto"]),
)
NAMES = ("CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE")
ALL = frozenset({CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE})


def test_it_listens_where_it_would_have_listened_and_asks_for_nothing() -> None:
    told = listening(SETTINGS)
    assert told.admin_status == {
        Scope.NEAREST_BRIDGE: AdminStatus.DISABLED,
        Scope.NEAREST_NON_TPMR_BRIDGE: AdminStatus.DISABLED,
        Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.RX_ONLY,
    }
    assert told.evb.reflective_relay is False
    unchanged = {"admin_status": SETTINGS.admin_status, "evb": SETTINGS.evb}
    assert replace(told, **unchanged) == SETTINGS  # type: ignore[arg-type]


@pytest.mark.parametrize("role", list(Role))
def test_its_machines_say_nothing_for_a_day(role: Role) -> None:
    stack = PortStack(role, listening(SETTINGS), lambda: 1)
    now = 1000 * SECOND
    said = stack.request(RelayAble(True), now) + stack.request(LinkState(True), now)
    end = now + 86_400 * SECOND
    while (due := stack.next_deadline()) is not None and due < end:
        said += stack.advance(due)
    assert not [effect for effect in said if isinstance(effect, SendFrame)]


def test_what_is_said_all_the_same_does_not_get_out() -> None:
    class Socket:
        def fileno(self) -> int:
            return 7

        def receive(self) -> bytes | None:
            return b"heard"

        def send(self, frame: bytes) -> None:
            raise AssertionError("sent")

        def listen_for_ecp_to(self, another: bytes | None) -> None:
            pass

        def drops(self) -> int:
            return 3

        def close(self) -> None:
            self.closed = True

    socket = Socket()
    muted = Muted(socket)
    muted.send(b"frame")
    assert (muted.fileno(), muted.receive(), muted.drops()) == (7, b"heard", 3)
    muted.close()
    assert socket.closed


@pytest.mark.parametrize(
    ("observes", "held", "named"),
    [
        (False, ALL, []),
        (False, ALL - {CAP_SYS_ADMIN}, [{*NAMES}]),
        (False, ALL - {CAP_SYS_PTRACE}, [{*NAMES}]),
        (False, frozenset({CAP_NET_ADMIN}), [{*NAMES}]),
        (False, ALL - {CAP_NET_ADMIN}, [{"CAP_NET_ADMIN"}, {*NAMES}]),
        (False, frozenset(), [{"CAP_NET_ADMIN"}, {*NAMES}]),
        (True, ALL, [set()]),
        (True, frozenset(), [set()]),
    ],
)
def test_what_it_may_not_do_is_named(observes: bool, held: frozenset[int], named: list[set[str]]) -> None:
    texts = restrictions(observes, held)
    assert [{name for name in NAMES if name in text} for text in texts] == named
    assert not observes or ONLY_OBSERVES in texts[0]


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Name:\tx\nCapEff:\t0000000000003000\n", {12, 13}),
        ("CapEff:\t0000000000000000\n", set()),
        ("CapEff:\t8000000000000001\n", {0, 63}),
        ("CapEff:\tmany\n", set()),
        ("CapPrm:\t0000000000003000\n", set()),
        ("", set()),
    ],
)
def test_capabilities_are_read_from_the_threads_status(tmp_path: Path, text: str, held: set[int]) -> None:
    (tmp_path / "status").write_text(text)
    assert capabilities(tmp_path / "status") == held
    assert capabilities(tmp_path / "nothing") == frozenset()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has none")
def test_root_has_some() -> None:
    assert capabilities()


def test_guests_stay_as_they_are() -> None:
    class Route:
        def set_macvlan_mode(self, *_: object) -> None:
            raise AssertionError("changed")

    events: list[Any] = []
    route: Any = Route()
    finder: Any = None
    attachments = Attachments(route, finder, events.append, may_move=False)
    guest = Link(5, "g5", b"", 1, kind="macvlan", parent=2, macvlan_mode="bridge", alias="evbagent:prefer-vepa")
    attachments.answer(2, "vepa", "agreed")
    attachments.link_changed(LinkChange(None, guest))
    assert [(event.action, event.reason) for event in events] == [
        ("added", "marked prefer-vepa"),
        ("failed", ONLY_OBSERVES),
    ]
    (device,) = attachments.of(2)
    assert device.mode == "bridge" and not attachments.conforms(device)


@pytest.mark.parametrize("observes", [True, False])
def test_vsis_are_neither_taken_up_nor_asked_for(
    tmp_path: Path, observes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a predecessor noted, and what is declared, is left for an agent that may."""
    done: list[str] = []
    for name in ("recover", "declare", "open_session"):
        monkeypatch.setattr(VsiBook, name, lambda *_, name=name, **__: done.append(name))
    config = tmp_path / "evbagent.toml"
    config.touch()

    async def run() -> None:
        service = VsiService({}, Config(), config, tmp_path, Teller(), observes)
        service.start(Config())
        service.configure(Config())
        with pytest.raises(ControlError) as refused:
            service.withdraw(None, None)
        assert (ONLY_OBSERVES in str(refused.value)) is observes
        service.open_session("eth0", lambda answers: None)

    if observes:
        with pytest.raises(ControlError, match="only observes"):
            asyncio.run(run())
    else:
        asyncio.run(run())
    assert done == ([] if observes else ["recover", "declare", "declare", "open_session"])
