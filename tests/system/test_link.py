"""What the packet socket lets through, on real interfaces: alone, in a bridge, under a macvlan."""

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evbagent.link import PacketSocket
from tests.support.agent import Agent
from tests.support.namespaces import Namespace, PacketTap, wait_until

pytestmark = pytest.mark.system

STATION, SWITCH = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
NEAREST_BRIDGE = bytes.fromhex("0180c200000e")
NEAREST_NON_TPMR_BRIDGE = bytes.fromhex("0180c2000003")
NEAREST_CUSTOMER_BRIDGE = bytes.fromhex("0180c2000000")
GROUPS = (NEAREST_BRIDGE, NEAREST_NON_TPMR_BRIDGE, NEAREST_CUSTOMER_BRIDGE)
BROADCAST = b"\xff" * 6
LLDP, IP, ARP, EXPERIMENTAL = 0x88CC, 0x0800, 0x0806, 0x88B5
ECP = (0x8940, 0x88B7, 0x8890)


def frame(destination: bytes, ethertype: int, mark: int = 0, *tags: tuple[int, int], length: int = 60) -> bytes:
    """From the switch; `mark` fills the payload; each tag is (TPID, TCI)."""
    header = destination + SWITCH + b"".join(tpid.to_bytes(2, "big") + tci.to_bytes(2, "big") for tpid, tci in tags)
    return (header + ethertype.to_bytes(2, "big")).ljust(length, bytes([mark]))


WANTED = [frame(group, LLDP, mark) for mark, group in enumerate(GROUPS, 1)]
UNWANTED = [
    frame(STATION, LLDP),
    frame(BROADCAST, LLDP),
    frame(bytes.fromhex("0180c2000001"), LLDP),
    frame(bytes.fromhex("0180c3000000"), LLDP),
    *(frame(group, ethertype) for group in GROUPS for ethertype in (IP, EXPERIMENTAL, 0x0027)),
    frame(STATION, IP),
    frame(BROADCAST, ARP),
    *(frame(NEAREST_BRIDGE, LLDP, 0, (0x8100, tci)) for tci in (5, 0xE005, 4095)),
    frame(NEAREST_BRIDGE, LLDP, 0, (0x88A8, 5)),
    frame(NEAREST_BRIDGE, LLDP, 0, (0x8100, 0), (0x8100, 5)),
    frame(NEAREST_BRIDGE, LLDP, 0, (0x88A8, 5), (0x8100, 0)),
]


NOBODYS_ECP = [
    *(frame(NEAREST_BRIDGE, ethertype, 0, (0x8100, 5)) for ethertype in ECP),
    *(
        frame(bytes.fromhex(address), ethertype)
        for ethertype in ECP
        for address in ("020000000009", "ffffffffffff", "01005e000001", "0180c2000001", "01000d000f0a")
    ),
]


class Host:
    """A station's interface up0, the PacketSocket on it, and the far end sw0, from which frames come."""

    def __init__(self, namespace: Namespace, far: Namespace) -> None:
        self.namespace, self.far = namespace, far
        self.index = namespace.interface_index("up0")

    @contextmanager
    def open(self, name: str = "up0", *, ecp: bool = False) -> Iterator[PacketSocket]:
        packets = self.namespace.call(PacketSocket, self.namespace.interface_index(name), GROUPS, ecp=ecp)
        try:
            yield packets
        finally:
            packets.close()

    def send(self, *frames: bytes) -> None:
        """From the far end. A veth delivers within this call."""
        with PacketTap(self.far, "sw0") as tap:
            for data in frames:
                tap.socket.send(data)


@pytest.fixture
def host(make_namespace: Callable[..., Namespace]) -> Host:
    near, far = make_namespace("station"), make_namespace("switch")
    near.ip(
        f"link add name up0 address {STATION.hex(':')} mtu 9000 type veth "
        f"peer name sw0 address {SWITCH.hex(':')} mtu 9000 netns {far.pid}"
    )
    near.ip("link set up0 up")
    far.ip("link set sw0 up")
    return Host(near, far)


def received(packets: PacketSocket, at_least: int = 0) -> list[bytes]:
    """All frames that have come; waits for `at_least` of them."""
    frames: list[bytes] = []

    def take() -> bool:
        while (data := packets.receive()) is not None:
            frames.append(data)
        return len(frames) >= at_least

    wait_until(take, f"{at_least} frames")
    return frames


def alone(namespace: Namespace) -> None:
    pass


def in_a_bridge(namespace: Namespace) -> None:
    namespace.bridge("br0", ["up0"])


def in_a_bridge_with_stp(namespace: Namespace) -> None:
    namespace.bridge("br0", ["up0"], "stp_state 1 forward_delay 200")


def in_a_bridge_that_forwards_lldp(namespace: Namespace) -> None:
    namespace.bridge("br0", ["up0"], f"group_fwd_mask {1 << 0xE | 1 << 3:#x}")


