"""A VSI as both editions see it: its identity, what is asked for it, and what is answered (sheet `vdp.md` 1)."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from re import compile as pattern
from typing import NamedTuple

from protocols.vdp.filter import Filters


class Mode(IntEnum):
    """What is asked; the numbers are the ratified edition's TLV types."""

    PREASSOCIATE = 1
    PREASSOCIATE_RR = 2
    ASSOCIATE = 3
    DEASSOCIATE = 4

    @property
    def word(self) -> str:
        return _WORDS[self]


class VsiIdFormat(IntEnum):
    """What the sixteen octets of a VSI ID are."""

    IPV4 = 1
    IPV6 = 2
    MAC = 3
    LOCAL = 4
    UUID = 5


class Hint(IntFlag):
    """What the user of the VSI is doing, in the status octet of a request."""

    NONE = 0
    MIGRATE = 0x10  # the M bit: it is migrating to here
    SUSPEND = 0x20  # the S bit: it is suspended, to migrate from here


class Response(StrEnum):
    """A bridge's answer. The last four are the draft's own."""

    SUCCESS = "success"
    INVALID_FORMAT = "invalid-format"
    INSUFFICIENT_RESOURCES = "insufficient-resources"
    MANAGER_UNREACHABLE = "unable-to-contact-vsi-manager"
    OTHER_FAILURE = "other-failure"
    INVALID_ADDRESS = "invalid-vid-group-id-or-mac-address"
    UNUSED_VTID = "unused-vtid"
    VTID_VIOLATION = "vtid-violation"
    VTID_VERSION_VIOLATION = "vtid-version-violation"
    OUT_OF_SYNC = "out-of-sync"


class VsiId(NamedTuple):
    """Format and sixteen octets; these two identify a VSI. Formats that are not known are kept as they are."""

    format: int
    octets: bytes

    @property
    def text(self) -> str:
        """As `parse_vsi_id` reads it. Octets that are not what the format says are written out: "format-3:HEX"."""
        octets = self.octets
        match self.format:
            case VsiIdFormat.UUID:
                return _uuid(octets)
            case VsiIdFormat.IPV4 if octets[:12] == _MAPPED:
                return str(IPv4Address(octets[12:]))
            case VsiIdFormat.IPV6:
                return str(IPv6Address(octets))
            case VsiIdFormat.MAC if octets[:10] == _TEN_ZEROS:
                return octets[10:].hex(":")
            case VsiIdFormat.LOCAL:
                return f"local:{octets.hex()}"
        return f"format-{self.format}:{octets.hex()}"


@dataclass(frozen=True, slots=True)
class OrganizationalTlv:
    """Something that an organization adds to a VSI. `value`: what follows the OUI, subtype included."""

    oui: bytes
    value: bytes


class VsiTlv(NamedTuple):
    """One VSI in one ULPDU: a request, a response, or a bridge's DeAssociate without being asked.

    `response` None: not a response; `hint` is of requests, `keep` (what was before the request stays), `hard`
    (repeating it is useless) and `code` (the number, as it came) of responses. `manager` has sixteen octets.
    """

    mode: Mode
    vsi_id: VsiId
    manager: bytes
    type_id: int
    version: int
    filters: Filters
    hint: Hint = Hint.NONE
    response: Response | None = None
    keep: bool = False
    hard: bool = False
    code: int = 0
    organizational: tuple[OrganizationalTlv, ...] = ()

    @property
    def weight(self) -> int:
        """What it takes to remember it, as far as the sender decides: filters, and TLVs of organizations."""
        return len(self.filters.entries) + len(self.organizational)


def parse_vsi_id(text: str) -> VsiId:
    """A VSI ID from a UUID, an IPv4, IPv6 or MAC address, or "local:" and up to 32 hexadecimal digits.

    Local octets stand at the right, as in a number. "format-N:" and 32 digits name whatever else was received.
    """
    if _UUID.fullmatch(text):
        return VsiId(VsiIdFormat.UUID, bytes.fromhex(text.replace("-", "")))
    if _MAC.fullmatch(text):
        return VsiId(VsiIdFormat.MAC, _TEN_ZEROS + bytes.fromhex(text.replace(":", "").replace("-", "")))
    if text.startswith("local:"):
        return VsiId(VsiIdFormat.LOCAL, _local(text))
    if found := _OTHER_FORMAT.fullmatch(text):
        if (number := int(found[1])) > 0xFF:
            raise ValueError(f"{text!r}: a VSI ID format is at most 255")
        return VsiId(number, bytes.fromhex(found[2]))
    if _DOTTED.fullmatch(text):
        return VsiId(VsiIdFormat.IPV4, _ipv4(text))
    if ":" in text:
        return VsiId(VsiIdFormat.IPV6, _ipv6(text))
    raise ValueError(f"{text!r} is no UUID, no IPv4, IPv6 or MAC address, and does not begin with 'local:'")


