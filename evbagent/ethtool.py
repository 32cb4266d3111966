"""What a network card says about its medium, by ethtool's generic netlink.

Only what LLDP announces is asked for: link modes and connector (802.3 MAC/PHY), and power that a port supplies.
"""

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from evbagent import rtnl
from evbagent.attributes import attributes
from evbagent.rtnl import (
    NLA_F_NESTED,
    RequestSocket,
    Selective,
    nla,
    nlmsg,
)

NETLINK_GENERIC = 16
GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
LINKINFO_GET, LINKMODES_GET, PSE_GET = 2, 4, 36
COMPACT_BITSETS = 1

HEADER = 1
LINKINFO_PORT = 2
LINKMODES_AUTONEG, LINKMODES_OURS, LINKMODES_PEER, LINKMODES_SPEED, LINKMODES_DUPLEX = 2, 3, 4, 5, 6
C33_PSE_ADMIN_STATE, C33_PSE_PW_CLASS = 5, 8
BITSET_VALUE, BITSET_MASK = 4, 5

SPEED_UNKNOWN = 0xFFFFFFFF
DUPLEX_HALF, DUPLEX_FULL = 0, 1
PSE_ADMIN_STATE_ENABLED = 3


class Port(IntEnum):
    """ETHTOOL_A_LINKINFO_PORT: the connector."""

    TWISTED_PAIR = 0
    AUI = 1
    MII = 2
    FIBRE = 3
    BNC = 4
    DIRECT_ATTACH = 5
    NONE = 0xEF
    OTHER = 0xFF


@dataclass(frozen=True, slots=True)
class LinkModes:
    """Bit n of the masks is link mode n of ethtool. `speed` in Mb/s and `full_duplex` are None when not known.

    `peer`: what the other side offers, 0 where the card does not tell.
    """

    auto_negotiation: bool
    supported: int
    advertised: int
    peer: int = 0
    speed: int | None = None
    full_duplex: bool | None = None
    port: int = Port.OTHER


@dataclass(frozen=True, slots=True)
class PowerSupply:
    """A port that powers what is connected to it (802.3 clause 33). `power_class`: of the device, None: not known."""

    enabled: bool
    power_class: int | None = None


@dataclass(frozen=True, slots=True)
class Ethtool:
    """`modes` is None where the interface has none, or does not tell for `reason`."""

    modes: LinkModes | None = None
    power: PowerSupply | None = None
    reason: str = ""


class EthtoolSocket(RequestSocket):
    """Asks about interfaces of the network namespace in which the object was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC)
        try:
            self._socket.settimeout(rtnl.ANSWER_TIMEOUT_SECONDS)
            self._socket.setsockopt(rtnl.SOL_NETLINK, rtnl.NETLINK_CAP_ACK, 1)
            self._socket.setsockopt(rtnl.SOL_NETLINK, rtnl.NETLINK_EXT_ACK, 1)
            self._socket.bind((0, 0))
            self._sequence = count(1)
            self._family = self._resolve()
        except OSError:
            self._socket.close()
            raise

    def read(self, index: int) -> Ethtool:
        """Never raises: what an interface does not tell is None."""
        try:
            modes_answer = self._ask(LINKMODES_GET, index)
        except OSError as error:
            return Ethtool(reason=str(error))
        port = power = None
        with suppress(OSError):
            port = self._ask(LINKINFO_GET, index).get(LINKINFO_PORT)
        modes = link_modes(modes_answer, port)
        if modes is None:
            return Ethtool(reason="it is virtual: it has no link modes")
        with suppress(OSError):
            power = power_supply(self._ask(PSE_GET, index))
        return Ethtool(modes, power)

    def _ask(self, command: int, index: int) -> Mapping[int, bytes]:
        request = EthtoolMessage()
        request["header"]["type"] = self._family
        request["cmd"], request["version"] = command, 1
        header = {"attrs": [("ETHTOOL_A_HEADER_DEV_INDEX", index), ("ETHTOOL_A_HEADER_FLAGS", COMPACT_BITSETS)]}
        request["attrs"] = [("HEADER", header)]
        answer = self.get(request, f"ask ethtool about network interface {index}")
        return {int(name): value for name, value in answer["attrs"] if name != "HEADER"}

    def _resolve(self) -> int:
        """The number that the kernel has given to ethtool's messages. NetlinkError before Linux 5.6."""
        request = ControlMessage()
        request["header"]["type"] = GENL_ID_CTRL
        request["cmd"], request["version"] = CTRL_CMD_GETFAMILY, 1
        request["attrs"] = [("CTRL_ATTR_FAMILY_NAME", "ethtool")]
        answer = self.get(request, "look up ethtool's generic netlink family")
        return int(_SHORT.unpack_from(answer.values()["CTRL_ATTR_FAMILY_ID"])[0])


