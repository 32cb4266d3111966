"""The host's facts as they change: when ethtool is asked, and who is told."""

from pathlib import Path
from typing import Any

import pytest

from evbagent import hostmonitor
from evbagent.ethtool import Ethtool, LinkModes
from evbagent.hostmonitor import HostMonitor, HostNameWatch
from evbagent.netlink import Link
from tests.support.netlink import address_message, kind_of, link_message, text

MAC = bytes.fromhex("02000000000a")
VETH = Link(2, "veth0", MAC, 1)
CARD = Link(3, "eth0", b"\2card!", 1)
DOWN, UP = 0x1, 0x10001


class Kernel:
    """What stands for the follower and for ethtool; `asked` are the indexes that ethtool was asked about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []
        self.changes = 0
        self.answer = Ethtool(LinkModes(False, 1, 0, 0, 10))
        self.closed = 0
        monkeypatch.setattr(hostmonitor, "Follower", lambda tables, news: self)
        monkeypatch.setattr(hostmonitor, "HostNameWatch", lambda renamed: self)
        monkeypatch.setattr(hostmonitor, "EthtoolSocket", lambda: self)
        self.monitor = HostMonitor(self.changed)

    def changed(self) -> None:
        self.changes += 1

    def start(self, loop: object) -> None:
        pass

    def close(self) -> None:
        self.closed += 1

    def read(self, index: int) -> Ethtool:
        self.asked.append(index)
        return self.answer

    def says(self, *datagrams: bytes) -> None:
        for data in datagrams:
            for table in (self.monitor._links, self.monitor._addresses, self.monitor._forwarding):
                table.take(kind_of(data), data, 0)
        self.monitor._news()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(monkeypatch)
    kernel.monitor.start(kernel)  # type: ignore[arg-type]
    kernel.says(link_message(2, [text(3, "veth0")]), link_message(3, [text(3, "eth0")]))
    assert kernel.changes == 0
    return kernel


def test_the_first_link_stands_for_the_host(kernel: Kernel) -> None:
    assert kernel.monitor.facts.chassis_mac == b""
    for link in (VETH, CARD):
        kernel.monitor.serve(link, medium=False)
    assert (kernel.monitor.facts.chassis_mac, kernel.monitor.facts.chassis_name) == (MAC, "veth0")
    assert set(kernel.monitor.facts.links) == {2, 3}
    assert kernel.changes == 0, "the caller knows"


def test_ethtool_is_asked_where_it_matters(kernel: Kernel) -> None:
    kernel.monitor.serve(VETH, medium=False)
    assert kernel.asked == []
    for _ in range(2):
        kernel.monitor.serve(VETH, medium=True)
        kernel.monitor.serve(CARD, medium=True)
    assert kernel.asked == [2, 3] and set(kernel.monitor.facts.ethtool) == {2, 3}
    kernel.monitor.serve(VETH, medium=False)
    assert kernel.asked == [2, 3] and set(kernel.monitor.facts.ethtool) == {3}
    kernel.monitor.forget(3)
    kernel.monitor.forget(3)
    assert not kernel.monitor.facts.ethtool and set(kernel.monitor.facts.links) == {2}


def test_and_again_when_the_link_has_changed(kernel: Kernel) -> None:
    kernel.monitor.serve(CARD, medium=True)
    kernel.says(link_message(3, [text(3, "eth0")], flags=UP), address_message(2, bytes([127, 0, 0, 1])))
    assert kernel.asked == [3] and kernel.changes == 0
    kernel.answer = Ethtool(reason="no")
    kernel.says(link_message(3, [text(3, "eth0")], flags=DOWN))
    assert kernel.asked == [3, 3] and kernel.changes == 1
    assert kernel.monitor.facts.ethtool == {3: Ethtool(reason="no")}
    kernel.says(address_message(2, bytes([192, 0, 2, 1])))
    assert kernel.asked == [3, 3] and kernel.changes == 2


def test_a_kernel_without_ethtool(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise OSError("no such family")

    monkeypatch.setattr(hostmonitor, "EthtoolSocket", refuse)
    monitor = HostMonitor(kernel.changed)
    monitor.start(kernel)  # type: ignore[arg-type]
    monitor.serve(CARD, medium=True)
    assert monitor.facts.ethtool == {3: Ethtool(reason="no such family")}
    monitor.close()


def test_everything_is_closed(kernel: Kernel) -> None:
    kernel.monitor.close()
    assert kernel.closed == 3


def test_a_new_name_is_news(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostmonitor, "system_name", lambda: "beta")
    kernel.monitor._renamed()
    kernel.monitor._renamed()
    assert (kernel.monitor.facts.system_name, kernel.changes) == ("beta", 1)


def test_without_its_file_the_name_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hostmonitor, "HOST_NAME", str(tmp_path / "none"))
    watch = HostNameWatch(lambda: None)
    watch.start(None)  # type: ignore[arg-type]
    watch.close()