def under_a_macvlan(namespace: Namespace) -> None:
    namespace.ip("link add name g0 link up0 type macvlan mode vepa")
    namespace.ip("link set g0 up")


def under_a_passthru_macvtap(namespace: Namespace) -> None:
    namespace.ip("link add name g0 link up0 type macvtap mode passthru")
    namespace.ip("link set g0 up")


SETTINGS = [
    alone,
    in_a_bridge,
    in_a_bridge_with_stp,
    in_a_bridge_that_forwards_lldp,
    under_a_macvlan,
    under_a_passthru_macvtap,
]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.__name__)
@pytest.mark.parametrize("first", ["setting", "socket"])
def test_lldp_to_the_groups_comes_through_and_nothing_else(
    host: Host, setting: Callable[[Namespace], None], first: str
) -> None:
    if first == "setting":
        setting(host.namespace)
    with host.open() as packets:
        if first == "socket":
            setting(host.namespace)
            received(packets)
        host.send(*UNWANTED, WANTED[0], *UNWANTED, WANTED[1], *UNWANTED, WANTED[2])
        assert received(packets, at_least=3) == WANTED
        assert packets.drops() == 0


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
def test_a_priority_tag_is_let_through_and_taken_off(host: Host, tpid: int) -> None:
    with host.open() as packets:
        host.send(*(frame(NEAREST_BRIDGE, LLDP, 7, (tpid, tci), length=64) for tci in (0, 0xE000, 0x1000)))
        assert received(packets, at_least=3) == [frame(NEAREST_BRIDGE, LLDP, 7)] * 3


def test_ecp_only_when_it_is_asked_for(host: Host) -> None:
    ecp = [frame(destination, ethertype) for ethertype in ECP for destination in (*GROUPS, STATION)]
    with host.open() as packets, host.open(ecp=True) as with_ecp:
        host.send(*UNWANTED, *ecp, *NOBODYS_ECP, WANTED[0])
        assert received(packets, at_least=1) == [WANTED[0]]
        assert received(with_ecp, at_least=len(ecp) + 1) == [*ecp, WANTED[0]]


def test_others_ecp_is_dropped_where_the_interface_takes_all_frames(host: Host) -> None:
    """A bridge's port does: it would hear what stations and switches beyond the bridge say to each other."""
    host.namespace.ip("link set up0 promisc on")
    with host.open(ecp=True) as packets:
        host.send(*NOBODYS_ECP, frame(STATION, ECP[0]), *NOBODYS_ECP)
        assert received(packets, at_least=1) == [frame(STATION, ECP[0])]


def test_the_interfaces_own_address_is_the_one_that_it_has_now(host: Host) -> None:
    other = bytes.fromhex("020000000003")
    with host.open(ecp=True) as packets:
        host.namespace.ip(f"link set up0 address {other.hex(':')}")
        host.send(frame(STATION, ECP[0]), frame(other, ECP[0]))
        assert received(packets, at_least=1) == [frame(other, ECP[0])]


def test_another_destination_of_ecp_can_be_named_and_changed(host: Host) -> None:
    one, two = bytes.fromhex("01000d000f0a"), bytes.fromhex("01000d000f0b")
    frames = [frame(address, ECP[0]) for address in (one, two)]
    with host.open(ecp=True) as packets:
        for named, expected in ((one, frames[:1]), (two, frames[1:]), (GROUPS[0], []), (STATION, []), (None, [])):
            packets.listen_for_ecp_to(named)
            joined = {address for address in (one, two) if address in _memberships(host, "up0")}
            assert joined == {address for address in (one, two) if address == named}
            assert set(GROUPS) <= _memberships(host, "up0")
            host.send(*frames, *UNWANTED, WANTED[0])
            assert received(packets, at_least=len(expected) + 1) == [*expected, WANTED[0]]
    with host.open() as packets:
        packets.listen_for_ecp_to(one)
        host.send(*frames, WANTED[0])
        assert received(packets, at_least=1) == [WANTED[0]]


def test_nothing_else_so_much_as_wakes_the_agent(host: Host, tmp_path: Path) -> None:
    """Thousands of frames of others cost it no turn of its loop."""
    with Agent(host.namespace, tmp_path, ["up0"]) as agent:
        host.namespace.ip("link set up0 promisc on")

        def turns() -> int:
            status = Path(f"/proc/{agent.pid}/status").read_text()
            return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)

        host.send(WANTED[0])
        agent.evbagent("show", "statistics")
        before = turns()
        for _ in range(100):
            host.send(*UNWANTED, *NOBODYS_ECP)
        assert turns() - before < 50
        for _ in range(100):
            host.send(*WANTED)
        assert turns() - before >= 50, "these do"


