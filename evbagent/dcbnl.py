"""DCB over netlink, RTM_GETDCB and RTM_SETDCB: messages, attributes and structures of linux/dcbnl.h.

Sheet `dcbx.md` 6. The kernel sets no NLA_F_NESTED in its answers, and takes requests with and without.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any

from evbagent.rtnl import NLA_F_NESTED, Selective, nla, nlmsg
from protocols.dcbx.model import CEE_OUI, Application, CeeApplication, Eight

RTM_GETDCB = 78
RTM_SETDCB = 79


class Command(IntEnum):
    """DCB_CMD_*, those that are used."""

    GSTATE = 1
    SSTATE = 2
    PGTX_GCFG = 3
    PGTX_SCFG = 4
    PGRX_GCFG = 5
    PGRX_SCFG = 6
    PFC_GCFG = 7
    PFC_SCFG = 8
    SET_ALL = 9
    GCAP = 11
    GNUMTCS = 12
    SAPP = 19
    IEEE_SET = 20
    IEEE_GET = 21
    GDCBX = 22
    SDCBX = 23
    GFEATCFG = 24
    SFEATCFG = 25
    CEE_GET = 26
    IEEE_DEL = 27


class DcbxMode(IntFlag):
    """DCB_CAP_DCBX_*: who runs DCBX, and in which form."""

    HOST = 0x01
    LLD_MANAGED = 0x02
    CEE = 0x04
    IEEE = 0x08
    STATIC = 0x10


ETS = struct.Struct("3B8s8s8s8s8s8s8s")
PFC = struct.Struct("3Bx H2x 8Q 8Q")
APP = struct.Struct("BBH")
CEE_PG = struct.Struct("4B8s8s")
CEE_PFC = struct.Struct("4B")


class Features(IntFlag):
    """DCB_FEATCFG_*: how a feature of CEE stands, where firmware runs DCBX."""

    ERROR = 0x01
    ENABLE = 0x02
    WILLING = 0x04
    ADVERTISE = 0x08


class PriorityNest(Selective, nla):
    """DCB_ATTR_PFC_CFG: an octet for each priority."""

    nla_flags = NLA_F_NESTED
    nla_map = (*((1 + n, f"DCB_PFC_UP_ATTR_{n}", "uint8") for n in range(8)), (9, "DCB_PFC_UP_ATTR_ALL", "none"))


class ClassNest(Selective, nla):
    """DCB_PG_ATTR_TC_n."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "DCB_TC_ATTR_PARAM_PGID", "uint8"),
        (2, "DCB_TC_ATTR_PARAM_UP_MAPPING", "uint8"),
        (3, "DCB_TC_ATTR_PARAM_STRICT_PRIO", "uint8"),
        (4, "DCB_TC_ATTR_PARAM_BW_PCT", "uint8"),
        (5, "DCB_TC_ATTR_PARAM_ALL", "none"),
    )


class GroupNest(Selective, nla):
    """DCB_ATTR_PG_CFG."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        *((1 + n, f"DCB_PG_ATTR_TC_{n}", "traffic_class") for n in range(8)),
        (10, "DCB_PG_ATTR_TC_ALL", "traffic_class"),
        *((11 + n, f"DCB_PG_ATTR_BW_ID_{n}", "uint8") for n in range(8)),
        (20, "DCB_PG_ATTR_BW_ID_ALL", "none"),
    )
    traffic_class = ClassNest


class CapabilityNest(Selective, nla):
    """DCB_ATTR_CAP."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "DCB_CAP_ATTR_ALL", "none"),
        (2, "DCB_CAP_ATTR_PG", "uint8"),
        (3, "DCB_CAP_ATTR_PFC", "uint8"),
        (4, "DCB_CAP_ATTR_UP2TC", "uint8"),
        (5, "DCB_CAP_ATTR_PG_TCS", "uint8"),
        (6, "DCB_CAP_ATTR_PFC_TCS", "uint8"),
        (7, "DCB_CAP_ATTR_GSP", "uint8"),
        (8, "DCB_CAP_ATTR_BCN", "uint8"),
        (9, "DCB_CAP_ATTR_DCBX", "uint8"),
    )


class NumberNest(Selective, nla):
    """DCB_ATTR_NUMTCS."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "DCB_NUMTCS_ATTR_ALL", "none"),
        (2, "DCB_NUMTCS_ATTR_PG", "uint8"),
        (3, "DCB_NUMTCS_ATTR_PFC", "uint8"),
    )


class AppNest(Selective, nla):
    """DCB_ATTR_APP, CEE's application; `DCB_APP_ATTR_PRIORITY` is a bitmap."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "DCB_APP_ATTR_IDTYPE", "uint8"),
        (2, "DCB_APP_ATTR_ID", "uint16"),
        (3, "DCB_APP_ATTR_PRIORITY", "uint8"),
    )


