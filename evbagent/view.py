"""The JSON forms of what the agent knows: the state file's uplinks and the answers to `show` (contract section 2).

Names are the leaves of ieee802-dot1ab-lldp and the objects of IEEE8021-EVB-MIB in kebab case.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import time
from typing import Any

from msgspec import Raw

from evbagent.attachments import Attachment, Attachments
from evbagent.driver import boottime
from evbagent.netlink import Link
from evbagent.tlvview_basic import basic_document, management_address
from protocols.edge import Edge
from protocols.evb.bridge import EvbBridge
from protocols.evb.station import EvbStation
from protocols.evb.status import EvbTlv, Exponent, RelayStatus, Role
from protocols.frame import format_mac
from protocols.lldp.agent import LldpAgent
from protocols.lldp.mib import RemoteSystem
from protocols.lldp.tlvs import ManagementAddress, OrganizationalTlv, UnrecognizedTlv
from protocols.stack import EDITIONS, PortStack
from protocols.timers import SECOND, Instant

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BridgePortView:
    """The bridge port under an uplink, and what we have done to it."""

    bridge: str
    hairpin: bool
    hairpin_before: bool
    set_by_agent: bool

    def document(self) -> Json:
        return {
            "bridge": self.bridge,
            "hairpin": self.hairpin,
            "hairpin-before": self.hairpin_before,
            "hairpin-set-by-agent": self.set_by_agent,
        }


@dataclass(frozen=True, slots=True)
class PortView:
    """What the documents about one uplink are made from."""

    link: Link
    role: Role
    stack: PortStack
    forwarding_since: str
    bridge_port: BridgePortView | None
    warnings: tuple[str, ...]
    vsis: Raw


def uplink_document(port: PortView, attachments: Attachments) -> Json:
    """One uplink of the state file."""
    return {
        "name": port.link.name,
        "ifindex": port.link.index,
        "mac-address": format_mac(port.link.mac_address),
        "oper-status": port.link.oper_status,
        "role": str(port.role),
        "forwarding": forwarding_document(port),
        "lldp": [
            {
                "scope": str(scope),
                "dest-mac-address": format_mac(scope.address),
                "admin-status": str(agent.admin_status),
                "too-many-neighbors": agent.rx.remotes.too_many_neighbors,
                "neighbors": [neighbor_document(remote) for remote in agent.rx.remotes.systems()],
                "statistics": statistics_document(agent),
            }
            for scope, agent in port.stack.agents.items()
        ],
        "evb": evb_document(port.stack),
        "vsis": port.vsis,
        "dcbx": None,
        "bridge-port": port.bridge_port.document() if port.bridge_port else None,
        "attachments": [attachment_document(device, attachments) for device in attachments.of(port.link.index)],
        "warnings": list(port.warnings),
    }


def interface_document(port: PortView, attachments: Attachments) -> Json:
    """One row of `show interfaces`."""
    full = uplink_document(port, attachments)
    keys = ("name", "ifindex", "mac-address", "oper-status", "role", "forwarding", "bridge-port", "attachments")
    return {
        **{key: full[key] for key in keys},
        "scopes": [{"scope": lldp["scope"], "admin-status": lldp["admin-status"]} for lldp in full["lldp"]],
        "warnings": full["warnings"],
    }


def forwarding_document(port: PortView) -> Json:
    forwarding = port.stack.forwarding
    return {
        "mode": forwarding_mode(port.stack),
        "reflective-relay": str(forwarding.relay),
        "edition": forwarding.edition,
        "reason": forwarding.reason,
        "since": port.forwarding_since,
    }


def forwarding_mode(stack: PortStack) -> str:
    """`vepa` only while reflective relay is operational on both sides."""
    return "vepa" if stack.forwarding.relay == "active" else "veb"


def attachment_document(device: Attachment, attachments: Attachments) -> Json:
    conforms = attachments.conforms(device)
    return {
        "name": device.name,
        "ifindex": device.key[1],
        "netns-id": device.key[0],
        "kind": device.kind,
        "policy": device.policy,
        "mode": device.mode,
        "wanted-mode": attachments.wanted_mode(device),
        "conforms": conforms,
        "reason": device.error or ("" if conforms else "the uplink does not reflect"),
    }


def neighbor_document(remote: RemoteSystem) -> Json:
    """One remote-systems-data entry."""
    pdu = remote.pdu
    document: Json = {
        "remote-index": remote.index,
        **basic_document(pdu.chassis_id),
        **basic_document(pdu.port_id),
        "time-to-live": pdu.ttl,
        "port-desc": None,
        "system-name": None,
        "system-description": None,
        "system-capabilities-supported": [],
        "system-capabilities-enabled": [],
        "management-address": [],
        "remote-org-defined-info": [],
        "remote-unknown-tlv": [],
        "source-mac-address": format_mac(remote.source),
        "last-heard": utc(remote.last_heard),
        "remote-changes": remote.changes,
        "evb": neighbor_evb(remote),
    }
    for tlv in pdu.optional:
        match tlv:
            case ManagementAddress():
                document["management-address"].append(management_address(tlv))
            case OrganizationalTlv(oui, subtype, value):
                info = {"info-identifier": oui.hex("-"), "info-subtype": subtype, "remote-info": value.hex()}
                document["remote-org-defined-info"].append(info)
            case UnrecognizedTlv(type_, value):
                document["remote-unknown-tlv"].append({"tlv-type": type_, "tlv-info": value.hex()})
            case _:
                document |= basic_document(tlv)
    return document


def neighbor_evb(remote: RemoteSystem) -> Json | None:
    """What the neighbour's EVB TLV says, in whichever edition, for the list of neighbours."""
    for tlv in remote.pdu.optional:
        if not isinstance(tlv, OrganizationalTlv):
            continue
        for edition in EDITIONS.values():
            if (tlv.oui, tlv.subtype) == (edition.oui, edition.subtype):
                try:
                    return {"edition": edition.name, **evb_tlv_document(edition.decode(tlv.value))}
                except ValueError:
                    return None
    return None


