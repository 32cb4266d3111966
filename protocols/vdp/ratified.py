"""Ratified VDP on the wire (802.1Q clause 41, sheet `vdp.md` 1 and 3).

Only the structure is judged here: what is well formed but cannot be granted (formats that are not known, VID 4095, a
group address) is decoded, for the bridge to refuse. By `struct`, not `construct`: a port may have to say thousands of
these in half a second, and `construct` alone would take longer than that.
"""

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from types import MappingProxyType

from protocols.errors import DecodeError
from protocols.vdp.edition import Edition, Reading, Timers
from protocols.vdp.filter import FilterEntry, FilterFormat, Filters, validate
from protocols.vdp.vsi import Hint, Mode, OrganizationalTlv, Response, VsiId, VsiIdFormat, VsiTlv

END, MANAGER, ORGANIZATIONAL = 0, 5, 127


def decode(payload: bytes, from_station: bool) -> Reading:
    """The VSIs of an ULPDU; DecodeError without exactly one manager ID, at the front (interop-notes V3)."""
    if payload[:2] != _MANAGER_HEADER or len(payload) < _MANAGER_SIZE:
        raise DecodeError("ULPDU does not begin with a VSI Manager ID TLV of 16 octets")
    manager = payload[2:_MANAGER_SIZE]
    vsis: list[VsiTlv] = []
    errors: list[DecodeError] = []
    skipped = 0
    explicit_end = False
    offset, size = _MANAGER_SIZE, len(payload)
    while offset + 2 <= size:
        kind = payload[offset] >> 1
        length = (payload[offset] & 1) << 8 | payload[offset + 1]
        if kind == END:
            explicit_end = length == 0
            if length:
                errors.append(DecodeError(f"End TLV has {length} octets", offset))
            return Reading(tuple(vsis), tuple(errors), explicit_end, skipped)
        start, offset = offset, offset + 2 + length
        if offset > size:
            errors.append(DecodeError(f"TLV of type {kind} has {length} octets, {size - start - 2} are left", start))
            return Reading(tuple(vsis), tuple(errors), explicit_end, skipped)
        if kind <= Mode.DEASSOCIATE:
            organizational: tuple[OrganizationalTlv, ...] = ()
            if offset < size and payload[offset] >> 1 == ORGANIZATIONAL:
                organizational, offset = _organizational(payload, offset, errors)
            try:
                vsis.append(_vsi(payload, start, length, manager, from_station, organizational))
            except DecodeError as error:
                errors.append(error)
        elif kind == MANAGER:
            raise DecodeError("ULPDU has a second VSI Manager ID TLV", start)
        else:
            skipped += 1
    if offset < size:
        errors.append(DecodeError("one octet is left, which is no TLV", offset))
    return Reading(tuple(vsis), tuple(errors), explicit_end, skipped)


def encode_tlv(tlv: VsiTlv) -> bytes:
    """One VSI and its organizational TLVs. A response of the draft alone is said as "other failure"."""
    filters = tlv.filters
    entries = b"" if (layout := _LAYOUTS.get(filters.format)) is None else layout.encode(filters.entries)
    raw, count = filters.raw, len(filters.entries) if filters.count is None else filters.count
    id_format, octets = tlv.vsi_id
    encoded = (
        _FIXED.pack(
            tlv.mode << 9 | _FIXED_LENGTH + len(entries) + len(raw),
            _status(tlv) << 24 | tlv.type_id,
            tlv.version,
            id_format,
            octets,
            filters.format,
            count,
        )
        + entries
        + raw
    )
    for organizational in tlv.organizational:
        value = organizational.oui + organizational.value
        encoded += (ORGANIZATIONAL << 9 | len(value)).to_bytes(2, "big") + value
    return encoded


def assemble(manager: bytes, tlvs: Sequence[bytes]) -> bytes:
    """An ULPDU. The End TLV, which may be left out, keeps lldpad from reading on in its buffer (interop-notes V1)."""
    return b"".join((_MANAGER_HEADER, manager, *tlvs, b"\0\0"))


def timers(retries: int, rte: int, rwd: int, rka: int) -> Timers:
    """1.5 times what all the attempts at both ends may take; exponents count in steps of 10 us."""
    attempts = (2 * retries + 1) << rte
    return Timers(
        response_wait=15 * ((1 << rwd) + attempts),
        keep_alive=10 << rka,
        tolerance=15 * ((1 << rka) + attempts),
        resource_wait=10 << rwd,
    )