def test_long_and_short_frames_are_whole(host: Host) -> None:
    frames = [frame(NEAREST_BRIDGE, LLDP, 9, length=length) for length in (14, 15, 59, 60, 1514, 1515, 9000, 9014)]
    with host.open() as packets:
        host.send(*frames)
        assert received(packets, at_least=len(frames)) == frames


def test_what_is_sent_goes_out_once_and_does_not_come_back(host: Host) -> None:
    ours = NEAREST_BRIDGE + STATION + LLDP.to_bytes(2, "big") + bytes(46)
    with host.open() as packets, host.open() as other, PacketTap(host.far, "sw0") as far:
        packets.send(ours)
        packets.send(ours.ljust(9014, b"\0"))
        assert [len(caught.data) for caught in far.drain()] == [60, 9014]
        with PacketTap(host.namespace, "up0") as neighbour:
            neighbour.socket.send(ours)
        assert received(packets) == received(other) == []


def test_a_frame_is_of_the_highest_priority(host: Host) -> None:
    with host.open() as packets:
        with socket.socket(fileno=os.dup(packets.fileno())) as same:
            assert same.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 7


def test_a_bridges_port_hears_its_neighbour_but_not_what_the_bridge_sends(host: Host) -> None:
    host.namespace.ip("link add name in0 type veth peer name in1")
    host.namespace.ip("link set in1 up")
    host.namespace.bridge("br0", ["up0", "in0"])
    with host.open() as packets, PacketTap(host.namespace, "in1") as inside, PacketTap(host.far, "sw0") as far:
        # A bridge without STP forwards the nearest customer bridge's group in both directions.
        host.send(WANTED[2])
        assert received(packets, at_least=1) == [WANTED[2]]
        assert WANTED[2] in [caught.data for caught in inside.drain() if not caught.outgoing]
        inside.socket.send(WANTED[2])
        assert WANTED[2] in [caught.data for caught in far.drain() if not caught.outgoing]
        assert received(packets) == []


def test_frames_of_other_interfaces_never_get_in(host: Host) -> None:
    host.namespace.ip("link add name other type veth peer name there")
    for name in ("other", "there"):
        host.namespace.ip(f"link set {name} up")
    with host.open("other") as packets:
        host.send(*WANTED)
        assert received(packets) == []


def test_a_socket_may_be_opened_before_its_interface_is_up_and_outlives_down_and_renaming(host: Host) -> None:
    host.namespace.ip("link set up0 down")
    with host.open() as packets:
        assert packets.receive() is None
        with pytest.raises(OSError) as refused:
            packets.send(WANTED[0])
        assert refused.value.errno == errno.ENETDOWN
        host.namespace.ip("link set up0 up")
        host.send(WANTED[0])
        assert received(packets, at_least=1) == [WANTED[0]]

        host.send(WANTED[1])
        host.namespace.ip("link set up0 down")
        assert received(packets, at_least=1) == [WANTED[1]]  # not hidden by the error that says "down"
        assert packets.receive() is None
        host.namespace.ip("link set up0 name out0")
        host.namespace.ip("link set out0 up")
        host.send(WANTED[2])
        assert received(packets, at_least=1) == [WANTED[2]]
        assert set(GROUPS) <= _memberships(host, "out0")


def test_an_interface_that_is_gone_is_silent(host: Host) -> None:
    with host.open() as packets:
        host.namespace.ip("link del up0")
        assert packets.receive() is None
        with pytest.raises(OSError) as refused:
            packets.send(WANTED[0])
        assert refused.value.errno in (errno.ENXIO, errno.ENODEV, errno.ENETDOWN)
    with pytest.raises(OSError):
        host.namespace.call(PacketSocket, 4711, GROUPS)


def test_the_interface_listens_to_the_groups_while_the_socket_is_open(host: Host) -> None:
    with host.open():
        assert set(GROUPS) <= _memberships(host, "up0")
    assert not set(GROUPS) & _memberships(host, "up0")


def _memberships(host: Host, name: str) -> set[bytes]:
    """The link-layer groups of an interface."""
    lines = host.namespace.ip(f"maddress show dev {name}").splitlines()
    return {bytes.fromhex(line.split()[1].replace(":", "")) for line in lines if line.split()[0] == "link"}


def test_the_socket_is_readable_only_when_a_wanted_frame_is_there(host: Host) -> None:
    with host.open() as packets:
        poller = select.poll()
        poller.register(packets.fileno(), select.POLLIN)
        host.send(*UNWANTED)
        assert poller.poll(0) == []
        host.send(WANTED[0])
        assert poller.poll(1000) == [(packets.fileno(), select.POLLIN)]


def test_frames_that_found_no_room_are_counted(host: Host) -> None:
    with host.open() as packets:
        host.send(*[WANTED[0]] * 12_000)
        lost = packets.drops()
        assert lost > 0
        assert len(received(packets)) + lost == 12_000
        assert packets.drops() == lost
        host.send(*[WANTED[0]] * 12_000)
        assert packets.drops() > lost
