"""Captured LLDP and ECP frames as documents: everything that is in them, and what is wrong with it.

The verdict is what a receiver makes of a frame (sheets `lldp.md` 1.4, `ecp.md` 2 and 8, `vdp.md` 1 and 8): `discarded`
as a whole, or `accepted`, perhaps without some of its TLVs. Offsets count from the first octet behind the EtherType.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from evbagent.capture import SECOND, Frame, Selection
from evbagent.tlvview import describe_tlv
from evbagent.vdpview import Description, comes_from_station, describe_draft_tlv, describe_ratified_tlv
from protocols.ecp.draft import DRAFT as ECP_DRAFT
from protocols.ecp.draft import PROTOCOL as DRAFT_PROTOCOL
from protocols.ecp.edition import Edition as EcpEdition
from protocols.ecp.pdu import SUBTYPE_PE_CSP, SUBTYPE_VDP, Operation
from protocols.ecp.ratified import RATIFIED as ECP_RATIFIED
from protocols.errors import DecodeError
from protocols.frame import ETHERTYPE_LLDP, ETHERTYPES_VLAN, format_mac
from protocols.lldp.codec import decode_lldpdu
from protocols.tlv import HEADER, walk
from protocols.vdp.draft import DRAFT as VDP_DRAFT
from protocols.vdp.edition import Edition as VdpEdition
from protocols.vdp.ratified import RATIFIED as VDP_RATIFIED

Document = dict[str, Any]

ETHERNET, LINUX_COOKED, LINUX_COOKED_2 = 1, 113, 276


def selection() -> Selection:
    """The frames that may be worth a look: what is tagged, or has a length for its EtherType, could hold anything."""
    ethertypes = (ETHERTYPE_LLDP, *ECP_RATIFIED.ethertypes, *ECP_DRAFT.ethertypes, *_TAGS, *_LENGTHS)
    return Selection(
        {ETHERNET: 12, LINUX_COOKED: 14, LINUX_COOKED_2: 0},
        frozenset(ethertype.to_bytes(2, "big") for ethertype in ethertypes),
    )


def documents(frames: Iterable[Frame]) -> Iterator[Document]:
    """One for each LLDP and ECP frame; frames of other protocols are passed over."""
    for frame in frames:
        document = describe_frame(frame)
        if document is not None:
            yield document


def describe_frame(frame: Frame) -> Document | None:
    """The frame's document; None if it is of another protocol, or too short to say of which."""
    header = _read_header(frame.linktype, frame.data)
    if header is None:
        return None
    payload = frame.data[header.size : header.end]
    if header.ethertype == ETHERTYPE_LLDP:
        content = _read_lldpdu(payload)
    elif header.ethertype in ECP_RATIFIED.ethertypes:
        content = _read_ecpdu(payload, _RATIFIED)
    elif header.ethertype in ECP_DRAFT.ethertypes and payload.startswith(DRAFT_PROTOCOL):
        content = _read_ecpdu(payload, _DRAFT)
    else:
        return None
    errors = sorted(content.errors.items())
    if content.open_end and len(frame.data) < min(frame.length, header.end or frame.length):
        errors.append((len(payload), f"the capture has {len(frame.data)} of the frame's {frame.length} octets"))
    document: Document = {
        "number": frame.number,
        "time": None if frame.time is None else utc(frame.time),
        "destination": _address(header.destination),
        "source": _address(header.source),
        "ethertype": f"0x{header.ethertype:04x}",
        "vlan": header.vlan,
        "protocol": "lldp" if content.ecp is None else "ecp",
        "verdict": "accepted" if content.accepted else "discarded",
        "errors": [{"offset": offset, "reason": reason} for offset, reason in errors],
    }
    if content.ecp is not None:
        document["ecp"] = content.ecp
    document["tlvs"] = content.tlvs
    trailer = content.trailer + frame.data[header.size + len(payload) :]
    document["trailer"] = trailer.hex() if any(trailer) else None
    return document


def utc(time: int) -> str | None:
    """Nanoseconds since 1970 as a date, to the microsecond if that says it all; None: no calendar has it."""
    seconds, fraction = divmod(time, SECOND)
    try:
        date = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return f"{date:%Y-%m-%dT%H:%M:%S}.{f'{fraction:09}'.removesuffix('000')}Z"


@dataclass(slots=True)
class _Header:
    """The `size` octets before the PDU. A cooked capture does not tell the destination.

    `end` is where the PDU's octets end at the latest, None: with the frame.
    """

    destination: bytes | None
    source: bytes | None
    ethertype: int
    size: int
    vlan: int | None = None
    end: int | None = None


