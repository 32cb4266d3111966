"""The kernel's interfaces: reading, setting and following them, with real devices."""

import asyncio
import errno
import select
from collections.abc import Callable, Coroutine
from time import thread_time
from typing import Any

import pytest

from evbagent.netlink import Link, LinkChange, LinkMonitor, NetlinkError, RouteSocket
from tests.support.namespaces import Namespace, PacketTap

pytestmark = pytest.mark.system

MakeNamespace = Callable[..., Namespace]


class Watch:
    """A monitor and the changes that it has reported, in a coroutine that runs inside a namespace."""

    def __init__(self, receive_buffer: int = 8 << 20) -> None:
        self.changes: list[LinkChange] = []
        self.seen: dict[int, Link] = {}
        self._news = asyncio.Event()
        self.monitor = LinkMonitor(self._changed, receive_buffer=receive_buffer)
        self.monitor.start(asyncio.get_running_loop())
        self.seen.update(self.monitor.links)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.monitor.close()

    def _changed(self, change: LinkChange) -> None:
        self.changes.append(change)
        link = change.new or change.old
        assert link is not None
        assert self.seen.get(link.index) == change.old
        if change.new is None:
            del self.seen[link.index]
        else:
            self.seen[link.index] = change.new
        assert self.seen == self.monitor.links
        self._news.set()

    def named(self, name: str) -> Link | None:
        return next((link for link in self.monitor.links.values() if link.name == name), None)

    async def until(self, holds: Callable[[], object], what: str) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()
        assert holds(), what

    async def settle(self) -> None:
        """Returns when everything that the kernel has said so far was read."""
        loop = asyncio.get_running_loop()
        assert self.monitor._socket is not None
        for _ in range(3):
            await asyncio.sleep(0)
        while await loop.run_in_executor(None, _readable, self.monitor._socket.fileno()):
            await asyncio.sleep(0)


def _readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


