"""The organizational TLVs of IEEE 802.1 as values (802.1Q D.2, 802.1AX annex F; sheet `lldp.md` 5).

The TLVs of EVB and DCBX have the same OUI and are read by their own packages.
"""

from dataclasses import dataclass
from enum import IntEnum

from protocols.lldp.addresses import text

DOT1_OUI = bytes.fromhex("0080c2")


class Dot1Subtype(IntEnum):
    """Table D-1, and who has taken numbers since."""

    PORT_VLAN_ID = 1
    PORT_AND_PROTOCOL_VLAN_ID = 2
    VLAN_NAME = 3
    PROTOCOL_IDENTITY = 4
    VID_USAGE_DIGEST = 5
    MANAGEMENT_VID = 6
    LINK_AGGREGATION = 7
    CONGESTION_NOTIFICATION = 8
    ETS_CONFIGURATION = 9
    ETS_RECOMMENDATION = 10
    PFC_CONFIGURATION = 11
    APPLICATION_PRIORITY = 12
    EVB = 13
    CDCP = 14
    PORT_EXTENSION = 15
    APPLICATION_VLAN = 16
    LRP_ECP_DISCOVERY = 17
    LRP_TCP_DISCOVERY = 18
    CONGESTION_ISOLATION = 19
    TOPOLOGY_RECOGNITION = 20


class AggregationPortType(IntEnum):
    UNSPECIFIED = 0
    AGGREGATION_PORT = 1
    AGGREGATOR = 2
    SINGLE_PORT_AGGREGATOR = 3


@dataclass(frozen=True, slots=True)
class PortVlanId:
    """D.2.1. 0: the port has none."""

    port_vlan_id: int


@dataclass(frozen=True, slots=True)
class PortAndProtocolVlanId:
    """D.2.2. A PPVID of 0: not supported, or unknown."""

    supported: bool
    enabled: bool
    port_vlan_id: int


@dataclass(frozen=True, slots=True)
class VlanName:
    """D.2.3. `name`: 0 to 32 octets."""

    vlan_id: int
    name: bytes

    @property
    def text(self) -> str:
        return text(self.name)


@dataclass(frozen=True, slots=True)
class ProtocolIdentity:
    """D.2.4: the first octets of a protocol after the layer 2 addresses, `88 8e 01` or so; up to 255."""

    protocol_identity: bytes


@dataclass(frozen=True, slots=True)
class VidUsageDigest:
    """D.2.5: CRC-32 of the VID usage table."""

    vid_usage_digest: int


@dataclass(frozen=True, slots=True)
class ManagementVid:
    """D.2.6. 0: none."""

    management_vid: int


@dataclass(frozen=True, slots=True)
class LinkAggregation:
    """802.1AX F.1; `port_type` is an `AggregationPortType`, the port ID an ifIndex or 0."""

    aggregation_capability: bool
    aggregation_status: bool
    port_type: int
    aggregated_port_id: int


@dataclass(frozen=True, slots=True)
class CongestionNotification:
    """D.2.7: bitmaps, bit n for priority n."""

    cnpv_capable: int
    ready: int


Dot1Tlv = (
    PortVlanId
    | PortAndProtocolVlanId
    | VlanName
    | ProtocolIdentity
    | VidUsageDigest
    | ManagementVid
    | LinkAggregation
    | CongestionNotification
)
