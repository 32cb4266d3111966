"""VDP of the pre-standard draft 0.2 on the wire (sheet `vdp.md` 8): OUI 00-1B-3F, subtype 2.

Each VSI is an organizational TLV with a manager ID of its own. Nothing marks a response: the direction tells. By
`struct`, as the ratified edition and for its reason.
"""

from collections.abc import Mapping, Sequence
from struct import Struct
from types import MappingProxyType

from protocols.errors import DecodeError
from protocols.timers import SECOND
from protocols.vdp.edition import Edition, Reading, Timers
from protocols.vdp.filter import FilterEntry, FilterFormat, Filters, validate
from protocols.vdp.vsi import Hint, Mode, Response, VsiId, VsiIdFormat, VsiTlv

END, ORGANIZATIONAL = 0, 127
KIND = bytes.fromhex("001b3f02")


def decode(payload: bytes, from_station: bool) -> Reading:
    """The VSIs of an ULPDU. What lldpad drops is dropped (interop-notes V22)."""
    vsis: list[VsiTlv] = []
    errors: list[DecodeError] = []
    skipped = 0
    offset, size = 0, len(payload)
    while offset + 2 <= size:
        kind = payload[offset] >> 1
        length = (payload[offset] & 1) << 8 | payload[offset + 1]
        if kind == END:
            if length:
                errors.append(DecodeError(f"End TLV has {length} octets", offset))
            return Reading(tuple(vsis), tuple(errors), not length, skipped)
        start, offset = offset, offset + 2 + length
        if offset > size:
            errors.append(DecodeError(f"TLV of type {kind} has {length} octets, {size - start - 2} are left", start))
            return Reading(tuple(vsis), tuple(errors), False, skipped)
        if kind != ORGANIZATIONAL or payload[start + 2 : start + 6] != KIND or length < len(KIND):
            skipped += 1
            continue
        try:
            vsis.append(_vsi(payload, start, length, from_station))
        except DecodeError as error:
            errors.append(error)
    if offset < size:
        errors.append(DecodeError("one octet is left, which is no TLV", offset))
    return Reading(tuple(vsis), tuple(errors), False, skipped)


def encode_tlv(tlv: VsiTlv) -> bytes:
    """One VSI. A response of the ratified edition alone is said as "insufficient resources".

    Hints, the Keep and Hard bits and organizational TLVs cannot be said. A command is a response of success.
    """
    entries = tlv.filters.entries
    return _FIXED.pack(
        ORGANIZATIONAL << 9 | _FIXED_LENGTH + _ENTRY.size * len(entries),
        KIND,
        tlv.mode - 1,
        0 if tlv.response is None else _CODES[tlv.response],
        tlv.manager[0] << 24 | tlv.type_id,
        tlv.version,
        tlv.vsi_id.octets,
        FilterFormat.MAC_VID,
        len(entries),
    ) + b"".join([_ENTRY.pack(entry.mac, entry.vid) for entry in entries])


def assemble(manager: bytes, tlvs: Sequence[bytes]) -> bytes:
    """An ULPDU; each VSI has its manager ID in it already."""
    return b"".join((*tlvs, b"\0\0"))


def timers(retries: int, rte: int, rwd: int, rka: int) -> Timers:
    """Nothing is negotiated: the station's are lldpad's, and the bridge's fit to them."""
    return _TIMERS


def check(tlv: VsiTlv) -> str | None:
    """Why a station cannot ask this. Hints and organizational TLVs are left out silently: nothing depends on them."""
    if tlv.vsi_id.format != VsiIdFormat.UUID:
        return "instance: the draft knows VSIs by UUID only"
    if any(tlv.manager[1:]):
        return "manager: the draft has manager IDs of one octet only, such as 0c"
    if tlv.filters.format != FilterFormat.MAC_VID:
        return "filter: the draft has filters of VID and MAC address only"
    for number, entry in enumerate(tlv.filters.entries, 1):
        if entry.pcp is not None:
            return f"filter {number}: the draft has no priorities"
        if entry.vid == 0:
            return f"filter {number}: in the draft no VID can be left to the switch"
    return validate(tlv.filters)


def _vsi(payload: bytes, start: int, length: int, from_station: bool) -> VsiTlv:
    if length < _FIXED_LENGTH:
        raise DecodeError(f"VDP TLV has {length} octets, needs {_FIXED_LENGTH} and its filter info", start)
    _, _, mode, code, word, version, octets, form, count = _FIXED.unpack_from(payload, start)
    if mode >= len(_MODES):
        raise DecodeError(f"mode {mode} is not known", start)
    if form != FilterFormat.MAC_VID:
        raise DecodeError(f"filter info format {form} is not known", start)
    if not count:
        raise DecodeError("VDP TLV has no filter info entries", start)
    info = payload[start + _FIXED.size : start + 2 + length]
    if count * _ENTRY.size != len(info):
        raise DecodeError(f"{len(info)} octets of filter info are not {count} entries", start)
    response = None
    if from_station:
        code = 0
    elif code < len(_RESPONSES):
        response = _RESPONSES[code]
    else:
        raise DecodeError(f"response {code} is not known", start)
    entries = tuple([FilterEntry(vid, None, mac, None) for mac, vid in _ENTRY.iter_unpack(info)])
    return VsiTlv(
        _MODES[mode],
        VsiId(VsiIdFormat.UUID, octets),
        (word >> 24).to_bytes(1, "big") + _FIFTEEN_ZEROS,
        word & 0xFFFFFF,
        version,
        Filters(form, entries),
        Hint.NONE,
        response,
        False,
        False,
        code,
    )


_FIXED = Struct("!H4sBBIB16sBH")  # header, OUI and subtype, mode, response, manager and type ID in one, version, ...
_FIXED_LENGTH = _FIXED.size - 2
_ENTRY = Struct("!6sH")
_FIFTEEN_ZEROS = bytes(15)
_MODES = tuple(Mode)  # by the mode octet
_RESPONSES = (
    Response.SUCCESS,
    Response.INVALID_FORMAT,
    Response.INSUFFICIENT_RESOURCES,
    Response.UNUSED_VTID,
    Response.VTID_VIOLATION,
    Response.VTID_VERSION_VIOLATION,
    Response.OUT_OF_SYNC,
)
_CODES: Mapping[Response, int] = MappingProxyType(
    {
        response: _RESPONSES.index(response if response in _RESPONSES else Response.INSUFFICIENT_RESOURCES)
        for response in Response
    }
)

_RESPONSE_WAIT = 3 * SECOND  # 2 x 3 attempts of 500 ms
_KEEP_ALIVE = 10 * SECOND
_TIMERS = Timers(
    response_wait=_RESPONSE_WAIT,
    keep_alive=_KEEP_ALIVE,
    tolerance=(_KEEP_ALIVE + _RESPONSE_WAIT) * 3 // 2,  # as the ratified edition allows for what gets lost
    resource_wait=2 * SECOND,  # leaves the answer a second to get there
)

DRAFT = Edition(
    name="draft",
    decode=decode,
    encode_tlv=encode_tlv,
    assemble=assemble,
    overhead=2,
    one_manager=False,
    # lldpad's station sends a DeAssociate for what was refused along with the next request, and takes its answer for
    # the one that libvirt polls for: a guest would be started without its VSI (interop-notes V21).
    repeats_refusals=True,
    timers=timers,
    check=check,
)
