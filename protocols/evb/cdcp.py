"""The CDCP TLV: OUI 00-80-C2, subtype 14, S-channels (802.1Q D.2.13; sheet `evb-tlv.md` 6)."""

from dataclasses import dataclass

from construct import BitsInteger, BitStruct, Flag, Padding

from protocols.layout import Layout, decode_entries, encode_entries

OUI, SUBTYPE = bytes.fromhex("0080c2"), 14
MAX_CHANNELS = 167  # what fits a TLV, and the MIB's greatest capacity


@dataclass(frozen=True, slots=True)
class SChannel:
    """An S-channel and its S-VID; 0: please assign one, or none is assigned."""

    scid: int
    svid: int


@dataclass(frozen=True, slots=True)
class CdcpTlv:
    """`channel_capacity` is how many S-channels the sender can have; the first pair is the default channel's."""

    station: bool
    s_component: bool
    channel_capacity: int
    channels: tuple[SChannel, ...] = ()


@dataclass(frozen=True, slots=True)
class _Head:
    station: bool
    s_component: bool
    channel_capacity: int


_HEAD = Layout(
    _Head,
    BitStruct("station" / Flag, Padding(3), "s_component" / Flag, Padding(15), "channel_capacity" / BitsInteger(12)),
)
_CHANNEL = Layout(SChannel, BitStruct("scid" / BitsInteger(12), "svid" / BitsInteger(12)))


def decode(body: bytes) -> CdcpTlv:
    """Read the octets after OUI and subtype; DecodeError when short, or when a pair is cut."""
    head = _HEAD.decode(body)
    return CdcpTlv(head.station, head.s_component, head.channel_capacity, decode_entries(_CHANNEL, body, _HEAD.size))


def encode(tlv: CdcpTlv) -> bytes:
    """The octets after OUI and subtype; ValueError when a value does not fit, or there are too many channels."""
    if len(tlv.channels) > MAX_CHANNELS:
        raise ValueError(f"{len(tlv.channels)} S-channels are more than {MAX_CHANNELS}")
    head = _HEAD.encode(_Head(tlv.station, tlv.s_component, tlv.channel_capacity))
    return head + encode_entries(_CHANNEL, tlv.channels)
