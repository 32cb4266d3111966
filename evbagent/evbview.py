"""EVB TLVs as documents: what either side says. Names are objects of IEEE8021-EVB-MIB in kebab case."""

from collections.abc import Mapping
from typing import Any

from protocols.evb.status import EvbTlv, Exponent, RelayStatus, Role
from protocols.lldp.mib import RemoteSystem
from protocols.lldp.tlvs import OrganizationalTlv
from protocols.stack import EDITIONS

Json = dict[str, Any]


def neighbor_evb(remote: RemoteSystem) -> Json | None:
    """What the neighbor's EVB TLV says, in whichever edition, for the list of neighbors."""
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
