"""The JSON forms of events, as `watch -j` prints them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from evbagent.attachments import AttachmentEvent
from evbagent.neighborview import changed_tlvs, neighbor_document
from protocols.evb.status import Forwarding, Relay
from protocols.frame import Scope
from protocols.lldp.mib import RemoteAdded, RemoteChange, RemoteRemoved, RemoteUpdated, TooManyNeighbors
from protocols.vdp.status import VsiState

Json = dict[str, Any]


def neighbor_event_name(change: RemoteChange) -> str:
    return _NEIGHBOR_EVENTS[type(change)]


def neighbor_event(scope: Scope, change: RemoteChange) -> Json:
    """neighbor-added, neighbor-updated, neighbor-removed (with the reason) or too-many-neighbors."""
    event = {"event": neighbor_event_name(change), "scope": str(scope)}
    match change:
        case RemoteAdded(remote):
            return {**event, "neighbor": neighbor_document(remote)}
        case RemoteUpdated(remote, former):
            return {**event, "changed": changed_tlvs(former, remote.pdu), "neighbor": neighbor_document(remote)}
        case RemoteRemoved(remote, reason):
            return {**event, "reason": str(reason), "neighbor": neighbor_document(remote)}
        case TooManyNeighbors(on):
            return {**event, "too-many-neighbors": on}


def forwarding_event(old: Forwarding, new: Forwarding) -> Json:
    """reflective-relay: the answer, or the reason for it, has changed."""
    return {
        "event": "reflective-relay",
        "reflective-relay": str(new.relay),
        "was": str(old.relay),
        "mode": "vepa" if new.relay is Relay.ACTIVE else "veb",
        "edition": new.edition,
        "reason": new.reason,
    }


def attachment_event(event: AttachmentEvent) -> Json:
    """attachment: what happened to a guest device."""
    device = event.attachment
    return {
        "event": "attachment",
        "action": event.action,
        "name": device.name,
        "ifindex": device.key[1],
        "netns-id": device.key[0],
        "policy": device.policy,
        "mode": device.mode,
        "reason": event.reason,
    }


def vsi_event(vsi: Raw, was: VsiState, gone: bool) -> Json:
    """vsi: its state, what is asked for it, or the answer to that has changed; `gone`: and it is not kept any more."""
    return {"event": "vsi", "vsi": vsi, "was": str(was), "gone": gone}


_NEIGHBOR_EVENTS: Mapping[type[RemoteChange], str] = {
    RemoteAdded: "neighbor-added",
    RemoteUpdated: "neighbor-updated",
    RemoteRemoved: "neighbor-removed",
    TooManyNeighbors: "too-many-neighbors",
}
