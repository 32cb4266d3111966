"""The netlink messages by which libvirt asks for 802.1Qbg ports (sheet `lldpad-interfaces.md` 2): octets <-> values.

Messages from one process to another, in the form in which the kernel would take them: RTM_SETLINK asks for one VSI,
RTM_GETLINK for what has become of all those of an interface. All integers are in the host's byte order. What libvirt
and vdptest send is accepted, in whatever order; attributes that mean nothing here are passed over.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from errno import EINVAL, EOPNOTSUPP
from types import MappingProxyType

from protocols.vdp.vsi import Mode

HEADER_OCTETS = 16
MOST_OF_A_NEST = 0xFFFF
MOST_OF_A_NAME = 15
SELF_VF = 0xFFFFFFFF

NLMSG_ERROR = 2
NLMSG_DONE = 3
RTM_GETLINK = 18
RTM_SETLINK = 19
NLM_F_REQUEST = 1


class PortResponse(IntEnum):
    """IFLA_PORT_RESPONSE: the switch's codes, those of both editions, and lldpad's own word for its silence."""

    SUCCESS = 0
    INVALID_FORMAT = 1
    INSUFFICIENT_RESOURCES = 2
    MANAGER_UNREACHABLE = 3
    OTHER_FAILURE = 4
    INVALID_ADDRESS = 5
    OUT_OF_SYNC = 6
    TIMED_OUT = 253


class MessageError(Exception):
    """A message that is not answered otherwise: `errno` goes back to the sender, the text into the log."""

    def __init__(self, errno: int, text: str) -> None:
        super().__init__(text)
        self.errno = errno


@dataclass(frozen=True, slots=True)
class Header:
    """`port_id`: of the sender's socket for notifications, which need not be the one that it sends from."""

    kind: int
    flags: int
    sequence: int
    port_id: int
    octets: bytes

    @property
    def wants_an_answer(self) -> bool:
        """Answers and errors must never be answered: two agents would do it for ever."""
        return bool(self.flags & NLM_F_REQUEST) and self.kind not in (NLMSG_ERROR, NLMSG_DONE)


@dataclass(frozen=True, slots=True)
class PortProfile:
    """What identifies the VSI and its type. `manager` has one octet, `uuid` sixteen."""

    manager: int
    type_id: int
    version: int
    uuid: bytes


