"""VDP's TLVs as JSON, one by one: names of IEEE8021-EVB-MIB where it has one (sheet `vdp.md` 1, 7 and 8)."""

from collections.abc import Mapping
from typing import Any

from protocols.errors import DecodeError
from protocols.tlv import END, encode_tlv, walk
from protocols.vdp.draft import DRAFT
from protocols.vdp.edition import Edition
from protocols.vdp.filter import FilterEntry, FilterFormat
from protocols.vdp.organizational import decode, describe
from protocols.vdp.ratified import RATIFIED
from protocols.vdp.vsi import Hint, OrganizationalTlv, VsiIdFormat, VsiTlv, manager_text

Fields = dict[str, Any]
Description = tuple[str, str | None, int | None, Fields | None, str | None]
"""Name, OUI, subtype and decoded fields of a TLV, and what is wrong with it."""

VSI_MANAGER_ID, ORGANIZATIONAL = 5, 127


def describe_ratified_tlv(kind: int, octets: bytes) -> Description:
    """A TLV of IEEE 802.1Q clause 41, by its type and information string."""
    if kind == END:
        return "End of VDPDU", None, None, None, None
    if kind in _ASSOCIATIONS:
        lead = encode_tlv(VSI_MANAGER_ID, bytes(_MANAGER_SIZE))
        value, error = _association(RATIFIED, lead, encode_tlv(kind, octets))
        return _ASSOCIATIONS[kind], None, None, value, error
    if kind == VSI_MANAGER_ID:
        if len(octets) != _MANAGER_SIZE:
            return "VSI Manager ID", None, None, None, f"VSI Manager ID TLV of {len(octets)} octets"
        return "VSI Manager ID", None, None, {"vsi-manager-id": manager_text(octets)}, None
    if kind == ORGANIZATIONAL:
        return _organizational(octets)
    return f"Reserved {kind}", None, None, None, None


def describe_draft_tlv(kind: int, octets: bytes) -> Description:
    """A TLV of the draft, whose every VSI is in an organizational TLV."""
    if kind == END:
        return "End of VDPDU", None, None, None, None
    if kind != ORGANIZATIONAL:
        return f"Reserved {kind}", None, None, None, None
    if octets[:4] != _DRAFT_VDP:
        return _organizational(octets)
    value, error = _association(DRAFT, b"", encode_tlv(kind, octets))
    return "VDP (draft)", octets[:3].hex(), octets[3], value, error


def comes_from_station(payload: bytes) -> bool:
    """Whether all of a ULPDU can be a station's: what a bridge says has the response bit, or could be a station's too.

    The draft has no such bit: all of it is read as a bridge's, and requests have the response `success`.
    """
    associations = [tlv for tlv in walk(payload).tlvs if tlv.type in _ASSOCIATIONS]
    return bool(associations) and not any(tlv.value[:1] and tlv.value[0] & _RESPONSE_BIT for tlv in associations)


_ASSOCIATIONS: Mapping[int, str] = {
    1: "PreAssociate",
    2: "PreAssociate with Resource Reservation",
    3: "Associate",
    4: "DeAssociate",
}
_VSI_ID_FORMATS: Mapping[int, str] = {
    VsiIdFormat.IPV4: "ipv4",
    VsiIdFormat.IPV6: "ipv6",
    VsiIdFormat.MAC: "mac",
    VsiIdFormat.LOCAL: "local",
    VsiIdFormat.UUID: "uuid",
}
_FILTER_FORMATS: Mapping[int, str] = {
    FilterFormat.VID: "vid",
    FilterFormat.MAC_VID: "mac-vid",
    FilterFormat.GROUP_VID: "group-id-vid",
    FilterFormat.GROUP_MAC_VID: "group-id-mac-vid",
}
_ORGANIZATIONAL_NAMES: Mapping[tuple[str, int | None], str] = {
    ("00000c", 0xF1): "Cisco VM Name",
    ("00000c", 0xF2): "Cisco VM Address",
    ("0003ba", 1): "Oracle VSI Manager ID Encoding",
}
_MANAGER_SIZE = 16
_RESPONSE_BIT = 0x40
_DRAFT_VDP = bytes.fromhex("001b3f02")


def _association(edition: Edition, lead: bytes, tlv: bytes) -> tuple[Fields | None, str | None]:
    """The one TLV is read as a ULPDU of its own, after what has to lead it."""
    payload = lead + tlv
    try:
        reading = edition.decode(payload, comes_from_station(payload))
    except DecodeError as error:
        return None, error.reason
    if reading.errors:
        return None, reading.errors[0].reason
    return (_fields(edition, reading.vsis[0]), None) if reading.vsis else (None, None)


def _fields(edition: Edition, tlv: VsiTlv) -> Fields:
    fields: Fields = {"mode": tlv.mode.word}
    if tlv.response is None:
        fields["hint"] = "+".join(flag.name.lower() for flag in Hint if flag & tlv.hint and flag.name) or "none"
    fields |= {"response": tlv.response, "code": tlv.code, "keep": tlv.keep, "hard": tlv.hard}
    if not edition.one_manager:
        fields["vsi-manager-id"] = tlv.manager[0]
    return fields | {
        "vsi-type-id": tlv.type_id,
        "vsi-type-version": tlv.version,
        "vsi-id-format": _VSI_ID_FORMATS.get(tlv.vsi_id.format, f"reserved-{tlv.vsi_id.format}"),
        "vsi-id": tlv.vsi_id.text,
        "filter-info-format": _FILTER_FORMATS.get(tlv.filters.format, f"reserved-{tlv.filters.format}"),
        "filters": [_filter(entry) for entry in tlv.filters.entries],
    }


def _filter(entry: FilterEntry) -> Fields:
    return {
        "vid": entry.vid,
        "pcp": entry.pcp,
        "mac-address": None if entry.mac is None else entry.mac.hex(":"),
        "group-id": entry.group,
    }


def _organizational(octets: bytes) -> Description:
    if len(octets) < 3:
        return "Organizationally Specific", None, None, None, f"organizational TLV of {len(octets)} octets"
    oui, subtype = octets[:3].hex(), octets[3] if len(octets) > 3 else None
    name = _ORGANIZATIONAL_NAMES.get((oui, subtype), "Organizationally Specific")
    tlv = OrganizationalTlv(octets[:3], octets[3:])
    try:
        value = None if decode(tlv) is None else dict(describe(tlv))
    except DecodeError as error:
        return name, oui, subtype, None, error.reason
    return name, oui, subtype, value, None
