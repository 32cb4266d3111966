"""Frames of the agent's protocols on one network interface."""

import os
import socket
import struct
from array import array
from collections.abc import Sequence
from contextlib import suppress
from errno import EADDRNOTAVAIL, EILSEQ, ENETDOWN
from fcntl import ioctl

from protocols.frame import ETHERTYPE_LLDP

ETHERTYPES_ECP = (0x8940, 0x88B7, 0x8890)
MAXIMUM_FRAME = 65535

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_DROP_MEMBERSHIP = 2
PACKET_STATISTICS = 6
PACKET_IGNORE_OUTGOING = 23
PACKET_MR_MULTICAST = 0
SO_ATTACH_FILTER = 26
TC_PRIO_CONTROL = 7
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 2 << 20
BIND_ATTEMPTS = 5
SIOCGIFNAME, SIOCGIFINDEX = 0x8910, 0x8933

_IFREQ = struct.Struct("16si20x")

Instruction = tuple[int, int, int, int]
"""Classic BPF: code, jump if true, jump if false (both relative to the next instruction), operand."""

LOAD_WORD, LOAD_HALF = 0x20, 0x28
AND, JUMP_EQUAL, RETURN = 0x54, 0x15, 0x06
SKF_AD_PKTTYPE = 0xFFFFF000 + 4
SKF_AD_VLAN_TAG = 0xFFFFF000 + 44
SKF_AD_VLAN_TAG_PRESENT = 0xFFFFF000 + 48
VID = 0x0FFF
PACKET_HOST = 0
GROUP_BIT = 0x01
ACCEPT: Instruction = (RETURN, 0, 0, 0xFFFFFFFF)
DROP: Instruction = (RETURN, 0, 0, 0)


def check_permission() -> None:
    """PermissionError unless this process may open packet sockets (CAP_NET_RAW)."""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0).close()


class PacketSocket:
    """Receives the LLDP frames to `groups` that reach an interface, and with `ecp` ECP's, to them and to the interface.

    The socket taps the interface before a bridge, macvlan or bond takes the frames, and never sees what is sent. It
    outlives the interface's going down and renaming. The kernel drops all other frames, those with a VLAN tag included;
    a tag with VID 0 only carries a priority, so the frame is untagged and is received without it.
    """

    def __init__(self, ifindex: int, groups: Sequence[bytes], *, ecp: bool = False) -> None:
        # Without a protocol it receives nothing yet, so no frame gets in before the filter and the interface are set.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._drops = 0
        self._ifindex = ifindex
        self._groups = tuple(groups)
        self._ecp = ecp
        self._another: bytes | None = None
        # Frames that are kept for long must not lie scattered among blocks as large as the largest of all frames.
        self._buffer = memoryview(bytearray(MAXIMUM_FRAME))
        try:
            self._socket.setblocking(False)
            _set_receive_buffer(self._socket)
            self._attach_filter()
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            for group in groups:
                self._membership(PACKET_ADD_MEMBERSHIP, group)
            with suppress(PermissionError):  # the highest priority is a privilege, and only a preference
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, TC_PRIO_CONTROL)
            bind(self._socket, ifindex)
        except OSError:
            self._socket.close()
            raise

    def listen_for_ecp_to(self, another: bytes | None) -> None:
        """Another destination of ECPDUs that are for us, instead of the last one that was named; None: no other."""
        if not self._ecp or another == self._another:
            return
        before, self._another = self._another, another
        self._attach_filter()
        # An interface that is gone, or knows no more groups, is no reason to stop: the filter lets them in.
        for option, address in ((PACKET_DROP_MEMBERSHIP, before), (PACKET_ADD_MEMBERSHIP, another)):
            if address and address[0] & GROUP_BIT and address not in self._groups:
                with suppress(OSError):
                    self._membership(option, address)

    def receive(self) -> bytes | None:
        """The next frame, whole; None when there is none."""
        while True:
            try:
                return bytes(self._buffer[: self._socket.recv_into(self._buffer)])
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno != ENETDOWN:
                    raise
                # The kernel says once that the interface went down, ahead of the frames that arrived before.

    def send(self, frame: bytes) -> None:
        """Raises OSError: the interface is down or gone, its queue is full, the frame is longer than its MTU allows."""
        self._socket.send(frame)

    def drops(self) -> int:
        """How many wanted frames were lost because the receive buffer was full."""
        _, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._drops += dropped  # reading it sets the kernel's count to zero
        return self._drops

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _attach_filter(self) -> None:
        """In the place of the one that was there."""
        ecp = (*self._groups, *([self._another] if self._another else ())) if self._ecp else None
        _attach_filter(self._socket, _filter(self._groups, ecp))

    def _membership(self, option: int, group: bytes) -> None:
        member = struct.pack("iHH8s", self._ifindex, PACKET_MR_MULTICAST, len(group), group)
        self._socket.setsockopt(SOL_PACKET, option, member)


