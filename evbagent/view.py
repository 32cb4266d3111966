"""The JSON forms of what the agent knows: the state file's uplinks and the answers to `show` (contract section 2).

Names are the leaves of ieee802-dot1ab-lldp and the objects of IEEE8021-EVB-MIB in kebab case.
"""

from dataclasses import asdict, dataclass
from typing import Any

from evbagent.attachments import Attachment, Attachments
from evbagent.evbview import evb_tlv_document
from evbagent.instants import utc as utc
from evbagent.neighborview import neighbor_documents, remote_statistics_document
from evbagent.netlink import Link
from protocols.edge import Edge
from protocols.evb.bridge import EvbBridge
from protocols.evb.station import EvbStation
from protocols.evb.status import Role
from protocols.frame import format_mac
from protocols.lldp.agent import LldpAgent
from protocols.stack import PortStack
from protocols.timers import Instant

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
    forwarding_since: Instant
    bridge_port: BridgePortView | None
    warnings: tuple[str, ...]
    dcbx: Json | None = None


def uplink_document(port: PortView, attachments: Attachments) -> Json:
    """One uplink of the state file, but for its VSIs."""
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
                "neighbors": neighbor_documents(agent),
                "statistics": statistics_document(agent),
            }
            for scope, agent in port.stack.agents.items()
        ],
        "evb": evb_document(port.stack),
        "dcbx": port.dcbx,
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
        "since": utc(port.forwarding_since),
        "since-boottime-us": port.forwarding_since,
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


def statistics_document(agent: LldpAgent) -> Json:
    received = agent.rx.statistics
    return {
        "tx-total-frames": agent.tx_statistics.total,
        "tx-total-length-errors": agent.tx_statistics.length_errors,
        "rx-total-frames": received.total,
        "rx-total-discarded-frames": received.discarded,
        "rx-error-frames": received.errors,
        "rx-total-discarded-tlvs": received.tlvs_discarded,
        "rx-total-unrecognized-tlvs": received.tlvs_unrecognized,
        "rx-total-ageouts": agent.rx.remotes.statistics.ageouts,
        "rx-own-frames": received.own,
        **remote_statistics_document(agent.rx.remotes),
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
