"""Organizational TLVs of vendors and other organizations: who they are, and the values of those whose form is public.

Sheet `lldp.md` 8; PROFINET is IEC 61158-6-10 4.11. A TLV that is named here without a form has none that is published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from protocols.lldp.addresses import text

PROFINET_OUI = bytes.fromhex("000ecf")
CISCO_OUI = bytes.fromhex("000142")
FABRIC_ATTACH_OUI = bytes.fromhex("00040d")

VENDORS: Mapping[str, str] = {
    "00000c": "Cisco",
    "00005e": "IANA",
    "000142": "Cisco",
    "0002c9": "Mellanox",
    "00040d": "Avaya",
    "000480": "Foundry",
    "000496": "Extreme",
    "00051e": "Brocade",
    "000b86": "Aruba",
    "000ecf": "PROFINET",
    "000fac": "IEEE 802.11",
    "000fe2": "H3C",
    "001018": "Broadcom",
    "0014c2": "HP",
    "0016b9": "HP",
    "00180a": "Cisco Meraki",
    "0018fe": "HP",
    "001882": "Huawei",
    "001a11": "Google",
    "001b21": "Intel",
    "001b3f": "HP",
    "001c73": "Arista",
    "0026e1": "OpenFlow",
    "00400d": "Avaya",
    "008063": "Hirschmann",
    "0080c2": "IEEE 802.1",
    "00120f": "IEEE 802.3",
    "0012bb": "LLDP-MED",
    "009069": "Juniper",
    "00a0c5": "Zyxel",
    "00e02b": "Extreme",
    "00e0fc": "Huawei",
    "248a07": "Mellanox",
    "30b216": "Hytec",
    "883a30": "Aruba",
    "a42305": "ONOS",
    "f832e4": "ASUS",
    "f8b156": "Dell",
}


class Form(Enum):
    """How the octets after the subtype are read: a structure of its own, or one of the common ones."""

    STRUCTURE = "structure"
    TEXT = "text"
    NUMBER = "number"
    IPV4 = "ipv4"
    UNPUBLISHED = "unpublished"


class ProfinetSubtype(IntEnum):
    MEASURED_DELAYS = 1
    PORT_STATUS = 2
    ALIAS = 3
    MRP_PORT_STATUS = 4
    CHASSIS_MAC = 5
    PTCP_STATUS = 6
    MAU_TYPE_EXTENSION = 7
    MRPIC_PORT_STATUS = 8


CISCO_FOUR_WIRE_POWER = 1
CISCO_ACI_APPLIANCE_VECTOR = 0xCF
FABRIC_ATTACH_ELEMENT = 11
FABRIC_ATTACH_ASSIGNMENT = 12


class FabricAttachElementType(IntEnum):
    UNKNOWN = 1
    SERVER = 2
    PROXY = 3
    SERVER_WITHOUT_AUTHENTICATION = 4
    PROXY_WITHOUT_AUTHENTICATION = 5
    WIRELESS_ACCESS_POINT_1 = 6
    WIRELESS_ACCESS_POINT_2 = 7
    SWITCH = 8
    ROUTER = 9
    IP_PHONE = 10
    IP_CAMERA = 11
    IP_VIDEO = 12
    SECURITY_DEVICE = 13
    VIRTUAL_SWITCH = 14
    SERVER_ENDPOINT = 15


class RtClass2State(IntEnum):
    OFF = 0
    SYNC_DATA_LOADED = 1
    UP = 2


class RtClass3State(IntEnum):
    OFF = 0
    UP = 2
    DOWN = 3
    RUN = 4


class MrrtState(IntEnum):
    OFF = 0
    CONFIGURED = 1
    UP = 2


@dataclass(frozen=True, slots=True)
class VendorKind:
    """`key` names the value of a common form; `size` is the octets of a number, 0: those of the common structure."""

    name: str
    form: Form = Form.UNPUBLISHED
    key: str = ""
    size: int = 0


def _text(name: str, key: str) -> VendorKind:
    return VendorKind(name, Form.TEXT, key)


def _number(name: str, key: str, size: int) -> VendorKind:
    return VendorKind(name, Form.NUMBER, key, size)


VENDOR_TLVS: Mapping[str, Mapping[int, VendorKind]] = {
    "00005e": {1: _text("MUD URL", "mud-url")},
    "000142": {
        0x01: VendorKind("Four-Wire Power Via MDI", Form.STRUCTURE),
        0xC9: _number("ACI Port State", "port-state", 1),
        0xCA: _number("ACI Node Role", "node-role", 1),
        0xCB: _number("ACI Node ID", "node-id", 4),
        0xCC: _number("ACI Spine Level", "spine-level", 1),
        0xCD: _number("ACI Pod ID", "pod-id", 2),
        0xCE: _text("ACI Fabric Name", "fabric-name"),
        0xCF: VendorKind("ACI Appliance Vector", Form.STRUCTURE),
        0xD0: VendorKind("ACI Node IP", Form.IPV4, "node-address"),
        0xD1: _number("ACI Port Role", "port-role", 1),
        0xD2: _text("ACI Firmware Version", "firmware-version"),
        0xD3: _number("ACI Infra VLAN", "infra-vlan", 2),
        0xD4: _text("ACI Serial Number", "serial-number"),
        0xD6: _text("ACI Model", "model"),
        0xD7: _text("ACI Node Name", "node-name"),
        0xD8: _number("ACI Port Mode", "port-mode", 2),
        0xD9: VendorKind("ACI Authentication Cookie"),
        0xDA: _number("ACI APIC Mode", "apic-mode", 1),
        0xDB: _number("ACI Fabric ID", "fabric-id", 2),
    },
    # As Open vSwitch writes and reads them (lib/lldp).
    "00040d": {
        FABRIC_ATTACH_ELEMENT: VendorKind("Fabric Attach Element", Form.STRUCTURE),
        FABRIC_ATTACH_ASSIGNMENT: VendorKind("Fabric Attach Assignment", Form.STRUCTURE),
    },
    "000ecf": {
        1: VendorKind("Measured Delays", Form.STRUCTURE),
        2: VendorKind("Port Status", Form.STRUCTURE),
        3: _text("Alias", "alias"),
        4: VendorKind("MRP Port Status", Form.STRUCTURE),
        5: VendorKind("Chassis MAC", Form.STRUCTURE),
        6: VendorKind("PTCP Status", Form.STRUCTURE),
        7: _number("MAU Type Extension", "mau-type-extension", 2),
        8: VendorKind("MRP Interconnection Port Status", Form.STRUCTURE),
        9: VendorKind("TSN Domain"),
        10: VendorKind("TSN NME Management Address"),
        11: VendorKind("TSN NME Name UUID"),
        12: VendorKind("TSN NME Parameter UUID"),
        13: VendorKind("Working Clock"),
        14: VendorKind("Global Time"),
    },
    # The MIB (LLDP-EXT-HM-MIB) says what is in them, not how.
    "008063": {
        1: VendorKind("GMRP"),
        2: VendorKind("IGMP Snooping"),
        3: VendorKind("Port Security"),
        4: VendorKind("PTP"),
    },
    "009069": {1: _text("Chassis Serial Number", "chassis-serial-number")},
    # OUI and subtypes as in Avaya's manuals for the administrators of its IP phones.
    "00400d": {
        1: VendorKind("PoE Conservation Level"),
        3: VendorKind("Call Server", Form.IPV4, "call-server"),
        4: VendorKind("IP Phone Addresses", Form.IPV4, "phone-mask-gateway"),
        5: VendorKind("CNA Server", Form.IPV4, "cna-server"),
        6: VendorKind("File Server", Form.IPV4, "file-server"),
        7: _number("802.1Q Framing", "framing", 1),
    },
    "30b216": {1: VendorKind("Transceiver"), 2: VendorKind("Trace")},
    # As ONOS writes them (ONOSLLDP.java); the time is in milliseconds since 1970.
    "a42305": {
        1: _text("Name", "name"),
        2: _text("Device", "device"),
        3: _text("Domain", "domain"),
        4: _number("Timestamp", "timestamp", 8),
        5: VendorKind("Signature"),
    },
    "f8b156": {
        21: _text("Service Tag", "service-tag"),
        22: _text("Product Base", "product-base"),
        23: _text("Product Serial Number", "product-serial-number"),
        24: _text("Product Part Number", "product-part-number"),
    },
}


def vendor_kind(oui: bytes, subtype: int) -> VendorKind | None:
    return VENDOR_TLVS.get(oui.hex(), {}).get(subtype)


@dataclass(frozen=True, slots=True)
class VendorText:
    oui: bytes
    subtype: int
    value: bytes

    @property
    def text(self) -> str:
        return text(self.value)


@dataclass(frozen=True, slots=True)
class VendorNumber:
    oui: bytes
    subtype: int
    number: int


@dataclass(frozen=True, slots=True)
class VendorAddresses:
    """IPv4 addresses, four octets each."""

    oui: bytes
    subtype: int
    addresses: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MeasuredDelays:
    """PROFINET: nanoseconds."""

    port_rx_delay_local: int
    port_rx_delay_remote: int
    port_tx_delay_local: int
    port_tx_delay_remote: int
    cable_delay_local: int


@dataclass(frozen=True, slots=True)
class ProfinetPortStatus:
    rt_class2_state: int
    rt_class3_state: int
    rt_class3_fragmentation: bool
    rt_class3_short_preamble: bool


@dataclass(frozen=True, slots=True)
class MrpPortStatus:
    domain_uuid: bytes
    mrrt_state: int


@dataclass(frozen=True, slots=True)
class MrpIcPortStatus:
    domain_id: int
    role: int
    position: int


@dataclass(frozen=True, slots=True)
class ChassisMac:
    address: bytes


@dataclass(frozen=True, slots=True)
class PtcpStatus:
    """PROFINET: the clock's master and the periods of a cycle, in nanoseconds; a value counts if it is valid."""

    master_source_address: bytes
    subdomain_uuid: bytes
    ir_data_uuid: bytes
    length_of_period_valid: bool
    length_of_period: int
    red_period_begin_valid: bool
    red_period_begin: int
    orange_period_begin_valid: bool
    orange_period_begin: int
    green_period_begin_valid: bool
    green_period_begin: int