def _set_receive_buffer(packet_socket: socket.socket) -> None:
    """Room for a burst of some thousand LLDPDUs; only the first user namespace may pass the system's limit."""
    try:
        packet_socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        packet_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def bind(packet_socket: socket.socket, ifindex: int) -> None:
    """Binds by index. `socket` only knows names, and an interface may be renamed in between: check, try again.

    Takes no descriptor but the socket's own, unlike if_indextoname. Raises OSError.
    """
    for _ in range(BIND_ATTEMPTS):
        name, _ = _interface_request(packet_socket, SIOCGIFNAME, index=ifindex)
        try:
            packet_socket.bind((name.decode(), ETH_P_ALL))
        except UnicodeDecodeError:
            raise OSError(EILSEQ, f"interface {ifindex} has a name that is not UTF-8") from None
        with suppress(OSError):
            bound = os.fsencode(packet_socket.getsockname()[0])
            if _interface_request(packet_socket, SIOCGIFINDEX, bound)[1] == ifindex:
                return
    raise OSError(EADDRNOTAVAIL, f"interface {ifindex} keeps changing its name")


def _interface_request(any_socket: socket.socket, request: int, name: bytes = b"", index: int = 0) -> tuple[bytes, int]:
    """Name and index in the `struct ifreq` that comes back."""
    octets, index = _IFREQ.unpack(ioctl(any_socket, request, _IFREQ.pack(name, index)))
    return octets.partition(b"\0")[0], index


def _filter(lldp: Sequence[bytes], ecp: Sequence[bytes] | None) -> list[Instruction]:
    """Accepts untagged frames: LLDP's to one of `lldp`; ECP's to one of `ecp` or to the interface itself."""
    lldp_part = [*_to_one_of(lldp), DROP]
    # The kernel has compared the destination with the interface's address, whatever that is by now.
    ecp_part = [(LOAD_WORD, 0, 0, SKF_AD_PKTTYPE), (JUMP_EQUAL, 0, 1, PACKET_HOST), ACCEPT]
    ecp_part += [*_to_one_of(ecp or ()), DROP]
    ethertypes = ETHERTYPES_ECP if ecp is not None else ()
    return [
        # The kernel takes the outer tag out of every frame before a tap sees it.
        (LOAD_WORD, 0, 0, SKF_AD_VLAN_TAG_PRESENT),
        (JUMP_EQUAL, 4, 0, 0),
        (LOAD_WORD, 0, 0, SKF_AD_VLAN_TAG),
        (AND, 0, 0, VID),
        (JUMP_EQUAL, 1, 0, 0),
        DROP,
        (LOAD_HALF, 0, 0, 12),
        (JUMP_EQUAL, 0, len(lldp_part), ETHERTYPE_LLDP),
        *lldp_part,
        *((JUMP_EQUAL, len(ethertypes) - number, 0, ethertype) for number, ethertype in enumerate(ethertypes)),
        DROP,
        *ecp_part,
    ]


def _to_one_of(addresses: Sequence[bytes]) -> list[Instruction]:
    """Accepts frames to these destinations, and goes on with what follows for others."""
    program: list[Instruction] = []
    for address in addresses:
        program += [
            (LOAD_WORD, 0, 0, 0),
            (JUMP_EQUAL, 0, 3, int.from_bytes(address[:4], "big")),
            (LOAD_HALF, 0, 0, 4),
            (JUMP_EQUAL, 0, 1, int.from_bytes(address[4:], "big")),
            ACCEPT,
        ]
    return program


def _attach_filter(packet_socket: socket.socket, program: Sequence[Instruction]) -> None:
    """SO_ATTACH_FILTER takes a `struct sock_fprog`: the number of instructions, and where they are."""
    code = array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    address, _ = code.buffer_info()
    packet_socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), address))
