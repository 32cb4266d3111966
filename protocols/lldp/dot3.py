"""The organizational TLVs of IEEE 802.3 as values (802.3 clause 79.3; sheet `lldp.md` 6).

Fields are named like the leaves of ieee802-ethernet-lldp. Powers are in 0.1 W, wake times in microseconds.
"""

from dataclasses import dataclass
from enum import IntEnum

DOT3_OUI = bytes.fromhex("00120f")


class Dot3Subtype(IntEnum):
    MAC_PHY = 1
    POWER_VIA_MDI = 2
    LINK_AGGREGATION = 3
    MAXIMUM_FRAME_SIZE = 4
    EEE = 5
    EEE_FAST_WAKE = 6
    ADDITIONAL_ETHERNET_CAPABILITIES = 7
    POWER_VIA_MDI_MEASUREMENTS = 8


class PowerPairs(IntEnum):
    SIGNAL = 1
    SPARE = 2


class PowerType(IntEnum):
    TYPE_2_PSE = 0
    TYPE_2_PD = 1
    TYPE_1_PSE = 2
    TYPE_1_PD = 3


class PsePowerSource(IntEnum):
    UNKNOWN = 0
    PRIMARY = 1
    BACKUP = 2


class PdPowerSource(IntEnum):
    UNKNOWN = 0
    PSE = 1
    LOCAL = 2
    PSE_AND_LOCAL = 3


class PowerPriority(IntEnum):
    UNKNOWN = 0
    CRITICAL = 1
    HIGH = 2
    LOW = 3


class PsePoweringStatus(IntEnum):
    IGNORE = 0
    TWO_PAIR = 1
    FOUR_PAIR_SINGLE_SIGNATURE = 2
    FOUR_PAIR_DUAL_SIGNATURE = 3


class PdPoweredStatus(IntEnum):
    IGNORE = 0
    SINGLE_SIGNATURE = 1
    TWO_PAIR_DUAL_SIGNATURE = 2
    FOUR_PAIR_DUAL_SIGNATURE = 3


class PowerPairsExt(IntEnum):
    IGNORE = 0
    ALTERNATIVE_B = 1
    ALTERNATIVE_A = 2
    BOTH = 3


class PowerTypeExt(IntEnum):
    TYPE_3_PSE = 0
    TYPE_4_PSE = 1
    TYPE_3_SINGLE_SIGNATURE_PD = 2
    TYPE_3_DUAL_SIGNATURE_PD = 3
    TYPE_4_SINGLE_SIGNATURE_PD = 4
    TYPE_4_DUAL_SIGNATURE_PD = 5


class MeasurementSource(IntEnum):
    NO_REQUEST = 0
    ALTERNATIVE_A = 1
    ALTERNATIVE_B = 2
    PORT_TOTAL = 3


@dataclass(frozen=True, slots=True)
class MacPhy:
    """79.3.1. `auto_negotiation_cap`: bits of `PmdCapability`; the type is the last arc of a dot3MauType."""

    auto_negotiation_supported: bool
    auto_negotiation_enabled: bool
    auto_negotiation_cap: int
    operational_mau_type: int


@dataclass(frozen=True, slots=True)
class PowerSupport:
    """79.3.2.1 to 79.3.2.3. `power_class` is 1 for class 0, and so on up to 5 for class 4 and above."""

    pse: bool
    mdi_power_supported: bool
    mdi_power_enabled: bool
    power_pair_controlable: bool
    power_pairs: int
    power_class: int


@dataclass(frozen=True, slots=True)
class PowerClassification:
    """What 802.3at added (79.3.2.4 to 79.3.2.6); `pd_4pid` came with 802.3bt."""

    power_type: int
    power_source: int
    pd_4pid: bool
    power_priority: int
    pd_requested_power_value: int
    pse_allocated_power_value: int


@dataclass(frozen=True, slots=True)
class PowerType34:
    """What 802.3bt added (79.3.2.6a to 79.3.2.6i).

    Classes: of a single-signature PD 1 to 8, else 15; of each mode of a dual-signature PD 1 to 5, else 7.
    """

    pd_requested_power_value_a: int
    pd_requested_power_value_b: int
    pse_allocated_power_value_a: int
    pse_allocated_power_value_b: int
    pse_powering_status: int
    pd_powered_status: int
    power_pairs_ext: int
    power_class_ext_a: int
    power_class_ext_b: int
    power_class_ext: int
    power_type_ext: int
    pd_load: bool
    pse_max_avail_power: int
    pse_autoclass_support: bool
    autoclass_completed: bool
    autoclass_request: bool
    power_down_request: int
    power_down_time: int


@dataclass(frozen=True, slots=True)
class PowerViaMdi:
    """79.3.2, in the three lengths that it has had."""

    support: PowerSupport
    classification: PowerClassification | None = None
    type34: PowerType34 | None = None


@dataclass(frozen=True, slots=True)
class PowerMeasurements:
    """79.3.8: voltages in mV, currents in 0.1 mA, powers in 10 mW, energies in 100 J."""

    meas_voltage_support: bool
    meas_current_support: bool
    meas_power_support: bool
    meas_energy_support: bool
    measurement_source: int
    meas_voltage_request: bool
    meas_current_request: bool
    meas_power_request: bool
    meas_energy_request: bool
    meas_voltage_valid: bool
    meas_current_valid: bool
    meas_power_valid: bool
    meas_energy_valid: bool
    meas_voltage_uncertainty: int
    meas_current_uncertainty: int
    meas_power_uncertainty: int
    meas_energy_uncertainty: int
    voltage_measurement: int
    current_measurement: int
    power_measurement: int
    energy_measurement: int
    pse_power_price_index: int


@dataclass(frozen=True, slots=True)
class Dot3LinkAggregation:
    """79.3.3, replaced by the TLV of 802.1AX but still sent."""

    aggregation_capability: bool
    aggregation_status: bool
    aggregation_port_id: int


@dataclass(frozen=True, slots=True)
class MaximumFrameSize:
    """79.3.4: octets of a MAC frame with FCS."""

    max_frame_size: int


@dataclass(frozen=True, slots=True)
class Eee:
    """79.3.5: Tw_sys_tx of each direction."""

    tx_system_value: int
    rx_system_value: int
    fallback_system_value: int
    tx_system_value_echo: int
    rx_system_value_echo: int


@dataclass(frozen=True, slots=True)
class FastWake:
    """Whether LPI_FW is wanted (1) in each direction."""

    tx_system_fw: int
    rx_system_fw: int


@dataclass(frozen=True, slots=True)
class EeeFastWake:
    """79.3.6. `echo` is what was heard from the other side; some leave it out."""

    own: FastWake
    echo: FastWake | None = None


@dataclass(frozen=True, slots=True)
class AdditionalEthernetCapabilities:
    """79.3.7. Fragments have at least 64 * (1 + `additional_fragment_size`) - 4 octets."""

    preemption_supported: bool
    preemption_enabled: bool
    preemption_active: bool
    additional_fragment_size: int


Dot3Tlv = (
    MacPhy
    | PowerViaMdi
    | Dot3LinkAggregation
    | MaximumFrameSize
    | Eee
    | EeeFastWake
    | AdditionalEthernetCapabilities
    | PowerMeasurements
)
