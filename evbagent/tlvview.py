"""One TLV of an LLDPDU as `decode -j` shows it: name, OUI, subtype and a document of its fields (contract section 1).

Names of fields are the leaves of IEEE's YANG modules where these have one. Numbers are in the units of the wire.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from evbagent.tlvview_basic import basic_document
from evbagent.tlvview_dcbx import dcbx_document, legacy_dcbx_document
from evbagent.tlvview_ieee import cdcp_document, dot1_document, dot3_document, evb_document
from evbagent.tlvview_med import med_document, vendor_document
from protocols.dcbx import cee, ieee
from protocols.dcbx.model import CEE_OUI
from protocols.errors import DecodeError
from protocols.evb import cdcp, draft, ratified
from protocols.lldp import codec, dot1_codec, dot3_codec, med_codec, vendor_codec
from protocols.lldp.dot1 import DOT1_OUI
from protocols.lldp.dot3 import DOT3_OUI
from protocols.lldp.med import MED_OUI
from protocols.lldp.vendors import VENDORS, vendor_kind
from protocols.tlv import END, RawTlv

Json = dict[str, Any]

ORGANIZATIONAL_HEADER = 4  # OUI and subtype


class Described(NamedTuple):
    """`oui` in six lower-case hex digits; `value` is None where the TLV is not known, or has an `error`."""

    name: str
    oui: str | None
    subtype: int | None
    value: Json | None
    error: str | None


def describe_tlv(kind: int, value: bytes) -> Described:
    """A TLV by its type and information string.

    What a TLV holds beyond the fields of its document is in the document too: bits that are reserved, as a mask, under
    `reserved-bits`; octets after the last field under `trailing-octets`.
    """
    if kind != codec.ORGANIZATIONAL:
        name = _BASIC_NAMES.get(kind, f"Reserved {kind}")
        return Described(name, None, None, *_read_basic(kind, value))
    oui, body = value[:3], value[ORGANIZATIONAL_HEADER:]
    if len(value) < ORGANIZATIONAL_HEADER:
        error = f"{len(value)} octets are too few for OUI and subtype"
        return Described("Organizationally Specific", oui.hex() if len(oui) == 3 else None, None, None, error)
    subtype = value[3]
    return Described(_organizational_name(oui, subtype), oui.hex(), subtype, *_read_organizational(oui, subtype, body))


def _read_basic(kind: int, value: bytes) -> tuple[Json | None, str | None]:
    if kind == END:
        return _beyond(value, b""), None
    if kind not in _BASIC_NAMES:
        return None, None
    try:
        read = codec.decode_basic(RawTlv(kind, value))
    except DecodeError as error:
        return None, error.reason
    return {**basic_document(read), **_beyond(value, codec.encode_basic(read))}, None


def organizational_value(oui: bytes, subtype: int, body: bytes) -> Any:
    """The value type of an organizational TLV, from what follows its subtype; None when it is not known.

    DecodeError, with the offset in the body, when its octets are not those of such a TLV.
    """
    for family in _families(oui):
        value = family.decode(subtype, body)
        if value is not None:
            return value
    return None


def _read_organizational(oui: bytes, subtype: int, body: bytes) -> tuple[Json | None, str | None]:
    try:
        for family in _families(oui):
            read = family.decode(subtype, body)
            if read is not None:
                return {**family.document(read), **_beyond(body, family.encode(read))}, None
    except DecodeError as error:
        return None, f"{error.reason} (octet {ORGANIZATIONAL_HEADER + error.offset} of its value)"
    return None, None


class _Family(NamedTuple):
    """Some TLVs of one OUI: how a body is read (None: it is not of these), written again, and shown."""

    decode: Callable[[int, bytes], Any]
    encode: Callable[[Any], bytes]
    document: Callable[[Any], Json]


def _single(
    subtype: int, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], document: Callable[[Any], Json]
) -> _Family:
    """One TLV that is read by itself."""
    return _Family(lambda number, body: decode(body) if number == subtype else None, encode, document)


# A body is what follows OUI and subtype.
_FAMILIES: Mapping[bytes, tuple[_Family, ...]] = {
    DOT1_OUI: (
        _Family(dot1_codec.decode, lambda value: dot1_codec.encode(value)[1], dot1_document),
        _Family(ieee.decode, lambda value: ieee.encode(value)[1], dcbx_document),
        _single(ratified.RATIFIED.subtype, ratified.decode_fields, ratified.encode_fields, evb_document),
        _single(cdcp.SUBTYPE, cdcp.decode, cdcp.encode, cdcp_document),
    ),
    DOT3_OUI: (_Family(dot3_codec.decode, lambda value: dot3_codec.encode(value)[1], dot3_document),),
    MED_OUI: (_Family(med_codec.decode, lambda value: med_codec.encode(value)[1], med_document),),
    CEE_OUI: (_Family(cee.decode, lambda value: cee.encode(value)[1], legacy_dcbx_document),),
    draft.DRAFT.oui: (_single(draft.DRAFT.subtype, draft.decode_fields, draft.encode_fields, evb_document),),
}


def _families(oui: bytes) -> tuple[_Family, ...]:
    """Those that are worth asking."""
    known = _FAMILIES.get(oui)
    if known is not None:
        return known
    return (_Family(partial(vendor_codec.decode, oui), lambda value: vendor_codec.encode(value)[2], vendor_document),)


def _beyond(octets: bytes, understood: bytes) -> Json:
    """What of a TLV is not in the fields that were read from it, `understood` being what these encode to."""
    document: Json = {}
    mask = bytes(one ^ other for one, other in zip(octets, understood, strict=False))
    if any(mask):
        document["reserved-bits"] = mask.hex()
    if len(octets) > len(understood):
        document["trailing-octets"] = octets[len(understood) :].hex()
    return document


def _organizational_name(oui: bytes, subtype: int) -> str:
    vendor = VENDORS.get(oui.hex(), oui.hex("-").upper())
    kind = vendor_kind(oui, subtype)
    name = kind.name if kind else _IEEE_NAMES.get(oui.hex(), {}).get(subtype)
    return f"{vendor} {name}" if name else f"{vendor} subtype {subtype}"


_BASIC_NAMES: Mapping[int, str] = {
    END: "End of LLDPDU",
    codec.CHASSIS_ID: "Chassis ID",
    codec.PORT_ID: "Port ID",
    codec.TIME_TO_LIVE: "Time To Live",
    codec.PORT_DESCRIPTION: "Port Description",
    codec.SYSTEM_NAME: "System Name",
    codec.SYSTEM_DESCRIPTION: "System Description",
    codec.SYSTEM_CAPABILITIES: "System Capabilities",
    codec.MANAGEMENT_ADDRESS: "Management Address",
}
_IEEE_NAMES: Mapping[str, Mapping[int, str]] = {
    "0080c2": {
        1: "Port VLAN ID",
        2: "Port And Protocol VLAN ID",
        3: "VLAN Name",
        4: "Protocol Identity",
        5: "VID Usage Digest",
        6: "Management VID",
        7: "Link Aggregation",
        8: "Congestion Notification",
        9: "ETS Configuration",
        10: "ETS Recommendation",
        11: "Priority-based Flow Control Configuration",
        12: "Application Priority",
        13: "EVB",
        14: "CDCP",
        15: "Port Extension",
        16: "Application VLAN",
        17: "LRP ECP Discovery",
        18: "LRP TCP Discovery",
        19: "Congestion Isolation",
        20: "Topology Recognition",
    },
    "00120f": {
        1: "MAC/PHY Configuration/Status",
        2: "Power Via MDI",
        3: "Link Aggregation",
        4: "Maximum Frame Size",
        5: "Energy-Efficient Ethernet",
        6: "EEE Fast Wake",
        7: "Additional Ethernet Capabilities",
        8: "Power Via MDI Measurements",
    },
    "0012bb": {
        1: "Capabilities",
        2: "Network Policy",
        3: "Location Identification",
        4: "Extended Power-via-MDI",
        5: "Hardware Revision",
        6: "Firmware Revision",
        7: "Software Revision",
        8: "Serial Number",
        9: "Manufacturer Name",
        10: "Model Name",
        11: "Asset ID",
    },
    "001b21": {1: "DCBX CIN 1.0", 2: "DCBX CEE 1.01"},
    "001b3f": {0: "802.1Qbg Draft EVB", 1: "802.1Qbg Draft CDCP", 2: "802.1Qbg Draft VDP"},
}
