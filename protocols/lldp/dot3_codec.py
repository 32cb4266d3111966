"""The wire form of IEEE 802.3's organizational TLVs: what follows OUI and subtype (sheet `lldp.md` 6)."""

from collections.abc import Mapping
from typing import Any

from construct import BitsInteger, BitStruct, Flag, Int8ub, Int16ub, Padding, Struct

from protocols.layout import Layout, encode_by_kind
from protocols.lldp.dot3 import (
    AdditionalEthernetCapabilities,
    Dot3LinkAggregation,
    Dot3Subtype,
    Dot3Tlv,
    Eee,
    EeeFastWake,
    FastWake,
    MacPhy,
    MaximumFrameSize,
    PowerClassification,
    PowerMeasurements,
    PowerSupport,
    PowerType34,
    PowerViaMdi,
)

_LAYOUTS: Mapping[int, Layout[Any]] = {
    Dot3Subtype.MAC_PHY: Layout(
        MacPhy,
        BitStruct(
            Padding(6),
            "auto_negotiation_enabled" / Flag,
            "auto_negotiation_supported" / Flag,
            "auto_negotiation_cap" / BitsInteger(16),
            "operational_mau_type" / BitsInteger(16),
        ),
    ),
    Dot3Subtype.LINK_AGGREGATION: Layout(
        Dot3LinkAggregation,
        BitStruct(
            Padding(6),
            "aggregation_status" / Flag,
            "aggregation_capability" / Flag,
            "aggregation_port_id" / BitsInteger(32),
        ),
    ),
    Dot3Subtype.MAXIMUM_FRAME_SIZE: Layout(MaximumFrameSize, Struct("max_frame_size" / Int16ub)),
    Dot3Subtype.EEE: Layout(
        Eee,
        Struct(
            "tx_system_value" / Int16ub,
            "rx_system_value" / Int16ub,
            "fallback_system_value" / Int16ub,
            "tx_system_value_echo" / Int16ub,
            "rx_system_value_echo" / Int16ub,
        ),
    ),
    Dot3Subtype.ADDITIONAL_ETHERNET_CAPABILITIES: Layout(
        AdditionalEthernetCapabilities,
        BitStruct(
            Padding(11),
            "additional_fragment_size" / BitsInteger(2),
            "preemption_active" / Flag,
            "preemption_enabled" / Flag,
            "preemption_supported" / Flag,
        ),
    ),
    Dot3Subtype.POWER_VIA_MDI_MEASUREMENTS: Layout(
        PowerMeasurements,
        BitStruct(
            "meas_voltage_support" / Flag,
            "meas_current_support" / Flag,
            "meas_power_support" / Flag,
            "meas_energy_support" / Flag,
            Padding(2),
            "measurement_source" / BitsInteger(2),
            "meas_voltage_request" / Flag,
            "meas_current_request" / Flag,
            "meas_power_request" / Flag,
            "meas_energy_request" / Flag,
            "meas_voltage_valid" / Flag,
            "meas_current_valid" / Flag,
            "meas_power_valid" / Flag,
            "meas_energy_valid" / Flag,
            "meas_voltage_uncertainty" / BitsInteger(16),
            "meas_current_uncertainty" / BitsInteger(16),
            "meas_power_uncertainty" / BitsInteger(16),
            "meas_energy_uncertainty" / BitsInteger(16),
            "voltage_measurement" / BitsInteger(16),
            "current_measurement" / BitsInteger(16),
            "power_measurement" / BitsInteger(16),
            "energy_measurement" / BitsInteger(32),
            "pse_power_price_index" / BitsInteger(16),
        ),
    ),
}
_SUPPORT = Layout(
    PowerSupport,
    BitStruct(
        Padding(4),
        "power_pair_controlable" / Flag,
        "mdi_power_enabled" / Flag,
        "mdi_power_supported" / Flag,
        "pse" / Flag,
        "power_pairs" / BitsInteger(8),
        "power_class" / BitsInteger(8),
    ),
)
_CLASSIFICATION = Layout(
    PowerClassification,
    BitStruct(
        "power_type" / BitsInteger(2),
        "power_source" / BitsInteger(2),
        Padding(1),
        "pd_4pid" / Flag,
        "power_priority" / BitsInteger(2),
        "pd_requested_power_value" / BitsInteger(16),
        "pse_allocated_power_value" / BitsInteger(16),
    ),
)
_TYPE34 = Layout(
    PowerType34,
    BitStruct(
        "pd_requested_power_value_a" / BitsInteger(16),
        "pd_requested_power_value_b" / BitsInteger(16),
        "pse_allocated_power_value_a" / BitsInteger(16),
        "pse_allocated_power_value_b" / BitsInteger(16),
        "pse_powering_status" / BitsInteger(2),
        "pd_powered_status" / BitsInteger(2),
        "power_pairs_ext" / BitsInteger(2),
        "power_class_ext_a" / BitsInteger(3),
        "power_class_ext_b" / BitsInteger(3),
        "power_class_ext" / BitsInteger(4),
        Padding(4),
        "power_type_ext" / BitsInteger(3),
        "pd_load" / Flag,
        "pse_max_avail_power" / BitsInteger(16),
        Padding(5),
        "pse_autoclass_support" / Flag,
        "autoclass_completed" / Flag,
        "autoclass_request" / Flag,
        "power_down_request" / BitsInteger(6),
        "power_down_time" / BitsInteger(18),
    ),
)
_FAST_WAKE = Layout(FastWake, Struct("tx_system_fw" / Int8ub, "rx_system_fw" / Int8ub))


