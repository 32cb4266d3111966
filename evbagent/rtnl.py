"""rtnetlink: the messages, or those parts of them that the agent reads or writes, and how requests are answered.

`import pyroute2` brings in its whole library, which takes most of the time that the agent may take to start, and its
`ifinfmsg` describes every attribute of every kind of interface, at 180 us a message. Only the base classes are taken
from it; the classes here name just the attributes that matter and step over the rest, unread.

The base classes live in a submodule, so the package itself is replaced by a bare placeholder while they are imported.
Afterwards `sys.modules` is as it was: who imports pyroute2 later gets all of it.
"""

import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from errno import ETIMEDOUT
from fcntl import ioctl
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_EXCL = 0x200
NLM_F_DUMP = 0x300
NLM_F_CREATE = 0x400
NLMSG_ERROR = 2
NLMSG_DONE = 3
RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19
RTM_NEWNSID = 88
RTM_GETNSID = 90
RTEXT_FILTER_SKIP_STATS = 8
IFF_UP = 0x1
IFF_LOWER_UP = 0x10000

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
RTMGRP_LINK = 1
RTMGRP_DCB = 1 << 22
SIOCGSKNS = 0x894C
SO_RCVBUFFORCE = 33

DATAGRAM = 1 << 16
ANSWER_TIMEOUT_SECONDS = 2.0
DUMP_ATTEMPTS = 4

ATTRIBUTE_TYPE = 0x3FFF
"""An attribute's type without its two flags, "nested" and "network byte order"."""


def _message_classes() -> ModuleType:
    """`pyroute2.netlink`, imported without running the package's `__init__`."""
    if "pyroute2" in sys.modules:
        return import_module("pyroute2.netlink")
    spec = find_spec("pyroute2")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'pyroute2'", name="pyroute2")
    placeholder = ModuleType("pyroute2")
    placeholder.__path__ = list(spec.submodule_search_locations)
    sys.modules["pyroute2"] = placeholder
    try:
        return import_module("pyroute2.netlink")
    finally:
        # Its submodules go too: the real package would not find them as its attributes if they were loaded already.
        for name in [name for name in sys.modules if name == "pyroute2" or name.startswith("pyroute2.")]:
            del sys.modules[name]


if TYPE_CHECKING:
    from pyroute2.netlink import NLA_F_NESTED as NLA_F_NESTED
    from pyroute2.netlink import nla as nla
    from pyroute2.netlink import nlmsg as nlmsg
else:
    _classes = _message_classes()
    NLA_F_NESTED, nla, nlmsg = _classes.NLA_F_NESTED, _classes.nla, _classes.nlmsg


def _number(layout: str) -> Callable[[bytes, int, int], int | None]:
    fixed = struct.Struct(layout)

    def read(data: bytes, start: int, end: int) -> int | None:
        """None when it is too short: under this number, another kind of interface may have something else."""
        return fixed.unpack_from(data, start)[0] if end - start >= fixed.size else None

    return read


def _octets(data: bytes, start: int, end: int) -> bytes:
    return bytes(data[start:end])


def _text(data: bytes, start: int, end: int) -> str:
    """A zero-terminated string; the kernel takes any octets for a name or an alias."""
    return bytes(data[start:end]).partition(b"\0")[0].decode(errors="backslashreplace")


READERS: Mapping[str, Callable[[bytes, int, int], object]] = MappingProxyType(
    {
        "uint8": _number("B"),
        "uint16": _number("H"),
        "uint32": _number("I"),
        "int32": _number("i"),
        "cdata": _octets,
        "asciiz": _text,
    }
)
_ATTRIBUTE = struct.Struct("HH")
_HEADER = struct.Struct("IHHII")
_INT = struct.Struct("i")