def _read_header(linktype: int, data: bytes) -> _Header | None:
    """Link types as in draft-ietf-opsawg-pcaplinktype; `vlan` is the VID of the outermost tag.

    Switches of H3C, HP and Huawei can be told to send LLDPDUs behind SNAP, with a length in place of the EtherType.
    """
    if linktype == ETHERNET and len(data) >= 14:
        header = _Header(data[:6], data[6:12], int.from_bytes(data[12:14], "big"), 14)
    elif linktype == LINUX_COOKED and len(data) >= 16:
        size = int.from_bytes(data[4:6], "big")
        header = _Header(None, data[6 : 6 + min(size, 8)], int.from_bytes(data[14:16], "big"), 16)
    elif linktype == LINUX_COOKED_2 and len(data) >= 20:
        header = _Header(None, data[12 : 12 + min(data[11], 8)], int.from_bytes(data[:2], "big"), 20)
    else:
        return None
    # A cooked capture has 4 in place of the length before LLC, unless a tag precedes that.
    cooked = linktype != ETHERNET
    while True:
        if header.ethertype in _TAGS:
            size = _TAGS[header.ethertype]
            tag = data[header.size : header.size + size]
            if len(tag) < size:
                return None
            if header.vlan is None and header.ethertype in _VLAN_TAGS:
                header.vlan = int.from_bytes(tag[:2], "big") & 0xFFF
            header.ethertype = int.from_bytes(tag[-2:], "big")
            header.size += size
        elif header.ethertype in _LENGTHS and data.startswith(_SNAP, header.size):
            protocol = data[header.size + len(_SNAP) : header.size + len(_SNAP) + 2]
            if len(protocol) < 2:
                return None
            if not cooked or header.vlan is not None:
                header.end = header.size + header.ethertype
            header.ethertype = int.from_bytes(protocol, "big")
            header.size += len(_SNAP) + 2
        else:
            return header


@dataclass(slots=True)
class _Content:
    """A PDU. `open_end`: it goes on to the end of the frame, no End TLV says that it is complete."""

    accepted: bool = True
    open_end: bool = False
    ecp: Document | None = None
    tlvs: list[Document] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    trailer: bytes = b""

    def blame(self, offset: int, reason: str) -> None:
        self.errors.setdefault(offset, reason)

    def discard(self, error: DecodeError, start: int = 0) -> None:
        self.accepted = False
        self.blame(start + error.offset, error.reason)

    def add(self, kind: int, length: int | None, octets: bytes, description: Description, error: str | None) -> None:
        name, oui, subtype, value, _ = description
        tlv: Document = {"type": kind, "length": length, "oui": oui, "subtype": subtype, "name": name}
        tlv |= {"hex": octets.hex(), "value": value}
        if error is not None:
            tlv["error"] = error
        self.tlvs.append(tlv)


def _read_lldpdu(payload: bytes) -> _Content:
    content = _Content()
    try:
        for dropped in decode_lldpdu(payload).errors:
            content.blame(dropped.offset, dropped.reason)
    except DecodeError as error:
        content.discard(error)
    _read_tlvs(content, payload, 0, _describe_lldp_tlv)
    return content


def _describe_lldp_tlv(kind: int, octets: bytes) -> Description:
    description = describe_tlv(kind, octets)
    if description.error is None:
        return description
    return description._replace(error=f"{description.error} of the information string")


@dataclass(frozen=True, slots=True)
class _Form:
    """ECP and VDP of one edition."""

    ecp: EcpEdition
    vdp: VdpEdition
    size: int
    header: Callable[[bytes], Document]
    describe: Callable[[int, bytes], Description]


def _read_ecpdu(payload: bytes, form: _Form) -> _Content:
    header, data = payload[: form.size], payload[form.size :]
    content = _Content(ecp=form.header(header.ljust(form.size, b"\0")), trailer=data)
    if len(header) < form.size:
        content.ecp = dict.fromkeys(content.ecp or {}) | {"edition": form.ecp.name}
    try:
        ecpdu = form.ecp.decode(payload)
        if ecpdu.subtype not in (SUBTYPE_VDP, SUBTYPE_PE_CSP):
            raise DecodeError(f"ECP subtype {ecpdu.subtype} is not known")
    except DecodeError as error:
        content.discard(error)
        content.open_end = True
        return content
    if ecpdu.operation != Operation.REQUEST or ecpdu.subtype != SUBTYPE_VDP:
        return content
    content.trailer = b""
    try:
        for dropped in form.vdp.decode(data, comes_from_station(data)).errors:
            content.blame(form.size + dropped.offset, dropped.reason)
    except DecodeError as error:
        content.discard(error, form.size)
    _read_tlvs(content, payload, form.size, form.describe)
    return content


