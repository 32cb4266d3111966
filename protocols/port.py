"""What goes into one port's machines and what comes out: settings, requests, effects."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocols.dcbx.settings import DcbxResult, DcbxSettings
from protocols.edge import EdgeSettings
from protocols.evb.bridge import SetRelay
from protocols.evb.status import EvbSettings, Forwarding
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.mib import RemoteChange
from protocols.lldp.tlvs import ChassisId, OptionalTlv, PortId
from protocols.lldp.tx import TxSettings
from protocols.vdp.status import Confirm, VsiChanged, VsiRequest
from protocols.vdp.vsi import VsiId


@dataclass(frozen=True, slots=True)
class PortSettings:
    """Everything that a port's machines are told; frozen, replaced whole by `NewSettings`.

    `optional`: TLVs that LLDPDUs of a scope carry, but for EVB's and DCBX's, in the order of sending. `dcbx`
    None: it is off. `warnings`: what somebody should know about these settings.
    """

    mac_address: bytes
    chassis_id: ChassisId
    port_id: PortId
    optional: Mapping[Scope, tuple[OptionalTlv, ...]]
    admin_status: Mapping[Scope, AdminStatus]
    tx: TxSettings
    max_neighbors: int
    evb: EvbSettings
    edge: EdgeSettings = field(default_factory=EdgeSettings)
    dcbx: DcbxSettings | None = None
    warnings: tuple[str, ...] = ()


# Requests: what the world tells a port.


@dataclass(frozen=True, slots=True)
class LinkState:
    """portEnabled."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class NewSettings:
    settings: PortSettings


@dataclass(frozen=True, slots=True)
class RelayAble:
    """Bridge role: whether the port can be made to reflect; if not, why."""

    able: bool
    because: str = ""


@dataclass(frozen=True, slots=True)
class RelaySet:
    """The port reflects, or does not; the answer to `Configure`, or news of somebody else's doing (`error` says so)."""

    on: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The agent ends on this port."""


@dataclass(frozen=True, slots=True)
class RequestVsis:
    """Station role: what is wanted for VSIs; together, so that they share ECPDUs. Each ticket gets one `Confirm`."""

    requests: tuple[VsiRequest, ...]


@dataclass(frozen=True, slots=True)
class WithdrawVsis:
    """Bridge role: take VSIs away from the station; None: all of them."""

    vsi_ids: tuple[VsiId, ...] | None
    reason: str = "withdrawn by the operator"


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """Bridge role: what the policy would not grant any more is taken away."""


Request = LinkState | NewSettings | RelayAble | RelaySet | Shutdown | RequestVsis | WithdrawVsis | PolicyChanged


# Outward effects.


@dataclass(frozen=True, slots=True)
class SendFrame:
    data: bytes


@dataclass(frozen=True, slots=True)
class Configure:
    """Do this to the port and answer with `RelaySet` before anything else is given to the stack."""

    setting: SetRelay


@dataclass(frozen=True, slots=True)
class NeighborEvent:
    scope: Scope
    change: RemoteChange


@dataclass(frozen=True, slots=True)
class ForwardingChanged:
    old: Forwarding
    new: Forwarding


@dataclass(frozen=True, slots=True)
class WarningsChanged:
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DcbxChanged:
    """What DCBX has come to, or what the peer says, has changed; None: it is off now."""

    result: DcbxResult | None


Event = NeighborEvent | ForwardingChanged | WarningsChanged | VsiChanged | DcbxChanged


@dataclass(frozen=True, slots=True)
class Indicate:
    event: Event


Effect = SendFrame | Configure | Indicate | Confirm
