"""What organizations add to a VSI (sheet `vdp.md` 7): name and address of a VM (Cisco), kind of manager ID (Oracle)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from struct import Struct
from types import MappingProxyType

from protocols.errors import DecodeError
from protocols.vdp.vsi import OrganizationalTlv, VsiId

CISCO = bytes.fromhex("00000c")
ORACLE = bytes.fromhex("0003ba")
MOST_NAME = 0x1FF - 38


@dataclass(frozen=True, slots=True)
class CiscoVmName:
    """Which VM the VSI belongs to, and its name."""

    vsi_id: VsiId
    vm_id: VsiId
    name: str


@dataclass(frozen=True, slots=True)
class CiscoAddress:
    """The VM's IPv4 address on this VSI, as text."""

    vsi_id: VsiId
    address: str


@dataclass(frozen=True, slots=True)
class OracleEncoding:
    """What the VSI manager ID is: 1 is "oracle_vsi_v1"."""

    encoding: int


def encode(value: CiscoVmName | CiscoAddress | OracleEncoding) -> OrganizationalTlv:
    """The TLV that says this. Raises ValueError for a name that is too long, and for what is no IPv4 address."""
    match value:
        case CiscoVmName(vsi_id, vm_id, name):
            octets = name.encode()
            if len(octets) > MOST_NAME:
                raise ValueError(f"the name has {len(octets)} octets, at most {MOST_NAME} fit into a TLV")
            return OrganizationalTlv(CISCO, _NAME.pack(_CISCO_NAME, *vsi_id, *vm_id) + octets)
        case CiscoAddress(vsi_id, text):
            try:
                address = IPv4Address(text).packed
            except AddressValueError as error:
                raise ValueError(f"{text!r} is no IPv4 address") from error
            return OrganizationalTlv(CISCO, _ADDRESS.pack(_CISCO_ADDRESS, *vsi_id, _IPV4) + address)
        case OracleEncoding(encoding):
            return OrganizationalTlv(ORACLE, bytes([_ORACLE_ENCODING, encoding]))


def decode(tlv: OrganizationalTlv) -> CiscoVmName | CiscoAddress | OracleEncoding | None:
    """What the TLV says; None when nobody here knows. Raises DecodeError when it is not what it claims to be."""
    reader = _READERS.get(tlv.oui + tlv.value[:1])
    return None if reader is None else reader(tlv.value)


def describe(tlv: OrganizationalTlv) -> dict[str, str | int]:
    """The TLV for readers; of what is not known, or broken, the octets."""
    try:
        value = decode(tlv)
    except DecodeError as error:
        return {"oui": tlv.oui.hex("-"), "octets": tlv.value.hex(), "error": str(error)}
    match value:
        case CiscoVmName(vsi_id, vm_id, name):
            return {"kind": "cisco-vm-name", "vsi-id": vsi_id.text, "vm-id": vm_id.text, "vm-name": name}
        case CiscoAddress(vsi_id, address):
            return {"kind": "cisco-vm-address", "vsi-id": vsi_id.text, "vm-address": address}
        case OracleEncoding(encoding):
            named = _ORACLE_ENCODINGS.get(encoding, f"reserved-{encoding}")
            return {"kind": "oracle-vsi-manager-id-encoding", "encoding": named}
    return {"oui": tlv.oui.hex("-"), "octets": tlv.value.hex()}


def _name(value: bytes) -> CiscoVmName:
    if len(value) < _NAME.size:
        raise DecodeError(f"Cisco's VM name TLV has {len(value)} octets after its OUI, needs {_NAME.size}")
    _, vsi_format, vsi_id, vm_format, vm_id = _NAME.unpack_from(value)
    try:
        name = value[_NAME.size :].decode()
    except UnicodeDecodeError as error:
        raise DecodeError("Cisco's VM name is not UTF-8", _NAME.size + error.start) from error
    return CiscoVmName(VsiId(vsi_format, vsi_id), VsiId(vm_format, vm_id), name)


def _address(value: bytes) -> CiscoAddress | None:
    if len(value) < _ADDRESS.size:
        raise DecodeError(f"Cisco's address TLV has {len(value)} octets after its OUI, needs {_ADDRESS.size}")
    _, vsi_format, vsi_id, family = _ADDRESS.unpack_from(value)
    address = value[_ADDRESS.size :]
    if family != _IPV4:
        return None
    if len(address) != 4:
        raise DecodeError(f"Cisco's IPv4 address has {len(address)} octets", _ADDRESS.size)
    return CiscoAddress(VsiId(vsi_format, vsi_id), str(IPv4Address(address)))


def _oracle(value: bytes) -> OracleEncoding:
    if len(value) != 2:
        raise DecodeError(f"Oracle's manager ID encoding has {len(value)} octets after its OUI instead of 2")
    return OracleEncoding(value[1])


_CISCO_NAME, _CISCO_ADDRESS, _ORACLE_ENCODING = 0xF1, 0xF2, 1
_READERS: Mapping[bytes, Callable[[bytes], CiscoVmName | CiscoAddress | OracleEncoding | None]] = MappingProxyType(
    {
        CISCO + bytes([_CISCO_NAME]): _name,
        CISCO + bytes([_CISCO_ADDRESS]): _address,
        ORACLE + bytes([_ORACLE_ENCODING]): _oracle,
    }
)
_IPV4 = 1  # address family number
_NAME = Struct("!BB16sB16s")  # subtype, VSI ID format, VSI ID, VM ID format, VM ID
_ADDRESS = Struct("!BB16sH")  # subtype, VSI ID format, VSI ID, address family
_ORACLE_ENCODINGS: Mapping[int, str] = MappingProxyType({1: "oracle_vsi_v1"})