def statistics_document(agent: LldpAgent) -> Json:
    received, remotes = agent.rx.statistics, agent.rx.remotes.statistics
    return {
        "tx-total-frames": agent.tx_statistics.total,
        "tx-total-length-errors": agent.tx_statistics.length_errors,
        "rx-total-frames": received.total,
        "rx-total-discarded-frames": received.discarded,
        "rx-error-frames": received.errors,
        "rx-total-discarded-tlvs": received.tlvs_discarded,
        "rx-total-unrecognized-tlvs": received.tlvs_unrecognized,
        "rx-total-ageouts": remotes.ageouts,
        "rx-own-frames": received.own,
        "remote-inserts": remotes.inserts,
        "remote-deletes": remotes.deletes,
        "remote-drops": remotes.drops,
    }


def edge_statistics_document(edge: Edge) -> Json:
    """What ECP and VDP of a port have counted."""
    sent, received, bad, vdp = edge.transmitted, edge.received, edge.statistics, edge.vdp.statistics
    return {
        "ecp-tx-requests": sent.requests,
        "ecp-tx-retries": sent.retries,
        "ecp-tx-errors": sent.errors,
        "ecp-rx-acks": sent.acks,
        "ecp-rx-unmatched-acks": sent.unmatched_acks,
        "ecp-rx-requests": received.requests,
        "ecp-tx-acks": received.acks,
        "ecp-rx-duplicates": received.duplicates,
        "ecp-rx-other-subtypes": received.other_subtypes,
        "ecp-rx-other-destinations": bad.other_destination,
        "ecp-rx-other-sources": bad.other_source,
        "ecp-rx-other-editions": bad.other_edition,
        "ecp-rx-discarded": bad.bad_ecpdus,
        "vdp-rx-discarded-ulpdus": bad.bad_ulpdus,
        "vdp-rx-discarded-tlvs": bad.bad_tlvs,
        "vdp-rx-unrecognized-tlvs": bad.skipped_tlvs,
        **{f"vdp-{name.replace('_', '-')}": value for name, value in asdict(vdp).items()},
    }


def evb_document(stack: PortStack) -> Json:
    """Both sides' statements and what follows from them."""
    evb: EvbStation | EvbBridge = stack.evb
    peer = evb.statement.peer
    operational = evb.operational
    return {
        "local": {"edition": evb.edition.name, **evb_tlv_document(evb.edition.decode(evb.tlv()[2]), evb.role)},
        "remote": {"edition": evb.edition.name, **evb_tlv_document(peer)} if peer else None,
        "operational": {
            "edition": operational.edition,
            "reflective-relay": operational.reflective_relay,
            "ecp-retries": operational.retries,
            "ecp-ack-timer-exponent": operational.rte,
            "resource-wait-delay-exponent": operational.rwd,
            "keep-alive-exponent": operational.rka,
            "group-ids": operational.group_ids,
        },
    }


def evb_tlv_document(tlv: EvbTlv, role: Role | None = None) -> Json:
    """A TLV's fields; those that its sender does not own or its edition lacks are null."""
    role = role or tlv.role
    station, bridge = role is not Role.BRIDGE, role is not Role.STATION
    return {
        "evb-mode": str(role) if role else (None if tlv.usable else "not-supported"),
        "reflective-relay-request": tlv.relay_request if station else None,
        "reflective-relay-status": _STATUS[tlv.relay_status] if station else None,
        "reflective-relay-capable": tlv.relay_capable if bridge else None,
        "reflective-relay-control": tlv.relay_control if bridge else None,
        "group-ids": tlv.group_ids,
        "ecp-retries": tlv.retries,
        "ecp-ack-timer-exponent": tlv.rte,
        "resource-wait-delay-exponent": tlv.rwd.value if tlv.rwd else None,
        "resource-wait-delay-rol": _rol(tlv.rwd),
        "keep-alive-exponent": tlv.rka.value if tlv.rka else None,
        "keep-alive-rol": _rol(tlv.rka),
        "capabilities": None if tlv.capabilities is None else [str(flag.name).lower() for flag in tlv.capabilities],
    }


def utc(instant: Instant, clock: Callable[[], Instant] = boottime) -> str:
    """An instant of CLOCK_BOOTTIME as UTC text, to the millisecond."""
    seconds = time() - (clock() - instant) / SECOND
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_STATUS: Mapping[RelayStatus, str] = {
    RelayStatus.FALSE: "false",
    RelayStatus.TRUE: "true",
    RelayStatus.RESERVED: "unknown",
    RelayStatus.UNKNOWN: "unknown",
}


def _rol(exponent: Exponent | None) -> str | None:
    """Remote or local: which side's value the sender runs on."""
    if exponent is None:
        return None
    return "remote" if exponent.remote else "local"
