"""What DCBX TLVs say, as values (802.1Q D.2.8 to D.2.11, D.2.14; CEE 1.01 and CIN 1.0; sheet `dcbx.md` 1, 3, 4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

Eight = tuple[int, int, int, int, int, int, int, int]
"""A number for each priority, traffic class or group, 0 to 7."""


def eight(numbers: Iterable[int]) -> Eight:
    """Exactly eight of them; ValueError otherwise."""
    a, b, c, d, e, f, g, h = numbers
    return a, b, c, d, e, f, g, h


CEE_OUI = bytes.fromhex("001b21")  # of both CEE and CIN, and of the applications in CEE's TLV


class IeeeSubtype(IntEnum):
    """Of OUI 00-80-C2."""

    ETS_CONFIGURATION = 9
    ETS_RECOMMENDATION = 10
    PFC_CONFIGURATION = 11
    APPLICATION_PRIORITY = 12
    APPLICATION_VLAN = 16


class LegacySubtype(IntEnum):
    """Of OUI 00-1B-21."""

    CIN = 1
    CEE = 2


class TransmissionSelection(IntEnum):
    """Table 8-6."""

    STRICT_PRIORITY = 0
    CREDIT_BASED_SHAPER = 1
    ENHANCED_TRANSMISSION_SELECTION = 2
    VENDOR_SPECIFIC = 255


class Selector(IntEnum):
    """What the protocol of an application is (table D-8). With `ETHERTYPE`, protocol 0 is the default priority."""

    ETHERTYPE = 1
    TCP_SCTP = 2
    UDP_DCCP = 3
    TCP_SCTP_UDP_DCCP = 4
    DSCP = 5


class CeeSelector(IntEnum):
    ETHERTYPE = 0
    TCP_UDP = 1


class CeeType(IntEnum):
    """Sub-TLVs of CEE."""

    CONTROL = 1
    PRIORITY_GROUPS = 2
    PFC = 3
    APPLICATION = 4


class CinType(IntEnum):
    """Sub-TLVs of CIN; BCN is not read."""

    CONTROL = 1
    PRIORITY_GROUPS = 2
    PFC = 3
    BCN = 4
    APPLICATION = 5
    LOGICAL_LINK = 6


class StrictPriority(IntEnum):
    """CIN: whom a priority comes before."""

    NONE = 0
    GROUP = 1
    LINK = 2


LINK_STRICT_GROUP = 15  # CEE: the PGID without a limit of bandwidth


@dataclass(frozen=True, slots=True)
class EtsConfiguration:
    """D.2.8. `traffic_classes`: 1 to 8. Classes by priority; percentages and algorithms by class."""

    willing: bool
    credit_based_shaper: bool
    traffic_classes: int
    priority_assignment: Eight
    bandwidth: Eight
    selection: Eight


@dataclass(frozen=True, slots=True)
class EtsRecommendation:
    """D.2.9: what the sender would have the receiver use."""

    priority_assignment: Eight
    bandwidth: Eight
    selection: Eight


@dataclass(frozen=True, slots=True)
class PfcConfiguration:
    """D.2.10. `mbc` is set where MACsec can not be bypassed; `enable` has bit n for priority n."""

    willing: bool
    mbc: bool
    capability: int
    enable: int


@dataclass(frozen=True, slots=True)
class Application:
    priority: int
    selector: int
    protocol: int


@dataclass(frozen=True, slots=True)
class ApplicationPriority:
    """D.2.11."""

    applications: tuple[Application, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplicationVlanEntry:
    vlan_id: int
    selector: int
    protocol: int


@dataclass(frozen=True, slots=True)
class ApplicationVlan:
    """D.2.14."""

    entries: tuple[ApplicationVlanEntry, ...] = ()


IeeeTlv = EtsConfiguration | EtsRecommendation | PfcConfiguration | ApplicationPriority | ApplicationVlan


# CEE and CIN: one TLV, with sub-TLVs in it.


@dataclass(frozen=True, slots=True)
class Control:
    oper_version: int
    max_version: int
    seq_no: int
    ack_no: int


@dataclass(frozen=True, slots=True)
class Feature:
    """The header of every other sub-TLV."""

    oper_version: int = 0
    max_version: int = 0
    enable: bool = False
    willing: bool = False
    error: bool = False
    sub_type: int = 0


@dataclass(frozen=True, slots=True)
class PriorityGroups:
    """CEE: a group for each priority (15: link strict), a percentage for each group."""

    feature: Feature
    group_ids: Eight
    bandwidth: Eight
    traffic_classes: int


@dataclass(frozen=True, slots=True)
class CinPriority:
    """Group, `StrictPriority`, and the percentage of the group that one priority gets."""

    group: int
    strict: int
    percent: int


@dataclass(frozen=True, slots=True)
class CinPriorityGroups:
    """CIN: a percentage for each bandwidth group, and eight priorities."""

    feature: Feature
    bandwidth: Eight
    priorities: tuple[CinPriority, ...]


@dataclass(frozen=True, slots=True)
class LegacyPfc:
    """`enable` has bit n for priority n. `traffic_classes` is CEE's only."""

    feature: Feature
    enable: int
    traffic_classes: int | None = None


@dataclass(frozen=True, slots=True)
class CeeApplication:
    """`oui`: three octets, the two lowest bits of the first always 0. `priorities` is a bitmap."""

    protocol: int
    selector: int
    oui: bytes
    priorities: int


@dataclass(frozen=True, slots=True)
class CeeApplications:
    feature: Feature
    applications: tuple[CeeApplication, ...] = ()


@dataclass(frozen=True, slots=True)
class CinApplication:
    """CIN has a sub-TLV for each application, named by the feature's sub-type (0: FCoE)."""

    feature: Feature
    priorities: int


@dataclass(frozen=True, slots=True)
class LogicalLink:
    """CIN: the state of FCoE (sub-type 0) or of the LAN (1)."""

    feature: Feature
    up: bool


@dataclass(frozen=True, slots=True)
class OtherFeature:
    """A sub-TLV that is not read."""

    type: int
    value: bytes


SubTlv = (
    Control
    | PriorityGroups
    | CinPriorityGroups
    | LegacyPfc
    | CeeApplications
    | CinApplication
    | LogicalLink
    | OtherFeature
)


@dataclass(frozen=True, slots=True)
class LegacyTlv:
    """All sub-TLVs as they came: that one comes twice is for the machines to see (sheet `dcbx.md` 3.4, 3.5)."""

    subtype: int
    sub_tlvs: tuple[SubTlv, ...] = ()
