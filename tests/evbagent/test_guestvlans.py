"""Guests on VLAN devices, and switches that change their minds about the VLAN."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from evbagent import guestvlans
from evbagent.attachments import Attachments
from evbagent.guestvlans import GuestVlans
from evbagent.hostfacts import HostFacts
from evbagent.netlink import Link, LinkChange
from evbagent.port import Port
from evbagent.vsispec import parse_spec
from protocols.evb.status import Role
from protocols.vdp.filter import Filters
from protocols.vdp.stationvsi import StationVsi
from protocols.vdp.status import VsiState

INSTANCE = "a0b1c2d3-0000-4000-8000-000000000001"
UPLINK = Link(2, "eth0", b"", 1)
VLAN = Link(4, "eth0.100", b"", 1, kind="vlan", parent=2)
GUEST = Link(
    5, "g5", b"", 1, kind="macvtap", parent=4, macvlan_mode="bridge", alias=f"evbagent:prefer-vepa vsi={INSTANCE}"
)
SPEC = {
    "request": "associate",
    "instance": INSTANCE,
    "manager": "192.0.2.1",
    "type": 5,
    "type-version": 1,
    "filter": ["0-52:54:00:8e:50:53"],
}


class Bench:
    """A port whose machine says what a test sets, devices that are where a test puts them."""

    def __init__(self, *links: Link) -> None:
        self.vsi = StationVsi(parse_spec(SPEC), (), False, 0)
        stack: Any = SimpleNamespace(
            edge=SimpleNamespace(vdp=SimpleNamespace(vsis={self.vsi.request.vsi_id: self.vsi}))
        )
        nothing: Any = None
        self.port = Port(nothing, UPLINK, Role.STATION, stack, "")
        self.said: list[tuple[str, ...]] = []
        self.touched = 0
        self.looks = 0
        self.attachments = Attachments(nothing, nothing, lambda event: None)
        self.monitor: Any = SimpleNamespace(links={link.index: link for link in links})
        self.host: Any = SimpleNamespace(facts=HostFacts(vlan_devices={2: ((100, "eth0.100"), (300, "eth0.300"))}))
        for link in links:
            self.attachments.link_changed(LinkChange(None, link))
        teller: Any = SimpleNamespace(warn=lambda port, texts, known: self.said.append(texts))
        self.vlans = GuestVlans(self.attachments, self.monitor, self.host, teller, self._touch)

    def assign(self, *vids: int, state: VsiState = VsiState.ASSOCIATED) -> None:
        """The switch has let it in, with these VIDs."""
        (entry,) = self.vsi.request.filters.entries
        self.vsi.vsi_state = state
        self.vsi.filters = Filters(2, tuple(entry._replace(vid=vid) for vid in vids))

    async def look(self, times: int = 1) -> tuple[str, ...]:
        """The port's warnings after so many changes at a time."""
        for _ in range(times):
            self.vlans.doubt(self.port)
        await asyncio.sleep(0.01)
        return self.port.strayed

    def _touch(self, port: Port) -> None:
        assert port is self.port
        self.touched += 1


def run(test: Callable[[Bench], Awaitable[None]], *links: Link) -> None:
    async def with_bench() -> None:
        await test(Bench(*links))

    asyncio.run(with_bench())


def test_another_vlan_is_said_once_until_it_is_the_same_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(guestvlans, "LOOK_AFTER_S", 0)

    async def test(bench: Bench) -> None:
        bench.assign(100)
        assert await bench.look() == () and not bench.said
        bench.assign(200)
        warning = "g5: stands on eth0.100, but the switch has assigned VID 200: attach it anew"
        assert await bench.look(100) == (warning,)
        assert await bench.look() == (warning,)
        assert (bench.said, bench.touched) == ([(warning,)], 1)
        bench.assign(100, 200)
        assert await bench.look() == () and bench.touched == 2

    run(test, UPLINK, VLAN, GUEST)


def test_it_goes_with_the_vsi_and_with_the_device(monkeypatch: Any) -> None:
    monkeypatch.setattr(guestvlans, "LOOK_AFTER_S", 0)

    async def test(bench: Bench) -> None:
        bench.assign(200)
        assert await bench.look()
        bench.assign(0, state=VsiState.UNASSOCIATED)
        assert await bench.look() == ()
        bench.assign(200)
        assert await bench.look()
        bench.attachments.link_changed(LinkChange(GUEST, None))
        assert await bench.look() == ()

    run(test, UPLINK, VLAN, GUEST)


def test_nothing_is_said_of_who_is_in_no_vlan_of_ours(monkeypatch: Any) -> None:
    """Untagged, without a VSI, of a VSI that there is not, and with a mark that somebody has written by hand."""
    monkeypatch.setattr(guestvlans, "LOOK_AFTER_S", 0)
    others = [
        replace(GUEST, index=6, name="g6", parent=2),
        replace(GUEST, index=7, name="g7", alias="evbagent:prefer-vepa"),
        replace(GUEST, index=8, name="g8", alias="evbagent:prefer-vepa vsi=a0b1c2d3-0000-4000-8000-000000000002"),
        replace(GUEST, index=9, name="g9", alias="evbagent:prefer-vepa vsi=whose"),
    ]

    async def test(bench: Bench) -> None:
        bench.assign(200)
        assert await bench.look() == () and not bench.said and not bench.touched

    run(test, UPLINK, VLAN, *others)


def test_a_device_that_was_moved_stays_in_its_vlan(monkeypatch: Any) -> None:
    monkeypatch.setattr(guestvlans, "LOOK_AFTER_S", 0)

    async def test(bench: Bench) -> None:
        bench.attachments.link_changed(LinkChange(GUEST, None, (3, 15)))
        bench.assign(200)
        (warning,) = await bench.look()
        assert warning.startswith("g5: stands on eth0.100")

    run(test, UPLINK, VLAN, GUEST)