class AppTable(Selective, nla):
    """IEEE applications; those of the second kind are selected by PCP, which no DCBX TLV carries."""

    nla_flags = NLA_F_NESTED
    nla_map = ((1, "DCB_ATTR_IEEE_APP", "cdata"),)


class IeeeNest(Selective, nla):
    """DCB_ATTR_IEEE."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "DCB_ATTR_IEEE_ETS", "cdata"),
        (2, "DCB_ATTR_IEEE_PFC", "cdata"),
        (3, "DCB_ATTR_IEEE_APP_TABLE", "app_table"),
        (4, "DCB_ATTR_IEEE_PEER_ETS", "cdata"),
        (5, "DCB_ATTR_IEEE_PEER_PFC", "cdata"),
        (6, "DCB_ATTR_IEEE_PEER_APP", "app_table"),
    )
    app_table = AppTable


class FeatureNest(Selective, nla):
    """DCB_ATTR_FEATCFG: flags of a feature."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "DCB_FEATCFG_ATTR_ALL", "none"),
        (2, "DCB_FEATCFG_ATTR_PG", "uint8"),
        (3, "DCB_FEATCFG_ATTR_PFC", "uint8"),
        (4, "DCB_FEATCFG_ATTR_APP", "uint8"),
    )


class CeePeerAppTable(Selective, nla):
    """DCB_ATTR_CEE_PEER_APP_TABLE."""

    nla_map = ((1, "DCB_ATTR_CEE_PEER_APP_INFO", "cdata"), (2, "DCB_ATTR_CEE_PEER_APP", "cdata"))


class CeeAppTable(Selective, nla):
    """DCB_ATTR_CEE_APP_TABLE."""

    nla_map = ((1, "DCB_ATTR_APP", "app"),)
    app = AppNest


class CeeNest(Selective, nla):
    """DCB_ATTR_CEE."""

    nla_map = (
        (1, "DCB_ATTR_CEE_PEER_PG", "cdata"),
        (2, "DCB_ATTR_CEE_PEER_PFC", "cdata"),
        (3, "DCB_ATTR_CEE_PEER_APP_TABLE", "peer_app_table"),
        (4, "DCB_ATTR_CEE_TX_PG", "group"),
        (5, "DCB_ATTR_CEE_RX_PG", "group"),
        (6, "DCB_ATTR_CEE_PFC", "priority"),
        (7, "DCB_ATTR_CEE_APP_TABLE", "app_table"),
        (8, "DCB_ATTR_CEE_FEAT", "feature"),
    )
    peer_app_table = CeePeerAppTable
    group = GroupNest
    priority = PriorityNest
    app_table = CeeAppTable
    feature = FeatureNest


class DcbMessage(Selective, nlmsg):
    """RTM_GETDCB: `command` about one interface."""

    fields = (("family", "B"), ("command", "B"), ("pad", "H"))
    nla_map = (
        (1, "DCB_ATTR_IFNAME", "asciiz"),
        (2, "DCB_ATTR_STATE", "uint8"),
        (4, "DCB_ATTR_PFC_CFG", "priority"),
        (6, "DCB_ATTR_PG_CFG", "group"),
        (7, "DCB_ATTR_SET_ALL", "uint8"),
        (9, "DCB_ATTR_CAP", "capability"),
        (10, "DCB_ATTR_NUMTCS", "number"),
        (12, "DCB_ATTR_APP", "app"),
        (13, "DCB_ATTR_IEEE", "ieee"),
        (14, "DCB_ATTR_DCBX", "uint8"),
        (15, "DCB_ATTR_FEATCFG", "feature"),
        (16, "DCB_ATTR_CEE", "cee"),
    )
    priority = PriorityNest
    group = GroupNest
    capability = CapabilityNest
    number = NumberNest
    app = AppNest
    ieee = IeeeNest
    feature = FeatureNest
    cee = CeeNest


class DcbChange(DcbMessage):
    """RTM_SETDCB. Its answer has an octet under the number of what was set."""

    answer_map = tuple((number, name, "uint8") for number, name, _ in DcbMessage.nla_map if number != 1)


def dcb_request(
    kind: type[DcbMessage], number: int, name: str, command: Command, attributes: Iterable[tuple[str, object]]
) -> Any:
    request = kind()
    request["header"]["type"] = number
    request["command"] = command
    request["attrs"] = [("DCB_ATTR_IFNAME", name), *attributes]
    return request


@dataclass(frozen=True, slots=True)
class Ets:
    """struct ieee_ets. `traffic_classes`: how many the NIC has, and no setting."""

    traffic_classes: int = 0
    willing: bool = False
    credit_based_shaper: bool = False
    tc_tx_bw: Eight = (0,) * 8
    tc_rx_bw: Eight = (0,) * 8
    tc_tsa: Eight = (0,) * 8
    prio_tc: Eight = (0,) * 8
    tc_reco_bw: Eight = (0,) * 8
    tc_reco_tsa: Eight = (0,) * 8
    reco_prio_tc: Eight = (0,) * 8