class ControlMessage(Selective, nlmsg):
    """CTRL_CMD_GETFAMILY."""

    fields = (("cmd", "B"), ("version", "B"), ("reserved", "H"))
    nla_map = ((1, "CTRL_ATTR_FAMILY_ID", "cdata"), (2, "CTRL_ATTR_FAMILY_NAME", "asciiz"))


class RequestHeader(Selective, nla):
    """Which interface is meant, and how the answer should look."""

    nla_flags = NLA_F_NESTED
    nla_map = ((1, "ETHTOOL_A_HEADER_DEV_INDEX", "uint32"), (3, "ETHTOOL_A_HEADER_FLAGS", "uint32"))


class EthtoolMessage(Selective, nlmsg):
    """Any of ethtool's messages: the header comes first in each, the others are known by their numbers."""

    fields = ControlMessage.fields
    nla_map = ((HEADER, "HEADER", "header_"), *((number, str(number), "cdata") for number in range(2, 16)))
    header_ = RequestHeader


def link_modes(answer: Mapping[int, bytes], port: bytes | None) -> LinkModes | None:
    """None where no mode is supported: a virtual interface, which has no medium."""
    ours = dict(attributes(answer.get(LINKMODES_OURS, b"")))
    peer = dict(attributes(answer.get(LINKMODES_PEER, b"")))
    supported = _mask(ours.get(BITSET_MASK, b""))
    if not supported:
        return None
    speed = _WORD.unpack_from(answer[LINKMODES_SPEED])[0] if LINKMODES_SPEED in answer else SPEED_UNKNOWN
    duplex = answer.get(LINKMODES_DUPLEX, b"\xff")[0]
    return LinkModes(
        auto_negotiation=answer.get(LINKMODES_AUTONEG, b"\0")[0] == 1,
        supported=supported,
        advertised=_mask(ours.get(BITSET_VALUE, b"")),
        peer=_mask(peer.get(BITSET_VALUE, b"")),
        speed=None if speed in (0, SPEED_UNKNOWN) else speed,
        full_duplex=duplex == DUPLEX_FULL if duplex in (DUPLEX_HALF, DUPLEX_FULL) else None,
        port=port[0] if port else Port.OTHER,
    )


def power_supply(answer: Mapping[int, bytes]) -> PowerSupply | None:
    """None for a port that supplies no power by clause 33, as one with power over a single pair (clause 104)."""
    if C33_PSE_ADMIN_STATE not in answer:
        return None
    power_class = _number(answer.get(C33_PSE_PW_CLASS))
    return PowerSupply(_number(answer[C33_PSE_ADMIN_STATE]) == PSE_ADMIN_STATE_ENABLED, power_class)


def _number(octets: bytes | None) -> int | None:
    return None if octets is None else int(_WORD.unpack_from(octets)[0])


def _mask(octets: bytes) -> int:
    """A bit set in words of the machine's byte order."""
    return sum(word << 32 * place for place, (word,) in enumerate(_WORD.iter_unpack(octets[: len(octets) & ~3])))


_SHORT = struct.Struct("H")
_WORD = struct.Struct("I")