@dataclass(frozen=True, slots=True)
class VsiQuery:
    """One VSI of one interface, of this name or else of this index. `mac` None: all frames of the VLAN. VID 0: none."""

    index: int
    interface: str | None
    mode: Mode
    profile: PortProfile
    mac: bytes | None
    vid: int
    priority: int


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What has become of the VSIs of one interface."""

    index: int
    interface: str | None


Query = VsiQuery | ListQuery


def messages(datagram: bytes) -> Iterator[tuple[Header, bytes]]:
    """Each message of a datagram: header, and what follows it. MessageError when the rest makes no sense.

    What has not even a header cannot be answered: the error then has the number 0.
    """
    offset = 0
    while offset < len(datagram):
        if len(datagram) - offset < HEADER_OCTETS:
            raise MessageError(0, f"{len(datagram) - offset} octets are no message")
        length, kind, flags, sequence, port_id = _HEADER.unpack_from(datagram, offset)
        header = Header(kind, flags, sequence, port_id, datagram[offset : offset + HEADER_OCTETS])
        if not HEADER_OCTETS <= length <= len(datagram) - offset:
            raise BrokenMessage(header, f"length {length} in {len(datagram) - offset} octets")
        yield header, datagram[offset + HEADER_OCTETS : offset + length]
        offset += _aligned(length)


class BrokenMessage(MessageError):
    """A message of a wrong length; its header can be answered."""

    def __init__(self, header: Header, text: str) -> None:
        super().__init__(EINVAL, text)
        self.header = header


def decode(header: Header, body: bytes) -> Query:
    """The query in a message. Raises MessageError."""
    if header.kind not in (RTM_SETLINK, RTM_GETLINK):
        raise MessageError(EOPNOTSUPP, f"message type {header.kind} is neither RTM_SETLINK nor RTM_GETLINK")
    if len(body) < _IFINFOMSG.size:
        raise MessageError(EINVAL, f"ifinfomsg has {len(body)} octets instead of {_IFINFOMSG.size}")
    index = _IFINFOMSG.unpack_from(body)[1]
    attributes = _attributes(body[_IFINFOMSG.size :], "IFLA")
    interface = _interface(attributes.get(_IFLA_IFNAME))
    if interface is None and index <= 0:
        raise MessageError(EINVAL, "neither IFLA_IFNAME nor an interface index")
    if header.kind == RTM_GETLINK:
        return ListQuery(index, interface)
    mac, vid, priority = _filter(_nested(attributes, _IFLA_VFINFO_LIST, "IFLA_VFINFO_LIST"))
    port = _nested(_nested(attributes, _IFLA_VF_PORTS, "IFLA_VF_PORTS"), _IFLA_VF_PORT, "IFLA_VF_PORT")
    request = _one(port, _IFLA_PORT_REQUEST, "IFLA_PORT_REQUEST", 1)[0]
    if request not in _MODES:
        raise MessageError(EINVAL, f"IFLA_PORT_REQUEST {request} is not known")
    return VsiQuery(index, interface, _MODES[request], _profile(port), mac, vid, priority)


def encode_error(header: Header, errno: int) -> bytes:
    """The answer to a request; `errno` 0: it was accepted."""
    body = _INT.pack(-errno) + header.octets
    return _HEADER.pack(HEADER_OCTETS + len(body), NLMSG_ERROR, 0, header.sequence, header.port_id) + body


def encode_entry(uuid: bytes, response: int | None) -> bytes:
    """One VSI in the answer to a `ListQuery`. `response` None: the switch has not said anything yet."""
    port = _attribute(_IFLA_PORT_INSTANCE_UUID, uuid) + _attribute(_IFLA_PORT_VF, _WORD.pack(SELF_VF))
    if response is not None:
        port += _attribute(_IFLA_PORT_RESPONSE, _SHORT.pack(response))
    return _attribute(_IFLA_VF_PORT | _NESTED, port)


def encode_list(header: Header, index: int, entries: Iterable[bytes]) -> bytes:
    """The answer to a `ListQuery`: as many entries as a netlink attribute can hold (1,489), the first ones."""
    body = _IFINFOMSG.pack(0, index, 0, 0)
    ports = b"".join(entries)
    if len(ports) > _MOST_OF_ENTRIES:
        ports = _whole_entries(ports)
    if ports:
        body += _attribute(_IFLA_VF_PORTS | _NESTED, ports)
    # All versions of libvirt take this type; few take the kernel's RTM_NEWLINK.
    return _HEADER.pack(HEADER_OCTETS + len(body), NLMSG_DONE, 0, header.sequence, header.port_id) + body


def encode_notification(query: VsiQuery, index: int, interface: str, sequence: int, published: int) -> bytes:
    """The switch has taken the VSI of this request away. `published`: the number in the pid file."""
    info = b""
    if query.mac is not None:
        info += _attribute(_IFLA_VF_MAC, _WORD.pack(SELF_VF) + query.mac.ljust(_ADDRESS_OCTETS, b"\0"))
    info += _attribute(_IFLA_VF_VLAN, _VLAN.pack(SELF_VF, query.vid, query.priority))
    profile = query.profile
    kind = bytes([profile.manager]) + profile.type_id.to_bytes(3, "little") + bytes([profile.version, 0, 0, 0])
    port = _attribute(_IFLA_PORT_VSI_TYPE, kind)
    port += _attribute(_IFLA_PORT_INSTANCE_UUID, profile.uuid)
    port += _attribute(_IFLA_PORT_VF, _WORD.pack(SELF_VF))
    port += _attribute(_IFLA_PORT_REQUEST, bytes([_DISASSOCIATE]))  # one octet, whatever lldpad sends
    body = _IFINFOMSG.pack(0, index, 0, 0) + _attribute(_IFLA_IFNAME, interface.encode() + b"\0")
    body += _attribute(_IFLA_VFINFO_LIST | _NESTED, _attribute(_IFLA_VF_INFO | _NESTED, info))
    body += _attribute(_IFLA_VF_PORTS | _NESTED, _attribute(_IFLA_VF_PORT | _NESTED, port))
    return _HEADER.pack(HEADER_OCTETS + len(body), RTM_SETLINK, 0, sequence, published) + body


def _filter(infos: Mapping[int, bytes]) -> tuple[bytes | None, int, int]:
    """MAC address, VID and priority. Of several IFLA_VF_INFO the last one counts, as it does in lldpad."""
    info = _nested(infos, _IFLA_VF_INFO, "IFLA_VF_INFO")
    vlan = _one(info, _IFLA_VF_VLAN, "IFLA_VF_VLAN", _VLAN.size)
    _, vid, priority = _VLAN.unpack_from(vlan)
    if vid > 4094:
        raise MessageError(EINVAL, f"VLAN {vid} is not in 0 to 4094")
    if priority > 7:
        raise MessageError(EINVAL, f"priority {priority} is not in 0 to 7")
    if _IFLA_VF_MAC not in info:
        return None, vid, priority
    mac = _one(info, _IFLA_VF_MAC, "IFLA_VF_MAC", _WORD.size + 6)[_WORD.size : _WORD.size + 6]
    if mac[0] & 1 or not any(mac):
        raise MessageError(EINVAL, f"{mac.hex(':')} is nobody's MAC address")
    return mac, vid, priority


def _profile(port: Mapping[int, bytes]) -> PortProfile:
    kind = _one(port, _IFLA_PORT_VSI_TYPE, "IFLA_PORT_VSI_TYPE", 5)
    uuid = _one(port, _IFLA_PORT_INSTANCE_UUID, "IFLA_PORT_INSTANCE_UUID", 16)[:16]
    return PortProfile(kind[0], int.from_bytes(kind[1:4], "little"), kind[4], uuid)


def _interface(value: bytes | None) -> str | None:
    if value is None:
        return None
    name = value.split(b"\0")[0]
    if not 0 < len(name) <= MOST_OF_A_NAME:
        raise MessageError(EINVAL, f"IFLA_IFNAME has {len(name)} octets")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise MessageError(EINVAL, f"IFLA_IFNAME {name.hex()} is no text") from None


def _nested(attributes: Mapping[int, bytes], kind: int, name: str) -> Mapping[int, bytes]:
    return _attributes(_one(attributes, kind, name, 0), name)


def _one(attributes: Mapping[int, bytes], kind: int, name: str, least: int) -> bytes:
    value = attributes.get(kind)
    if value is None:
        raise MessageError(EINVAL, f"{name} is missing")
    if len(value) < least:
        raise MessageError(EINVAL, f"{name} has {len(value)} octets instead of {least}")
    return value


def _attributes(octets: bytes, where: str) -> dict[int, bytes]:
    """Attributes by number, of several with the same the last one."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset < len(octets):
        if len(octets) - offset < _ATTRIBUTE.size:
            raise MessageError(EINVAL, f"{where}: {len(octets) - offset} octets are no attribute")
        length, kind = _ATTRIBUTE.unpack_from(octets, offset)
        if not _ATTRIBUTE.size <= length <= len(octets) - offset:
            raise MessageError(EINVAL, f"{where}: attribute of length {length} in {len(octets) - offset} octets")
        found[kind & _KIND] = octets[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(length)
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def _whole_entries(ports: bytes) -> bytes:
    end = 0
    while True:
        length = _aligned(_ATTRIBUTE.unpack_from(ports, end)[0])
        if end + length > _MOST_OF_ENTRIES:
            return ports[:end]
        end += length


def _aligned(length: int) -> int:
    return (length + 3) & ~3


_HEADER = struct.Struct("=IHHII")
_IFINFOMSG = struct.Struct("=BxxxiII")  # the device's type is 0
_ATTRIBUTE = struct.Struct("=HH")
_INT = struct.Struct("=i")
_WORD = struct.Struct("=I")
_SHORT = struct.Struct("=H")
_VLAN = struct.Struct("=III")
_ADDRESS_OCTETS = 32
_MOST_OF_ENTRIES = MOST_OF_A_NEST - _ATTRIBUTE.size

# Nested attributes carry a flag with today's libnl, and did not with older ones.
_NESTED = 0x8000
_KIND = 0x3FFF

_IFLA_IFNAME = 3
_IFLA_VFINFO_LIST = 22
_IFLA_VF_PORTS = 24
_IFLA_VF_INFO = 1
_IFLA_VF_MAC = 1
_IFLA_VF_VLAN = 2
_IFLA_VF_PORT = 1
_IFLA_PORT_VF = 1
_IFLA_PORT_VSI_TYPE = 3
_IFLA_PORT_INSTANCE_UUID = 4
_IFLA_PORT_REQUEST = 6
_IFLA_PORT_RESPONSE = 7

_DISASSOCIATE = 3
_MODES: Mapping[int, Mode] = MappingProxyType({mode - 1: mode for mode in Mode})
