"""The documents of the TLVs of IEEE 802.1, 802.3, EVB and CDCP (contract, `decode -j`).

Keys are the leaves of ieee802-dot1q-lldp-basic-tlv, -cn-tlv and ieee802-ethernet-lldp where these have one.
"""

from typing import Any

from evbagent.words import bit_numbers, flag_words, plain, word
from protocols.evb.cdcp import CdcpTlv
from protocols.evb.draft import DraftTlv
from protocols.evb.ratified import RatifiedTlv
from protocols.evb.status import EvbCapability
from protocols.lldp.dot1 import (
    AggregationPortType,
    CongestionNotification,
    Dot1Tlv,
    LinkAggregation,
    PortAndProtocolVlanId,
    VlanName,
)
from protocols.lldp.dot3 import (
    Dot3Tlv,
    EeeFastWake,
    MacPhy,
    MeasurementSource,
    PdPoweredStatus,
    PdPowerSource,
    PowerClassification,
    PowerMeasurements,
    PowerPairs,
    PowerPairsExt,
    PowerPriority,
    PowerSupport,
    PowerType,
    PowerType34,
    PowerTypeExt,
    PowerViaMdi,
    PsePoweringStatus,
    PsePowerSource,
)
from protocols.lldp.mau import advertised, mau_type

Json = dict[str, Any]

HIGHEST_POWER_CLASS = 5
EVB_MODES = ("not-supported", "bridge", "station", "reserved-3")
RELAY_STATUSES = ("false", "true", "reserved-2", "unknown")


def dot1_document(value: Dot1Tlv) -> Json:
    match value:
        case PortAndProtocolVlanId():
            return {
                "port-vlan-id": value.port_vlan_id,
                "port-and-protocol-vlan-supported": value.supported,
                "port-and-protocol-vlan-enabled": value.enabled,
            }
        case VlanName():
            return {"vlan-id": value.vlan_id, "port-vlan-name": value.text}
        case LinkAggregation():
            return {**plain(value), "port-type": word(AggregationPortType, value.port_type)}
        case CongestionNotification():
            return {
                "per-priority-xmit-cnpv-capable": bit_numbers(value.cnpv_capable),
                "per-priority-xmit-ready": bit_numbers(value.ready),
            }
    return dict(plain(value))


def dot3_document(value: Dot3Tlv) -> Json:
    match value:
        case MacPhy():
            medium = mau_type(value.operational_mau_type)
            offered = advertised(value.auto_negotiation_cap)
            return {
                **plain(value),
                "auto-negotiation-cap": [item.text for item in offered],
                "operational-pmd-type": medium.text if medium else None,
                "speed": medium.speed_text if medium else None,
                "advertised-speeds": list(dict.fromkeys(item.speed_text for item in offered if item.speed_text)),
            }
        case PowerViaMdi(support, classification, type34):
            return {
                **_power_support(support),
                **(_power_classification(classification) if classification else {}),
                **(_power_type34(type34) if type34 else {}),
            }
        case EeeFastWake(own, echo):
            echoed = {f"{key}-echo": number for key, number in plain(echo).items()} if echo else {}
            return {**plain(own), **echoed}
        case PowerMeasurements():
            return {**plain(value), "measurement-source": word(MeasurementSource, value.measurement_source)}
    return dict(plain(value))


def _power_support(value: PowerSupport) -> Json:
    document = plain(value)
    known = 1 <= value.power_class <= HIGHEST_POWER_CLASS
    return {
        "power-port-class": "pse" if document.pop("pse") else "pd",
        **document,
        "power-pairs": word(PowerPairs, value.power_pairs),
        "power-class": f"class{value.power_class - 1}" if known else f"reserved-{value.power_class}",
    }


def _power_classification(value: PowerClassification) -> Json:
    powered = value.power_type in (PowerType.TYPE_1_PD, PowerType.TYPE_2_PD)
    return {
        **plain(value),
        "power-type": word(PowerType, value.power_type),
        "power-source": word(PdPowerSource if powered else PsePowerSource, value.power_source),
        "power-priority": word(PowerPriority, value.power_priority),
    }


def _power_type34(value: PowerType34) -> Json:
    return {
        **plain(value),
        "pse-powering-status": word(PsePoweringStatus, value.pse_powering_status),
        "pd-powered-status": word(PdPoweredStatus, value.pd_powered_status),
        "power-pairs-ext": word(PowerPairsExt, value.power_pairs_ext),
        "power-class-ext-a": _power_class_ext(value.power_class_ext_a, 5, 7, "single-signature"),
        "power-class-ext-b": _power_class_ext(value.power_class_ext_b, 5, 7, "single-signature"),
        "power-class-ext": _power_class_ext(value.power_class_ext, 8, 15, "dual-signature"),
        "power-type-ext": word(PowerTypeExt, value.power_type_ext),
    }


def _power_class_ext(value: int, highest: int, other: int, other_word: str) -> str:
    if value == other:
        return other_word
    return f"class{value}" if 1 <= value <= highest else f"reserved-{value}"


def evb_document(value: RatifiedTlv | DraftTlv) -> Json:
    """All that the TLV holds, also what its sender only copied from the other side."""
    if isinstance(value, DraftTlv):
        return {
            "supported-forwarding-modes": _modes(value.supported_standard, value.supported_relay),
            "supported-capabilities": flag_words(EvbCapability, value.supported_capabilities),
            "configured-forwarding-modes": _modes(value.configured_standard, value.configured_relay),
            "configured-capabilities": flag_words(EvbCapability, value.configured_capabilities),
            "supported-vsis": value.supported_vsis,
            "configured-vsis": value.configured_vsis,
            "ecp-ack-timer-exponent": value.rte,
        }
    return {
        "evb-mode": EVB_MODES[value.mode],
        "bridge-group-ids": value.bgid,
        "reflective-relay-capable": value.rrcap,
        "reflective-relay-control": value.rrctr,
        "station-group-ids": value.sgid,
        "reflective-relay-request": value.rrreq,
        "reflective-relay-status": RELAY_STATUSES[value.rrstat],
        "ecp-retries": value.retries,
        "ecp-ack-timer-exponent": value.rte,
        "resource-wait-delay-exponent": value.rwd,
        "resource-wait-delay-rol": "remote" if value.rwd_remote else "local",
        "keep-alive-exponent": value.rka,
        "keep-alive-rol": "remote" if value.rka_remote else "local",
    }


def _modes(standard: bool, relay: bool) -> list[str]:
    return ["standard"] * standard + ["reflective-relay"] * relay


def cdcp_document(value: CdcpTlv) -> Json:
    document = plain(value)
    return {"role": "station" if document.pop("station") else "bridge", **document}