def _read_tlvs(content: _Content, payload: bytes, start: int, describe: Callable[[int, bytes], Description]) -> None:
    """All TLVs in wire order, the End TLV and a broken last one included."""
    data = payload[start:]
    walked = walk(data)
    for tlv in walked.tlvs:
        description = describe(tlv.type, tlv.value)
        if description[-1] is not None:
            content.blame(start + tlv.offset, description[-1])
        content.add(tlv.type, len(tlv.value), tlv.value, description, content.errors.get(start + tlv.offset))
    content.open_end = walked.end is None
    if walked.end is not None:
        kind, length, octets = _tlv_at(data, walked.end)
        content.trailer = data[walked.end + HEADER + len(octets) :]
        if length:
            content.blame(start + walked.end, f"End TLV of {length} octets")
        reason = content.errors[start + walked.end] if length else None
        content.add(kind, length, octets, describe(kind, b""), reason)
    elif walked.error is not None:
        kind, length, octets = _tlv_at(data, walked.error.offset)
        content.blame(start + walked.error.offset, walked.error.reason)
        name, oui, subtype, _, _ = describe(kind, octets)
        reason = content.errors[start + walked.error.offset]
        content.add(kind, length, octets, (name, oui, subtype, None, None), reason)


def _tlv_at(data: bytes, offset: int) -> tuple[int, int | None, bytes]:
    """Type, claimed length and what there is of a TLV, of whose header perhaps only one octet is there."""
    header = data[offset : offset + HEADER]
    if len(header) < HEADER:
        return header[0] >> 1, None, b""
    length = (header[0] & 1) << 8 | header[1]
    return header[0] >> 1, length, data[offset + HEADER : offset + HEADER + length]


def _ratified_header(octets: bytes) -> Document:
    """IEEE 802.1Q 43.3; sheet `ecp.md` 2."""
    first = int.from_bytes(octets[:2], "big")
    return {
        "edition": ECP_RATIFIED.name,
        "version": first >> 12,
        "operation": _operation(first >> 10 & 3),
        "subtype": first & 0x3FF,
        "sequence-number": int.from_bytes(octets[2:4], "big"),
    }


def _draft_header(octets: bytes) -> Document:
    """Sheet `ecp.md` 8."""
    return {
        "edition": ECP_DRAFT.name,
        "oui": octets[:3].hex(),
        "protocol": int.from_bytes(octets[3:5], "big"),
        "subtype": octets[5],
        "operation": _operation(octets[6]),
        "sequence-number": int.from_bytes(octets[7:9], "big"),
    }


def _operation(number: int) -> str:
    return _OPERATIONS.get(number, f"reserved-{number}")


def _address(octets: bytes | None) -> str | None:
    return format_mac(octets) if octets else None


# IEEE 802.1Q, 802.1ad, and what switches used before that.
_VLAN_TAGS = frozenset({*ETHERTYPES_VLAN, 0x9100, 0x9200})
# What may precede an EtherType, and how many octets there are to the end of that: VLAN tags, Cisco's VN-Tag, and the
# tags of IEEE 802.1BR port extenders, of High-availability Seamless Redundancy, and of IEEE 802.1CB redundancy.
_TAGS: Mapping[int, int] = {**dict.fromkeys(_VLAN_TAGS, 4), 0x8926: 6, 0x893F: 8, 0x892F: 6, 0xF1C1: 6}
# What is no EtherType but the length of an IEEE 802.3 frame's data; LLC and SNAP before an EtherType (RFC 1042).
_LENGTHS = range(1501)
_SNAP = bytes.fromhex("aaaa03000000")
_OPERATIONS: Mapping[int, str] = {Operation.REQUEST: "request", Operation.ACKNOWLEDGE: "acknowledgement"}
_RATIFIED = _Form(ECP_RATIFIED, VDP_RATIFIED, 4, _ratified_header, describe_ratified_tlv)
_DRAFT = _Form(ECP_DRAFT, VDP_DRAFT, 9, _draft_header, describe_draft_tlv)