@dataclass(frozen=True, slots=True)
class FourWirePower:
    """Cisco's UPOE."""

    four_wire_poe_supported: bool
    spare_pair_detection_required: bool
    pd_requests_spare_pair: bool
    pse_spare_pair_on: bool


@dataclass(frozen=True, slots=True)
class AciAppliance:
    """One controller; its UUID is text."""

    id: int
    address: bytes
    uuid: bytes


@dataclass(frozen=True, slots=True)
class AciApplianceVector:
    appliances: tuple[AciAppliance, ...]


@dataclass(frozen=True, slots=True)
class FabricAttachElement:
    """Who takes part in Fabric Attach, and how. Of the ten octets of `system_id` the first six are a MAC address."""

    hmac_sha_digest: bytes
    element_type: int
    state: int
    management_vlan: int
    system_id: bytes


@dataclass(frozen=True, slots=True)
class FabricAttachService:
    """A VLAN and the service that it is to be, or was, assigned to."""

    status: int
    vlan_id: int
    i_sid: int


@dataclass(frozen=True, slots=True)
class FabricAttachAssignment:
    hmac_sha_digest: bytes
    assignments: tuple[FabricAttachService, ...]


VendorTlv = (
    VendorText
    | VendorNumber
    | VendorAddresses
    | MeasuredDelays
    | ProfinetPortStatus
    | MrpPortStatus
    | MrpIcPortStatus
    | ChassisMac
    | PtcpStatus
    | FourWirePower
    | AciApplianceVector
    | FabricAttachElement
    | FabricAttachAssignment
)