class Selective:
    """Decodes the attributes in `nla_map` to plain values, nested ones to their own class, and skips all others.

    `answer_map` takes its place for decoding where the kernel answers in another form than it is asked.
    """

    nla_map: tuple[tuple[int, str, str], ...]
    answer_map: tuple[tuple[int, str, str], ...] | None = None
    _wanted: Mapping[int, tuple[str, Callable[[bytes, int, int], object] | None, type[Any] | None]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._wanted = MappingProxyType(
            {
                number: (name, READERS.get(kind), None if kind in READERS else getattr(cls, kind))
                for number, name, kind in (cls.answer_map if cls.answer_map is not None else cls.nla_map)
            }
        )

    def decode_nlas(self: Any, offset: int) -> None:
        data, wanted, attributes = self.data, self._wanted, self["attrs"]
        end = min(self.offset + self.length, len(data))
        while offset + _ATTRIBUTE.size <= end:
            length, number = _ATTRIBUTE.unpack_from(data, offset)
            if length < _ATTRIBUTE.size or offset + length > end:
                break
            if (found := wanted.get(number & ATTRIBUTE_TYPE)) is not None:
                name, read, nested = found
                if read is not None:
                    attributes.append((name, read(data, offset + _ATTRIBUTE.size, offset + length)))
                elif nested is not None:
                    inner = nested(data=data, offset=offset, parent=self, length=length)
                    inner.decode()
                    attributes.append((name, inner))
            offset += (length + 3) & ~3

    def values(self: Any) -> dict[str, Any]:
        """The attributes by name (after `decode`)."""
        return dict(self["attrs"])


class BridgePortAttributes(Selective, nla):
    """IFLA_PROTINFO of an AF_BRIDGE message, IFLA_INFO_SLAVE_DATA of a bridge port."""

    nla_flags = NLA_F_NESTED
    nla_map = ((4, "IFLA_BRPORT_MODE", "uint8"),)


class MacvlanAttributes(Selective, nla):
    """IFLA_INFO_DATA of a macvlan or macvtap; of another kind the same number means something else."""

    nla_flags = NLA_F_NESTED
    nla_map = ((1, "IFLA_MACVLAN_MODE", "uint32"),)


class LinkInfoAttributes(Selective, nla):
    """IFLA_LINKINFO."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "IFLA_INFO_KIND", "asciiz"),
        (2, "IFLA_INFO_DATA", "macvlan"),
        (4, "IFLA_INFO_SLAVE_KIND", "asciiz"),
        (5, "IFLA_INFO_SLAVE_DATA", "bridge_port"),
    )
    macvlan = MacvlanAttributes
    bridge_port = BridgePortAttributes


class LinkMessage(Selective, nlmsg):
    """RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK."""

    fields = (
        ("family", "B"),
        ("__align", "x"),
        ("ifi_type", "H"),
        ("index", "i"),
        ("flags", "I"),
        ("change", "I"),
    )
    nla_map = (
        (1, "IFLA_ADDRESS", "cdata"),
        (3, "IFLA_IFNAME", "asciiz"),
        (4, "IFLA_MTU", "uint32"),
        (5, "IFLA_LINK", "uint32"),
        (10, "IFLA_MASTER", "uint32"),
        (12, "IFLA_PROTINFO", "bridge_port"),
        (16, "IFLA_OPERSTATE", "uint8"),
        (18, "IFLA_LINKINFO", "link_info"),
        (20, "IFLA_IFALIAS", "asciiz"),
        (28, "IFLA_NET_NS_FD", "uint32"),
        (29, "IFLA_EXT_MASK", "uint32"),
        (37, "IFLA_LINK_NETNSID", "int32"),
        (45, "IFLA_NEW_NETNSID", "int32"),
        (46, "IFLA_TARGET_NETNSID", "int32"),
        (49, "IFLA_NEW_IFINDEX", "uint32"),
        (56, "IFLA_PARENT_DEV_NAME", "asciiz"),
        (57, "IFLA_PARENT_DEV_BUS_NAME", "asciiz"),
    )
    bridge_port = BridgePortAttributes
    link_info = LinkInfoAttributes


class NamespaceIdMessage(Selective, nlmsg):
    """RTM_NEWNSID, RTM_GETNSID."""

    fields = (("rtgen_family", "B"), ("__pad", "3x"))
    nla_map = ((1, "NETNSA_NSID", "int32"), (3, "NETNSA_FD", "uint32"))


class ErrorMessage(Selective, nlmsg):
    """NLMSG_ERROR with a capped request (NETLINK_CAP_ACK) and what the kernel has to say about it (NETLINK_EXT_ACK)."""

    fields = (
        ("error", "i"),
        ("request_length", "I"),
        ("request_type", "H"),
        ("request_flags", "H"),
        ("request_sequence", "I"),
        ("request_pid", "I"),
    )
    nla_map = ((1, "NLMSGERR_ATTR_MSG", "asciiz"),)


def link_request(kind: int, index: int = 0, attributes: Sequence[tuple[str, object]] = ()) -> Any:
    """A message about interface `index`; its other fields are zero."""
    request = LinkMessage()
    request["header"]["type"] = kind
    request["index"] = index
    request["attrs"] = list(attributes)
    return request


def namespace_id_request(*attributes: tuple[str, object]) -> Any:
    request = NamespaceIdMessage()
    request["header"]["type"] = RTM_GETNSID
    request["attrs"] = list(attributes)
    return request


class NetlinkError(OSError):
    """The kernel refused a request: `errno`, what was asked for, and the kernel's own words if it had any."""

    def __init__(self, number: int, asked: str, explanation: str = "") -> None:
        super().__init__(number, os.strerror(number))
        self.asked = asked
        self.explanation = explanation

    def __str__(self) -> str:
        return f"{self.asked}: {self.strerror}" + (f" ({self.explanation})" if self.explanation else "")


class RequestSocket:
    """One request at a time, each answered or refused before the next, in the namespace where the object was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._socket.settimeout(ANSWER_TIMEOUT_SECONDS)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.bind((0, 0))
        self._sequence = count(1)

    def close(self) -> None:
        self._socket.close()

    def open_namespace(self) -> int:
        """A descriptor of the network namespace that this socket belongs to. PermissionError without CAP_NET_ADMIN."""
        return ioctl(self._socket, SIOCGSKNS)

    def get(self, request: Any, asked: str) -> Any:
        """The one message that answers `request`, decoded."""
        for answer in self._exchange(request, 0, asked):
            return answer
        raise AssertionError("a request ends with an answer or an error")

    def change(self, request: Any, flags: int, asked: str) -> None:
        """Returns when the kernel has done what `request` says."""
        for _ in self._exchange(request, flags | NLM_F_ACK, asked):
            pass

    def dump(self, request: Any, read: Callable[[Any], T], asked: str) -> list[T]:
        """What `read` makes of each answer; asked for again when what the answers describe changed meanwhile."""
        for _ in range(DUMP_ATTEMPTS):
            found: list[T] = []
            interrupted = 0
            for answer in self._exchange(request, NLM_F_DUMP, asked):
                interrupted |= answer["header"]["flags"] & NLM_F_DUMP_INTR
                found.append(read(answer))
            if not interrupted:
                break
        return found

    def _exchange(self, request: Any, flags: int, asked: str) -> Iterator[Any]:
        """The answers up to an acknowledgement or the end of a dump. A request without either ends with its reader."""
        sequence = next(self._sequence)
        request.reset()
        request["header"].update(flags=NLM_F_REQUEST | flags, sequence_number=sequence)
        request.encode()
        try:
            self._socket.send(request.data)
            while True:
                data, (sender, _) = self._socket.recvfrom(DATAGRAM)
                for kind, its_sequence, offset in messages(data):
                    if sender != 0 or its_sequence != sequence:
                        continue
                    if kind in (NLMSG_ERROR, NLMSG_DONE):
                        _check(kind, data, offset, asked)
                        return
                    answer = type(request)(data, offset=offset)
                    answer.decode()
                    yield answer
        except NetlinkError:
            raise
        except OSError as error:
            raise NetlinkError(error.errno or ETIMEDOUT, asked) from error


def _check(kind: int, data: bytes, offset: int, asked: str) -> None:
    """Raises the error, if it is one, that ends the answers."""
    (number,) = _INT.unpack_from(data, offset + _HEADER.size)
    if number == 0:
        return
    explanation = ""
    if kind == NLMSG_ERROR:
        message = ErrorMessage(data, offset=offset)
        message.decode()
        explanation = message.values().get("NLMSGERR_ATTR_MSG", "")
    raise NetlinkError(-number, asked, explanation)


def messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, sequence number, offset) of each message in a datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            break
        yield kind, sequence, offset
        offset += (length + 3) & ~3


def subscribe(receive_buffer: int, groups: int = RTMGRP_LINK) -> socket.socket:
    """A non-blocking socket that hears of every change of an interface, or of what other groups are about."""
    monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    try:
        monitor.setblocking(False)
        try:
            monitor.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
        except PermissionError:  # only the first user namespace may pass the system's limit
            monitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        monitor.bind((0, groups))
    except OSError:
        monitor.close()
        raise
    return monitor