@dataclass(frozen=True, slots=True)
class Pfc:
    """struct ieee_pfc, without its counters. `capability`: priorities at a time, and no setting."""

    capability: int = 0
    enable: int = 0
    mbc: bool = False
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Ieee:
    """DCB_CMD_IEEE_GET; None: the driver has nothing of the kind."""

    ets: Ets | None = None
    pfc: Pfc | None = None
    apps: tuple[Application, ...] = ()
    peer_ets: Ets | None = None
    peer_pfc: Pfc | None = None
    peer_apps: tuple[Application, ...] = ()


@dataclass(frozen=True, slots=True)
class Cee:
    """DCB_CMD_CEE_GET: what firmware that runs CEE has heard, and how the features stand; None: it does not say.

    Groups by priority, percentages by group, `peer_pfc` with bit n for priority n.
    """

    peer_groups: Eight | None = None
    peer_bandwidth: Eight | None = None
    peer_pfc: int | None = None
    peer_applications: tuple[CeeApplication, ...] = ()
    features: Mapping[str, Features] = field(default_factory=dict)


def read_ieee(answer: Mapping[str, Any]) -> Ieee:
    """The attributes of an answer to IEEE_GET."""
    nest = answer.get("DCB_ATTR_IEEE")
    if nest is None:
        return Ieee()
    found = nest.values()
    return Ieee(
        read_ets(found.get("DCB_ATTR_IEEE_ETS")),
        read_pfc(found.get("DCB_ATTR_IEEE_PFC")),
        _apps(found.get("DCB_ATTR_IEEE_APP_TABLE")),
        read_ets(found.get("DCB_ATTR_IEEE_PEER_ETS")),
        read_pfc(found.get("DCB_ATTR_IEEE_PEER_PFC")),
        _apps(found.get("DCB_ATTR_IEEE_PEER_APP")),
    )


def read_cee(answer: Mapping[str, Any]) -> Cee:
    """The attributes of an answer to CEE_GET."""
    nest = answer.get("DCB_ATTR_CEE")
    if nest is None:
        return Cee()
    found = nest.values()
    groups = _unpacked(CEE_PG, found.get("DCB_ATTR_CEE_PEER_PG"))
    pfc = _unpacked(CEE_PFC, found.get("DCB_ATTR_CEE_PEER_PFC"))
    table = found.get("DCB_ATTR_CEE_PEER_APP_TABLE")
    apps = () if table is None else read_apps(table["attrs"], "DCB_ATTR_CEE_PEER_APP")
    features = found["DCB_ATTR_CEE_FEAT"].values() if "DCB_ATTR_CEE_FEAT" in found else {}
    return Cee(
        groups and _eight(groups[5]),
        groups and _eight(groups[4]),
        None if pfc is None else pfc[2],
        tuple(CeeApplication(app.protocol, app.selector, CEE_OUI, app.priority) for app in apps),
        {
            name.removeprefix("DCB_FEATCFG_ATTR_").lower(): Features(flags)
            for name, flags in features.items()
            if flags is not None
        },
    )


def read_ets(data: bytes | None) -> Ets | None:
    """None also when there is less of it than the structure takes."""
    fields = _unpacked(ETS, data)
    if fields is None:
        return None
    willing, capability, shaper, *tables = fields
    return Ets(capability, bool(willing), bool(shaper), *(_eight(table) for table in tables))


def pack_ets(ets: Ets) -> bytes:
    tables = (ets.tc_tx_bw, ets.tc_rx_bw, ets.tc_tsa, ets.prio_tc, ets.tc_reco_bw, ets.tc_reco_tsa, ets.reco_prio_tc)
    return ETS.pack(ets.willing, ets.traffic_classes, ets.credit_based_shaper, *map(bytes, tables))


def read_pfc(data: bytes | None) -> Pfc | None:
    """None also when there is less of it than the structure takes."""
    fields = _unpacked(PFC, data)
    if fields is None:
        return None
    capability, enable, mbc, delay, *_counters = fields
    return Pfc(capability, enable, bool(mbc), delay)


def pack_pfc(pfc: Pfc) -> bytes:
    return PFC.pack(pfc.capability, pfc.enable, pfc.mbc, pfc.delay, *(0,) * 16)


def read_apps(entries: Iterable[tuple[str, Any]], kind: str) -> tuple[Application, ...]:
    """The structures dcb_app among the attributes of a table."""
    found = (_unpacked(APP, value) for name, value in entries if name == kind)
    return tuple(Application(app[1], app[0], app[2]) for app in found if app is not None)


def _apps(table: Any) -> tuple[Application, ...]:
    return () if table is None else read_apps(table["attrs"], "DCB_ATTR_IEEE_APP")


def _unpacked(layout: struct.Struct, data: bytes | None) -> tuple[Any, ...] | None:
    return None if data is None or len(data) < layout.size else layout.unpack_from(data)


def _eight(values: Iterable[int]) -> Eight:
    a, b, c, d, e, f, g, h = values
    return a, b, c, d, e, f, g, h
