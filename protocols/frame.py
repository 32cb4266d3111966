"""Ethernet frames and the group addresses of LLDP (sheet `lldp.md` 1)."""

from dataclasses import dataclass
from enum import StrEnum
from re import fullmatch

from protocols.errors import DecodeError

ETHERTYPE_LLDP = 0x88CC
ETHERTYPES_VLAN = (0x8100, 0x88A8)
MIN_FRAME = 60
HEADER = 14


class Scope(StrEnum):
    """How far a group address reaches, by the names of ieee802-dot1ab-lldp."""

    NEAREST_BRIDGE = "nearest-bridge"
    NEAREST_NON_TPMR_BRIDGE = "nearest-non-tpmr-bridge"
    NEAREST_CUSTOMER_BRIDGE = "nearest-customer-bridge"

    @property
    def address(self) -> bytes:
        match self:
            case Scope.NEAREST_BRIDGE:
                return bytes.fromhex("0180c200000e")
            case Scope.NEAREST_NON_TPMR_BRIDGE:
                return bytes.fromhex("0180c2000003")
            case Scope.NEAREST_CUSTOMER_BRIDGE:
                return bytes.fromhex("0180c2000000")

    @classmethod
    def of(cls, address: bytes) -> "Scope | None":
        """The scope of a destination address."""
        return next((scope for scope in cls if scope.address == address), None)


@dataclass(frozen=True, slots=True)
class EthernetFrame:
    """A frame without FCS. `vlan` is the TCI of one 802.1Q or 802.1ad tag. `payload` keeps the padding it came with."""

    destination: bytes
    source: bytes
    ethertype: int
    payload: bytes
    vlan: int | None = None

    def encode(self) -> bytes:
        """The frame, zero-padded to 60 octets; a tag goes out as 802.1Q."""
        tag = b"" if self.vlan is None else ETHERTYPES_VLAN[0].to_bytes(2, "big") + self.vlan.to_bytes(2, "big")
        frame = self.destination + self.source + tag + self.ethertype.to_bytes(2, "big") + self.payload
        return frame.ljust(MIN_FRAME, b"\0")


def decode_frame(data: bytes) -> EthernetFrame:
    """Split a frame; DecodeError when its header is cut short."""
    if len(data) < HEADER:
        raise DecodeError(f"frame of {len(data)} octets has no Ethernet header", len(data))
    ethertype = int.from_bytes(data[12:14], "big")
    if ethertype not in ETHERTYPES_VLAN:
        return EthernetFrame(data[:6], data[6:12], ethertype, data[HEADER:])
    if len(data) < HEADER + 4:
        raise DecodeError("frame ends within its VLAN tag", len(data))
    inner = int.from_bytes(data[16:18], "big")
    return EthernetFrame(data[:6], data[6:12], inner, data[HEADER + 4 :], int.from_bytes(data[14:16], "big"))


def format_mac(address: bytes) -> str:
    """`02:00:00:00:00:0a`."""
    return address.hex(":")


def parse_mac(text: str) -> bytes:
    """Six octets from `02:00:00:00:00:0a` or `02-00-00-00-00-0a`; ValueError for anything else."""
    if fullmatch(_MAC, text) is None:
        raise ValueError(f"{text!r} is not a MAC address")
    return bytes.fromhex(text.replace(text[2], ""))


_MAC = r"[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}"