def check(tlv: VsiTlv) -> str | None:
    """Why a station cannot ask this."""
    if tlv.vsi_id.format not in _VSI_ID_FORMATS:
        return f"instance: VSI ID format {tlv.vsi_id.format} is not known"
    if fault := validate(tlv.filters):
        return fault
    for organizational in tlv.organizational:
        if len(organizational.value) > MOST_ORGANIZATIONAL:
            return f"organizational: {len(organizational.value)} octets, at most {MOST_ORGANIZATIONAL} fit into a TLV"
    return None


MOST_ORGANIZATIONAL = 0x1FF - 3


def _vsi(
    payload: bytes,
    start: int,
    length: int,
    manager: bytes,
    from_station: bool,
    organizational: tuple[OrganizationalTlv, ...],
) -> VsiTlv:
    """The association TLV at `start`. DecodeError if it is not one, or not one from that end of the link."""
    if length < _FIXED_LENGTH:
        raise DecodeError(f"association TLV has {length} octets, needs {_FIXED_LENGTH} and its filter info", start)
    header, word, version, id_format, octets, form, count = _FIXED.unpack_from(payload, start)
    mode = _MODES[header >> 9]
    status = word >> 24
    info = payload[start + _FIXED.size : start + 2 + length]
    if not count:
        raise DecodeError("association TLV has no filter info entries", start)
    layout = _LAYOUTS.get(form)
    if layout is None:
        filters = Filters(form, (), count, info)
    elif count * layout.size == len(info):
        filters = Filters(form, layout.decode(info))
    else:
        raise DecodeError(f"{len(info)} octets of filter info are not {count} entries of format {form}", start)
    vsi_id = VsiId(id_format, octets)
    if not status & _RESPONSE:
        if not from_station and mode is not Mode.DEASSOCIATE:
            raise DecodeError(f"the bridge requests: {mode.word}", start)
        hint = _HINTS[status >> 4 & 3]
        return VsiTlv(mode, vsi_id, manager, word & 0xFFFFFF, version, filters, hint, organizational=organizational)
    if from_station:
        raise DecodeError("the station responds", start)
    return VsiTlv(
        mode,
        vsi_id,
        manager,
        word & 0xFFFFFF,
        version,
        filters,
        Hint.NONE,
        _RESPONSES[status & 0xF],
        bool(status & _KEEP),
        bool(status & _HARD),
        status & 0xF,
        organizational,
    )


def _organizational(
    payload: bytes, offset: int, errors: list[DecodeError]
) -> tuple[tuple[OrganizationalTlv, ...], int]:
    """The organizational TLVs from `offset` on, and where they end; one that runs past the payload is left to there."""
    found: list[OrganizationalTlv] = []
    while offset + 2 <= len(payload) and payload[offset] >> 1 == ORGANIZATIONAL:
        length = (payload[offset] & 1) << 8 | payload[offset + 1]
        end = offset + 2 + length
        if end > len(payload):
            break
        if length < 3:
            errors.append(DecodeError(f"organizational TLV has {length} octets, which is no OUI", offset))
        else:
            found.append(OrganizationalTlv(payload[offset + 2 : offset + 5], payload[offset + 5 : end]))
        offset = end
    return tuple(found), offset


def _status(tlv: VsiTlv) -> int:
    response = tlv.response
    if response is None:
        return int(tlv.hint) & 0x30  # a new Hint would cost more than the packing
    # A reserved code goes out as it came.
    code = tlv.code if 0 <= tlv.code <= 0xF and _RESPONSES[tlv.code] is response else _CODES[response]
    return _RESPONSE | (_KEEP if tlv.keep else 0) | (_HARD if tlv.hard else 0) | code


# Filter info: a VID field is PS, PCP (3 bits) and VID (12 bits); PCP means something with PS only.


class _Layout:
    """Entries of one filter info format: their size, and both ways between octets and values."""

    __slots__ = ("decode", "encode", "size")

    def __init__(
        self,
        size: int,
        decode: Callable[[bytes], tuple[FilterEntry, ...]],
        encode: Callable[[Sequence[FilterEntry]], bytes],
    ) -> None:
        self.size, self.decode, self.encode = size, decode, encode


