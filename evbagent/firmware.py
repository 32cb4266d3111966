"""LLDP agents in a NIC's firmware: private flags of its driver (ethtool), and who runs DCBX (dcbnl; sheet `dcbx.md` 6).

Nothing is changed. A driver that has neither says so, and that is no error.
"""

import socket
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import ioctl

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GPFLAGS, ETHTOOL_GSSET_INFO = 0x1B, 0x27, 0x37
ETH_SS_PRIV_FLAGS = 2
STRING = 32
MOST_FLAGS = 32
NAME = 15
DISABLING = ("disable", "no-", "no_")

NETLINK_ROUTE = 0
RTM_GETDCB = 78
NLM_F_REQUEST = 1
DCB_CMD_GDCBX = 22
DCB_ATTR_IFNAME, DCB_ATTR_DCBX = 1, 14
LLD_MANAGED = 0x02
ANSWER_SECONDS = 0.5
_HEADER, _ATTRIBUTE = struct.Struct("IHHII"), struct.Struct("HH")
_DCB_HEADER = 4

Ioctl = Callable[[int, int, bytes], object]


@dataclass(frozen=True, slots=True)
class PrivateFlag:
    """One that is about LLDP. `firmware_speaks`: as it is set now, the firmware has an LLDP agent of its own."""

    name: str
    on: bool

    @property
    def firmware_speaks(self) -> bool:
        """`fw-lldp-agent` says what is, `disable-fw-lldp` what is not."""
        return self.on != self.name.lower().startswith(DISABLING)


@dataclass(frozen=True, slots=True)
class Firmware:
    """`dcbx`: the mode octet of DCBX, 0 where the driver has none."""

    flags: tuple[PrivateFlag, ...] = ()
    dcbx: int = 0


def read_firmware(name: str) -> Firmware:
    """What can be told of the interface; where nothing can, nothing is."""
    if not 0 < len(name.encode()) <= NAME:
        return Firmware()
    return Firmware(lldp_flags(name), dcbx_mode(name))


def lldp_flags(name: str, control: Ioctl = ioctl) -> tuple[PrivateFlag, ...]:
    """The driver's private flags that have LLDP in their name."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:

            def ask(request: bytes) -> bytes:
                answer = array("B", request)
                address, _ = answer.buffer_info()
                control(any_socket.fileno(), SIOCETHTOOL, struct.pack("16sP16x", name.encode(), address))
                return answer.tobytes()

            sets = ask(struct.pack("IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_PRIV_FLAGS, 0))
            _, _, mask, count = struct.unpack_from("IIQI", sets)
            if not mask or not 0 < count <= MOST_FLAGS:
                return ()
            strings = ask(struct.pack("III", ETHTOOL_GSTRINGS, ETH_SS_PRIV_FLAGS, count) + bytes(count * STRING))
            _, bits = struct.unpack("II", ask(struct.pack("II", ETHTOOL_GPFLAGS, 0)))
    except OSError:
        return ()
    flags = []
    for index in range(count):
        octets, _, _ = strings[12 + index * STRING :][:STRING].partition(b"\0")
        if b"lldp" in octets.lower():
            flags.append(PrivateFlag(octets.decode(errors="backslashreplace"), bool(bits >> index & 1)))
    return tuple(flags)


def dcbx_mode(name: str) -> int:
    """GDCBX: bits of DCB_CAP_DCBX; 0 when the driver knows nothing of it."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE) as kernel:
            kernel.settimeout(ANSWER_SECONDS)
            kernel.bind((0, 0))
            kernel.send(encode_get_dcbx(name))
            return decode_get_dcbx(kernel.recv(1 << 16))
    except OSError:
        return 0


def encode_get_dcbx(name: str) -> bytes:
    value = name.encode() + b"\0"
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), DCB_ATTR_IFNAME) + value
    body = bytes([0, DCB_CMD_GDCBX, 0, 0]) + attribute.ljust((len(attribute) + 3) & ~3, b"\0")
    return _HEADER.pack(_HEADER.size + len(body), RTM_GETDCB, NLM_F_REQUEST, 1, 0) + body


def decode_get_dcbx(answer: bytes) -> int:
    """The mode octet; 0 in a refusal, or in what is no answer."""
    offset = _HEADER.size + _DCB_HEADER
    if len(answer) < offset or _HEADER.unpack_from(answer)[1] != RTM_GETDCB:
        return 0
    while offset + _ATTRIBUTE.size < len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, offset)
        if kind == DCB_ATTR_DCBX and length > _ATTRIBUTE.size:
            return answer[offset + _ATTRIBUTE.size]
        if length < _ATTRIBUTE.size:
            break
        offset += (length + 3) & ~3
    return 0
