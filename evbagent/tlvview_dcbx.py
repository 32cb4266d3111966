"""The documents of DCBX's TLVs (contract, `decode -j`).

Keys are the leaves of ieee802-dot1q-lldp-dcbx-tlv where it has one; tables are arrays, by priority or traffic class.
"""

from typing import Any

from evbagent.words import bit_numbers, plain, word
from protocols.dcbx.model import (
    ApplicationPriority,
    ApplicationVlan,
    CeeApplications,
    CeeSelector,
    CeeType,
    CinApplication,
    CinPriorityGroups,
    CinType,
    Control,
    EtsConfiguration,
    EtsRecommendation,
    IeeeTlv,
    LegacyPfc,
    LegacySubtype,
    LegacyTlv,
    LogicalLink,
    OtherFeature,
    PfcConfiguration,
    PriorityGroups,
    Selector,
    StrictPriority,
    SubTlv,
    TransmissionSelection,
)

Json = dict[str, Any]


def dcbx_document(value: IeeeTlv) -> Json:
    match value:
        case EtsConfiguration():
            return {
                "willing": value.willing,
                "credit-based-shaper": value.credit_based_shaper,
                "traffic-classes-supported": value.traffic_classes,
                **_ets_tables(value),
            }
        case EtsRecommendation():
            return _ets_tables(value)
        case PfcConfiguration():
            return {
                "willing": value.willing,
                "macsec-bypass-capable": value.mbc,
                "number-tc-capable": value.capability,
                "enable": bit_numbers(value.enable),
            }
        case ApplicationPriority(applications):
            return {
                "application-priority-table": [
                    {
                        "application-priority": entry.priority,
                        "application-priority-selector": word(Selector, entry.selector),
                        "application-priority-protocol": entry.protocol,
                    }
                    for entry in applications
                ]
            }
        case ApplicationVlan(entries):
            return {
                "application-vlan-table": [
                    {
                        "application-vlan": entry.vlan_id,
                        "application-vlan-selector": word(Selector, entry.selector),
                        "application-vlan-protocol": entry.protocol,
                    }
                    for entry in entries
                ]
            }


def _ets_tables(value: EtsConfiguration | EtsRecommendation) -> Json:
    return {
        "priority-assignment-table": list(value.priority_assignment),
        "tc-bandwidth-table": list(value.bandwidth),
        "tsa-assignment-table": [word(TransmissionSelection, number) for number in value.selection],
    }


def legacy_dcbx_document(value: LegacyTlv) -> Json:
    """CEE and CIN: the sub-TLVs in wire order."""
    kind = CeeType if value.subtype == LegacySubtype.CEE else CinType
    return {
        "version": word(LegacySubtype, value.subtype),
        "sub-tlvs": [{"name": _sub_tlv_name(kind, item), **_sub_tlv(item)} for item in value.sub_tlvs],
    }


def _sub_tlv_name(kind: type[CeeType] | type[CinType], value: SubTlv) -> str:
    match value:
        case Control():
            return "control"
        case PriorityGroups() | CinPriorityGroups():
            return "priority-groups"
        case LegacyPfc():
            return "pfc"
        case CeeApplications() | CinApplication():
            return "application"
        case LogicalLink():
            return "logical-link"
        case OtherFeature(number):
            return word(kind, number)


def _sub_tlv(value: SubTlv) -> Json:
    own: Json
    match value:
        case Control():
            return dict(plain(value))
        case OtherFeature():
            return {"value": value.value.hex()}
        case PriorityGroups():
            own = {
                "priority-group-ids": list(value.group_ids),
                "bandwidth": list(value.bandwidth),
                "traffic-classes": value.traffic_classes,
            }
        case CinPriorityGroups():
            priorities = [{**plain(one), "strict": word(StrictPriority, one.strict)} for one in value.priorities]
            own = {"bandwidth": list(value.bandwidth), "priorities": priorities}
        case LegacyPfc():
            own = {"priorities": bit_numbers(value.enable)}
            if value.traffic_classes is not None:
                own["traffic-classes"] = value.traffic_classes
        case CeeApplications():
            own = {
                "applications": [
                    {
                        "protocol": entry.protocol,
                        "selector": word(CeeSelector, entry.selector),
                        "oui": entry.oui.hex(),
                        "priorities": bit_numbers(entry.priorities),
                    }
                    for entry in value.applications
                ]
            }
        case CinApplication():
            own = {"priorities": bit_numbers(value.priorities)}
        case LogicalLink():
            own = {"up": value.up}
    return {**plain(value.feature), **own}