def parse_manager(text: str) -> bytes:
    """The sixteen octets of a VSI manager ID. The first of these that fits decides:

    1. digits and dots: an IPv4 address, in the layout ::ffff:a.b.c.d;
    2. anything with a colon: an IPv6 address;
    3. hexadecimal digits and dashes: octets from the left, as vdptool reads them, so `12` is the octet 0x12 and `cafe`
       not a name; the odd digit at the end of digits, or before a dash, is an octet of its own;
    4. else up to 15 printable ASCII characters.

    What is left is filled with zeros. ValueError says what is wrong.
    """
    if _DOTTED.fullmatch(text):
        return _ipv4(text)
    if ":" in text:
        return _ipv6(text)
    if _HEX.fullmatch(text):
        octets = bytes([int(digits, 16) for digits in _PAIRS.findall(text)])
        if not octets:
            raise ValueError(f"{text!r} has no hexadecimal digit")
        if len(octets) > 16:
            raise ValueError(f"{text!r} has {len(octets)} octets, a VSI manager ID has 16")
        return octets.ljust(16, b"\0")
    if not text:
        raise ValueError("is empty")
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no address, not hexadecimal, and not up to 15 printable ASCII characters")
    return text.encode("ascii").ljust(16, b"\0")


def manager_text(octets: bytes) -> str:
    """A VSI manager ID in the words that read best; `parse_manager` reads them back. Null ("ask your own") is "0"."""
    start = octets.rstrip(b"\0")
    if not start:
        return "0"
    if octets[:12] == _MAPPED:
        return str(IPv4Address(octets[12:]))
    name = start.decode("ascii", "replace")
    if _NAME.fullmatch(name) and ":" not in name and not _HEX.fullmatch(name) and not _DOTTED.fullmatch(name):
        return name
    if len(start) <= 4:
        return start.hex()
    # Global unicast, unique local and link-local addresses, and those with zeros in front.
    first = octets[0]
    if first == 0 or first & 0xE0 == 0x20 or first & 0xFE == 0xFC or (first == 0xFE and octets[1] & 0xC0 == 0x80):
        return str(IPv6Address(octets))
    return _uuid(octets)


def _uuid(octets: bytes) -> str:
    digits = octets.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _local(text: str) -> bytes:
    digits = text.removeprefix("local:")
    if not _DIGITS.fullmatch(digits):
        raise ValueError(f"{text!r}: 'local:' takes hexadecimal digits, at most 32")
    return int(digits, 16).to_bytes(16, "big")


def _ipv4(text: str) -> bytes:
    try:
        return _MAPPED + IPv4Address(text).packed
    except AddressValueError as error:
        raise ValueError(f"{text!r} is no IPv4 address") from error


def _ipv6(text: str) -> bytes:
    try:
        address = IPv6Address(text)
    except AddressValueError as error:
        raise ValueError(f"{text!r} is no IPv6 address") from error
    if address.scope_id is not None:
        raise ValueError(f"{text!r}: an address with a scope means something on this host only")
    return address.packed


_WORDS = ("", "preassociate", "preassociate-rr", "associate", "deassociate")
_TEN_ZEROS = bytes(10)
_MAPPED = _TEN_ZEROS + b"\xff\xff"
_UUID = pattern(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_MAC = pattern(r"[0-9a-fA-F]{2}(?:(?::[0-9a-fA-F]{2}){5}|(?:-[0-9a-fA-F]{2}){5})")
_OTHER_FORMAT = pattern(r"format-([0-9]{1,3}):([0-9a-fA-F]{32})")
_DIGITS = pattern(r"[0-9a-fA-F]{1,32}")
_DOTTED = pattern(r"[0-9]+\.[0-9.]*")
_HEX = pattern(r"[0-9a-fA-F-]+")
_PAIRS = pattern(r"[0-9a-fA-F]{1,2}")
_NAME = pattern(r"[!-~]{1,15}")