def _tag(entry: FilterEntry) -> int:
    return entry.vid if entry.pcp is None else 0x8000 | entry.pcp << 12 | entry.vid


def _decode_vids(info: bytes) -> tuple[FilterEntry, ...]:
    return tuple([FilterEntry(tag & 0xFFF, _PCPS[tag >> 12], None, None) for (tag,) in _VID.iter_unpack(info)])


def _encode_vids(entries: Sequence[FilterEntry]) -> bytes:
    return b"".join([_VID.pack(_tag(entry)) for entry in entries])


def _decode_macs(info: bytes) -> tuple[FilterEntry, ...]:
    return tuple([FilterEntry(tag & 0xFFF, _PCPS[tag >> 12], mac, None) for mac, tag in _MAC_VID.iter_unpack(info)])


def _encode_macs(entries: Sequence[FilterEntry]) -> bytes:
    return b"".join([_MAC_VID.pack(entry.mac, _tag(entry)) for entry in entries])


def _decode_groups(info: bytes) -> tuple[FilterEntry, ...]:
    return tuple(
        [FilterEntry(tag & 0xFFF, _PCPS[tag >> 12], None, group) for group, tag in _GROUP_VID.iter_unpack(info)]
    )


def _encode_groups(entries: Sequence[FilterEntry]) -> bytes:
    return b"".join([_GROUP_VID.pack(entry.group, _tag(entry)) for entry in entries])


def _decode_group_macs(info: bytes) -> tuple[FilterEntry, ...]:
    return tuple(
        [FilterEntry(tag & 0xFFF, _PCPS[tag >> 12], mac, group) for group, mac, tag in _GROUP_MAC_VID.iter_unpack(info)]
    )


def _encode_group_macs(entries: Sequence[FilterEntry]) -> bytes:
    return b"".join([_GROUP_MAC_VID.pack(entry.group, entry.mac, _tag(entry)) for entry in entries])


_MANAGER_HEADER = bytes([MANAGER << 1, 16])
_MANAGER_SIZE = 18
_FIXED = Struct("!HIBB16sBH")  # header; status and type ID in one; version, VSI ID, filter info format and count
_FIXED_LENGTH = _FIXED.size - 2
_VID, _MAC_VID, _GROUP_VID, _GROUP_MAC_VID = Struct("!H"), Struct("!6sH"), Struct("!IH"), Struct("!I6sH")
_PCPS = (None,) * 8 + tuple(range(8))  # by the upper four bits of the VID field
_LAYOUTS: Mapping[int, _Layout] = MappingProxyType(
    {
        FilterFormat.VID: _Layout(_VID.size, _decode_vids, _encode_vids),
        FilterFormat.MAC_VID: _Layout(_MAC_VID.size, _decode_macs, _encode_macs),
        FilterFormat.GROUP_VID: _Layout(_GROUP_VID.size, _decode_groups, _encode_groups),
        FilterFormat.GROUP_MAC_VID: _Layout(_GROUP_MAC_VID.size, _decode_group_macs, _encode_group_macs),
    }
)

_RESPONSE, _KEEP, _HARD = 0x40, 0x20, 0x10
_MODES = (Mode.DEASSOCIATE, *Mode)  # by TLV type, which is never 0
_HINTS = (Hint.NONE, Hint.MIGRATE, Hint.SUSPEND, Hint.MIGRATE | Hint.SUSPEND)
_RESPONSES = (
    Response.SUCCESS,
    Response.INVALID_FORMAT,
    Response.INSUFFICIENT_RESOURCES,
    Response.MANAGER_UNREACHABLE,
    Response.OTHER_FAILURE,
    Response.INVALID_ADDRESS,
    *(Response.OTHER_FAILURE,) * 10,  # reserved
)
_CODES: Mapping[Response, int] = MappingProxyType(
    {
        response: _RESPONSES.index(response if response in _RESPONSES else Response.OTHER_FAILURE)
        for response in Response
    }
)
_VSI_ID_FORMATS = frozenset(VsiIdFormat)

RATIFIED = Edition(
    name="ratified",
    decode=decode,
    encode_tlv=encode_tlv,
    assemble=assemble,
    overhead=_MANAGER_SIZE + 2,
    one_manager=True,
    repeats_refusals=False,
    timers=timers,
    check=check,
)