def run_in(namespace: Namespace, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    namespace.call(lambda: asyncio.run(scenario()))


def route(namespace: Namespace) -> RouteSocket:
    return namespace.call(RouteSocket)


@pytest.fixture
def host(namespace: Namespace) -> Namespace:
    """An uplink up0 (its far end sw0), both up."""
    namespace.ip("link add name up0 address 02:00:00:00:00:01 type veth peer name sw0")
    namespace.ip("link set up0 up")
    namespace.ip("link set sw0 up")
    return namespace


def test_links_are_read_with_what_they_are(host: Namespace) -> None:
    host.bridge("br0", ["sw0"])
    host.ip("link set up0 mtu 9000")
    host.ip("link set up0 alias 'the way out'")
    with route(host) as socket:
        links = {link.name: link for link in socket.dump_links()}
        assert socket.get_link(name="up0") == links["up0"] == socket.get_link(index=links["up0"].index)
    up0, sw0, br0 = links["up0"], links["sw0"], links["br0"]
    assert (up0.kind, up0.mtu, up0.alias) == ("veth", 9000, "the way out")
    assert up0.mac_address == bytes.fromhex("020000000001")
    assert (up0.hardware_type, up0.parent, up0.oper_status, up0.enabled) == (1, sw0.index, "up", True)
    assert (up0.controller, up0.hairpin, up0.macvlan_mode, up0.is_bridge_port) == (None, None, None, False)
    assert (sw0.controller, sw0.controller_kind, sw0.hairpin, sw0.is_bridge_port) == (br0.index, "bridge", False, True)
    assert (br0.kind, br0.controller, br0.hairpin) == ("bridge", None, None)
    assert links["lo"].hardware_type == 772


def test_enabled_needs_both_the_administrator_and_a_carrier(host: Namespace) -> None:
    with route(host) as socket:
        assert socket.get_link("up0").enabled
        host.ip("link set sw0 down")
        assert (socket.get_link("up0").enabled, socket.get_link("up0").oper_status) == (False, "lower-layer-down")
        host.ip("link set up0 down")
        assert not socket.get_link("up0").enabled
        host.ip("link set lo up")
        assert (socket.get_link("lo").enabled, socket.get_link("lo").oper_status) == (True, "unknown")


def test_an_interface_that_is_not_there_is_none(namespace: Namespace) -> None:
    with route(namespace) as socket:
        assert socket.get_link(name="nothing") is None
        assert socket.get_link(name="a name that is too long to be one") is None
        assert socket.get_link(index=4711) is None


def test_two_thousand_links_are_read_well_under_a_third_of_a_second(host: Namespace) -> None:
    host.run("ip -batch -", input="".join(f"link add name m{i} link up0 type macvtap mode vepa\n" for i in range(2000)))
    took = []
    with route(host) as socket:
        for _ in range(3):
            before = thread_time()  # not the time of others, which there may be many of
            assert len(socket.dump_links()) == 2003
            took.append(thread_time() - before)
        assert len(socket.dump_links(kind="macvtap")) == 2000
        assert [link.name for link in socket.dump_links(kind="veth")] == ["sw0", "up0"]
    assert min(took) < 0.3


def test_hairpin_mode_is_set_on_a_bridge_port_only(host: Namespace) -> None:
    host.bridge("br0", ["sw0"])
    with route(host) as socket:
        port = socket.get_link("sw0").index
        for on in (True, True, False):
            socket.set_hairpin(port, on)
            assert socket.get_link("sw0").hairpin is on
        with pytest.raises(NetlinkError, match="turn hairpin mode on on bridge port") as refused:
            socket.set_hairpin(socket.get_link("up0").index, True)
        assert refused.value.errno == errno.EOPNOTSUPP
        with pytest.raises(NetlinkError):
            socket.set_hairpin(4711, True)
        assert isinstance(refused.value, OSError)


@pytest.mark.parametrize("kind", ["macvlan", "macvtap"])
@pytest.mark.parametrize("mode", ["vepa", "bridge", "private"])
def test_a_guest_device_is_made_marked_and_up(host: Namespace, kind: str, mode: str) -> None:
    with route(host) as socket:
        uplink = socket.get_link("up0").index
        made = socket.create_macvlan("g0", uplink, kind, mode, bytes.fromhex("02000000000a"), "evbagent:veb")
        assert (made.name, made.kind, made.macvlan_mode, made.alias) == ("g0", kind, mode, "evbagent:veb")
        assert (made.mac_address, made.parent, made.enabled) == (bytes.fromhex("02000000000a"), uplink, True)
        assert socket.get_link("g0") == made
        down = socket.create_macvlan("g1", uplink, kind, mode, None, "evbagent:veb", up=False)
        assert not down.enabled and down.mac_address[0] & 1 == 0
        with pytest.raises(NetlinkError) as refused:
            socket.create_macvlan("g0", uplink, kind, mode, None, "evbagent:veb")
        assert refused.value.errno == errno.EEXIST
        assert socket.get_link("g0") == made
        socket.delete(made.index)
        assert socket.get_link("g0") is None


def test_a_device_that_cannot_be_marked_is_not_left_behind(host: Namespace) -> None:
    with route(host) as socket:
        uplink = socket.get_link("up0").index
        with pytest.raises(NetlinkError, match="set the alias") as refused:
            socket.create_macvlan("g0", uplink, "macvtap", "vepa", None, "x" * 256)
        assert refused.value.errno == errno.ERANGE
        assert socket.get_link("g0") is None
        assert socket.dump_links(kind="macvtap") == []


def test_an_alias_is_set_and_taken_away(host: Namespace) -> None:
    with route(host) as socket:
        index = socket.get_link("up0").index
        for alias in ("evbagent:prefer-vepa", "ünïcode", ""):
            socket.set_alias(index, alias)
            assert socket.get_link("up0").alias == alias


@pytest.mark.parametrize("kind", ["macvlan", "macvtap"])
def test_the_mode_changes_live_and_with_it_where_frames_go(host: Namespace, kind: str) -> None:
    left, right = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
    with route(host) as socket:
        uplink = socket.get_link("up0").index
        devices = [
            socket.create_macvlan("g0", uplink, kind, "vepa", left, "evbagent:prefer-vepa"),
            socket.create_macvlan("g1", uplink, kind, "vepa", right, "evbagent:prefer-vepa"),
        ]
        with PacketTap(host, "g0") as sender, PacketTap(host, "g1") as guest, PacketTap(host, "sw0") as switch:
            for turn, mode in enumerate(("vepa", "bridge", "vepa", "private", "vepa")):
                for device in devices:
                    socket.set_macvlan_mode(device.index, kind, mode)
                    assert socket.get_link(index=device.index).macvlan_mode == mode
                payload = bytes([turn]) * 46
                sender.send(right + left + b"\x88\xb5" + payload)
                # A macvtap takes its frames itself, before a tap on it sees them; what it sends out, the switch sees.
                at_the_switch = any(frame.data[14:] == payload for frame in _received(switch))
                assert at_the_switch == (mode != "bridge")
                if kind == "macvlan":
                    at_the_guest = any(frame.data[14:] == payload for frame in _received(guest))
                    assert at_the_guest == (mode == "bridge")


def _received(tap: PacketTap) -> list[Any]:
    return [frame for frame in tap.drain() if not frame.outgoing]


def test_a_mode_change_with_the_wrong_kind_or_of_a_stranger_is_refused(host: Namespace) -> None:
    with route(host) as socket:
        made = socket.create_macvlan("g0", socket.get_link("up0").index, "macvtap", "vepa", None, "evbagent:veb")
        with pytest.raises(NetlinkError):
            socket.set_macvlan_mode(made.index, "macvlan", "bridge")
        with pytest.raises(NetlinkError):
            socket.set_macvlan_mode(4711, "macvlan", "bridge")
        assert socket.get_link("g0") == made


def test_a_moved_device_is_read_by_the_id_of_its_namespace_and_its_parent_is_ours(
    host: Namespace, make_namespace: MakeNamespace
) -> None:
    guest = make_namespace("guest")
    with route(host) as socket:
        uplink = socket.get_link("up0").index
        made = socket.create_macvlan("g0", uplink, "macvtap", "vepa", None, "evbagent:prefer-vepa")
        assert socket.namespace_ids() == []
        host.ip(f"link set g0 netns {guest.pid}")
        (nsid,) = socket.namespace_ids()
        (moved,) = socket.dump_links(kind="macvtap", nsid=nsid)
        assert (moved.name, moved.index, moved.alias) == ("g0", made.index, "evbagent:prefer-vepa")
        assert (moved.parent, moved.macvlan_mode, moved.enabled) == (uplink, "vepa", False)
        assert socket.get_link(name="g0", nsid=nsid) == socket.get_link(index=moved.index, nsid=nsid) == moved
        assert socket.get_link(name="up0", nsid=nsid) is None
        # A device on an interface of the guest's own is not ours, though that has the same index as our uplink.
        guest.ip(f"link add name own index {uplink} type veth peer name far")
        guest.ip("link add name inner link own type macvlan mode vepa")
        assert socket.get_link(name="inner", nsid=nsid).parent is None
        # The id that the kernel gave our namespace for itself is not another namespace.
        assert socket.namespace_ids() == [nsid]
        with pytest.raises(NetlinkError):
            socket.dump_links(nsid=nsid + 1000)


def test_the_monitor_follows_one_interface_through_its_life(host: Namespace) -> None:
    async def scenario() -> None:
        with Watch() as watch:
            assert watch.changes == [] and watch.named("up0") is not None

            host.ip("link add name eth7 address 02:00:00:00:00:0a type veth peer name far7")
            await watch.until(lambda: watch.named("eth7"), "appears")
            first = watch.named("eth7")
            assert not first.enabled

            host.ip("link set eth7 up")
            host.ip("link set far7 up")
            await watch.until(lambda: watch.monitor.links[first.index].enabled, "comes up")
            host.ip("link set far7 down")
            await watch.until(lambda: not watch.monitor.links[first.index].enabled, "loses its carrier")
            host.ip("link set far7 up")
            await watch.until(lambda: watch.monitor.links[first.index].enabled, "has a carrier again")

            host.ip("link set eth7 address 02:00:00:00:00:0b")
            await watch.until(lambda: watch.monitor.links[first.index].mac_address[-1] == 0x0B, "has another address")

            host.ip("link set eth7 name renamed")
            await watch.until(lambda: watch.named("renamed"), "renamed")
            assert watch.named("renamed").index == first.index and watch.named("eth7") is None

            host.ip("link set renamed alias evbagent:veb")
            await watch.until(lambda: watch.named("renamed").alias == "evbagent:veb", "marked")

            host.ip("link del renamed")
            await watch.until(lambda: watch.named("renamed") is None, "gone")
            gone = [change for change in watch.changes if change.new is None and change.old.index == first.index]
            assert [change.moved_to for change in gone] == [None]

    run_in(host, scenario)


def test_the_monitor_follows_a_bridge_port(host: Namespace) -> None:
    async def scenario() -> None:
        host.ip("link add name br0 type bridge")
        host.ip("link add name br1 type bridge")
        with Watch() as watch:
            index = watch.named("sw0").index
            bridge = {name: watch.named(name).index for name in ("br0", "br1")}

            def port() -> tuple[int | None, bool | None, bool]:
                link = watch.monitor.links[index]
                return link.controller, link.hairpin, link.is_bridge_port

            host.ip("link set sw0 master br0")
            await watch.until(lambda: port() == (bridge["br0"], False, True), "enslaved")
            with RouteSocket() as socket:
                socket.set_hairpin(index, True)
            await watch.until(lambda: port() == (bridge["br0"], True, True), "hairpin mode by us")
            host.run("bridge link set dev sw0 hairpin off")
            await watch.until(lambda: port() == (bridge["br0"], False, True), "hairpin mode by bridge(8)")
            host.ip("link set sw0 type bridge_slave hairpin on")
            await watch.until(lambda: port() == (bridge["br0"], True, True), "hairpin mode by ip(8)")
            host.ip("link set sw0 down")
            host.run("bridge link set dev sw0 hairpin off")
            await watch.until(lambda: port() == (bridge["br0"], False, True), "hairpin mode of a port that is down")

            host.ip("link set sw0 nomaster")
            await watch.until(lambda: port() == (None, None, False), "left the bridge")
            host.ip("link set sw0 master br0")
            host.ip("link set sw0 master br1")
            await watch.until(lambda: port() == (bridge["br1"], False, True), "changed bridges")
            host.ip("link del br1")
            await watch.until(lambda: port() == (None, None, False) and watch.named("br1") is None, "bridge deleted")

            await watch.settle()
            # A port that leaves is still there: no change but the bridges' own end says "gone".
            assert [change.old.name for change in watch.changes if change.new is None] == ["br1"]
            with RouteSocket() as socket:
                assert {link.index: link for link in socket.dump_links()} == watch.monitor.links

    run_in(host, scenario)


def test_the_monitor_sees_a_guest_device_change_its_mode(host: Namespace) -> None:
    async def scenario() -> None:
        host.ip("link add name g0 link up0 type macvlan mode vepa")
        with Watch() as watch:
            await watch.until(lambda: watch.named("g0"), "appears")
            assert (watch.named("g0").macvlan_mode, watch.named("g0").parent) == ("vepa", watch.named("up0").index)
            host.ip("link set g0 up")
            host.ip("link set g0 type macvlan mode bridge")
            await watch.until(lambda: watch.named("g0").macvlan_mode == "bridge", "changes its mode")
            host.ip("link set g0 alias evbagent:veb")
            await watch.until(lambda: watch.named("g0").alias == "evbagent:veb", "marked")

    run_in(host, scenario)


def test_what_the_kernel_does_not_tell_of_an_interface_that_is_down_is_known_when_it_comes_up(host: Namespace) -> None:
    async def scenario() -> None:
        with Watch() as watch:
            host.ip("link add name g0 link up0 type macvlan mode vepa")
            await watch.until(lambda: watch.named("g0"), "appears")
            host.ip("link set g0 type macvlan mode bridge")
            host.ip("link set g0 alias evbagent:veb")
            await watch.settle()
            assert (watch.named("g0").macvlan_mode, watch.named("g0").alias) == ("vepa", "")
            host.ip("link set g0 up")
            await watch.until(lambda: watch.named("g0").enabled, "comes up")
            assert (watch.named("g0").macvlan_mode, watch.named("g0").alias) == ("bridge", "evbagent:veb")

    run_in(host, scenario)


def test_a_guest_device_made_here_appears_with_its_mark(host: Namespace) -> None:
    async def scenario() -> None:
        with Watch() as watch, RouteSocket() as socket:
            made = socket.create_macvlan("g0", watch.named("up0").index, "macvtap", "vepa", None, "evbagent:veb")
            await watch.until(lambda: watch.named("g0") == made, "made")
            enabled = [change.new for change in watch.changes if change.new is not None and change.new.enabled]
            assert {link.alias for link in enabled if link.name == "g0"} == {"evbagent:veb"}

    run_in(host, scenario)


def test_the_monitor_says_where_an_interface_was_moved_to(host: Namespace, make_namespace: MakeNamespace) -> None:
    guest = make_namespace("guest")

    async def scenario() -> None:
        host.ip("link add name g0 link up0 type macvtap mode vepa")
        host.ip("link add name g1 link up0 type macvtap mode vepa")
        with Watch() as watch, RouteSocket() as socket:
            index, taken = watch.named("g0").index, watch.named("g1").index
            host.ip(f"link set g0 netns {guest.pid}")
            await watch.until(lambda: watch.named("g0") is None, "moved")
            (nsid,) = socket.namespace_ids()
            assert watch.changes[-1].moved_to == (nsid, index)
            assert socket.get_link(index=index, nsid=nsid).name == "g0"

            # Its index is taken where it goes: it gets another one there.
            guest.ip(f"link add name other index {taken} type veth peer name far")
            host.ip(f"link set g1 netns {guest.pid} name g1moved")
            await watch.until(lambda: watch.named("g1") is None, "moved")
            assert watch.changes[-1].moved_to is not None
            where, there = watch.changes[-1].moved_to
            assert where == nsid and there != taken
            assert socket.get_link(index=there, nsid=nsid).name == "g1moved"

            guest.ip(f"link set g0 netns {host.pid}")
            await watch.until(lambda: watch.named("g0"), "came back")
            assert watch.named("g0").parent == watch.named("up0").index

    run_in(host, scenario)


def test_an_index_that_is_used_again_is_another_interface(host: Namespace) -> None:
    async def scenario() -> None:
        host.ip("link add name eth7 index 77 type veth peer name far7")
        with Watch() as watch:
            # Not one datagram is read in between.
            host.ip("link del eth7")
            host.ip("link add name br7 index 77 type bridge")
            await watch.until(lambda: watch.named("br7"), "appears")
            about = [(change.old and change.old.name, change.new and change.new.name) for change in watch.changes]
            assert about.index(("eth7", None)) < about.index((None, "br7"))

    run_in(host, scenario)


@pytest.mark.parametrize("receive_buffer", [2048, 1 << 17, 1 << 18, 1 << 19])
def test_changes_that_were_lost_are_made_up(host: Namespace, receive_buffer: int) -> None:
    async def scenario() -> None:
        host.ip("link add name reused index 77 type veth peer name far7")
        host.ip("link add name gone type veth peer name c")
        with Watch(receive_buffer) as watch:
            index = watch.named("up0").index
            batch = ["link del reused", "link del gone", "link add name br7 index 77 type bridge"]
            batch += [f"link add name m{i} link up0 type macvlan mode vepa" for i in range(400)]
            batch += ["link set up0 down", "link set up0 address 02:00:00:00:00:77", "link set up0 name out0"]
            host.run("ip -batch -", input="\n".join(batch))
            await watch.until(lambda: watch.monitor.links[index].name == "out0" and watch.named("m399"), "made up")
            await watch.settle()
            assert watch.monitor.overflows > 0
            assert watch.named("gone") is None and watch.named("reused") is None
            about = [(change.old and change.old.name, change.new and change.new.name) for change in watch.changes]
            assert about.index(("reused", None)) < about.index((None, "br7"))
            with RouteSocket() as socket:
                assert {link.index: link for link in socket.dump_links()} == watch.monitor.links == watch.seen

            # And it hears what comes after.
            host.ip("link set out0 up")
            await watch.until(lambda: watch.monitor.links[index].enabled, "comes up")

    run_in(host, scenario)


def test_a_new_dump_that_differs_in_nothing_reports_nothing(host: Namespace) -> None:
    async def scenario() -> None:
        host.bridge("br0", ["sw0"])
        with Watch() as watch:
            await watch.settle()
            watch.changes.clear()
            watch.monitor.resync()
            assert watch.changes == []

    run_in(host, scenario)


def test_the_monitor_may_be_closed_from_its_own_report(host: Namespace) -> None:
    async def scenario() -> None:
        closed = asyncio.Event()

        def close(change: LinkChange) -> None:
            monitor.close()
            closed.set()

        monitor = LinkMonitor(close)
        monitor.start(asyncio.get_running_loop())
        host.ip("link del up0")
        await asyncio.wait_for(closed.wait(), 5)
        monitor.close()

    run_in(host, scenario)