def decode(subtype: int, body: bytes) -> Dot3Tlv | None:
    """None: a subtype that is not known. What follows the fields is ignored."""
    match subtype:
        case Dot3Subtype.POWER_VIA_MDI:
            return _decode_power(body)
        case Dot3Subtype.EEE_FAST_WAKE:
            own = _FAST_WAKE.decode(body)
            has_echo = len(body) >= 2 * _FAST_WAKE.size
            return EeeFastWake(own, _FAST_WAKE.decode(body, _FAST_WAKE.size) if has_echo else None)
        case Dot3Subtype.ADDITIONAL_ETHERNET_CAPABILITIES:
            body = body.ljust(_LAYOUTS[subtype].size, b"\0")  # 79.3.7: octets that are missing count as 0
    if subtype not in _LAYOUTS:
        return None
    value: Dot3Tlv = _LAYOUTS[subtype].decode(body)
    return value


def encode(value: Dot3Tlv) -> tuple[int, bytes]:
    """Subtype and body; ValueError when the value does not fit."""
    match value:
        case PowerViaMdi():
            return Dot3Subtype.POWER_VIA_MDI, _encode_power(value)
        case EeeFastWake(own, echo):
            octets = _FAST_WAKE.encode(own) + (_FAST_WAKE.encode(echo) if echo else b"")
            return Dot3Subtype.EEE_FAST_WAKE, octets
    return encode_by_kind(_LAYOUTS, value)


def _decode_power(body: bytes) -> PowerViaMdi:
    """By the parts that are there whole; an incomplete one is for a later edition, or for nobody (sheet 6.2)."""
    support = _SUPPORT.decode(body)
    start = _SUPPORT.size
    if len(body) < start + _CLASSIFICATION.size:
        return PowerViaMdi(support)
    classification = _CLASSIFICATION.decode(body, start)
    start += _CLASSIFICATION.size
    if len(body) < start + _TYPE34.size:
        return PowerViaMdi(support, classification)
    return PowerViaMdi(support, classification, _TYPE34.decode(body, start))


def _encode_power(value: PowerViaMdi) -> bytes:
    octets = _SUPPORT.encode(value.support)
    if value.classification is not None:
        octets += _CLASSIFICATION.encode(value.classification)
        return octets if value.type34 is None else octets + _TYPE34.encode(value.type34)
    if value.type34 is not None:
        raise ValueError("power of types 3 and 4 needs a classification before it")
    return octets
