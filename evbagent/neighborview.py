"""The JSON forms of neighbors: in the state file, in events, and with every TLV read as `show neighbors` gives them.

Names are the leaves of remote-systems-data in ieee802-dot1ab-lldp; what has none there is named alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from evbagent.evbview import neighbor_evb
from evbagent.instants import utc
from evbagent.tlvview_basic import basic_document, management_address
from protocols.frame import Scope, format_mac
from protocols.lldp import codec
from protocols.lldp.agent import LldpAgent
from protocols.lldp.mib import RemoteSystem, RemoteSystems
from protocols.lldp.tlvs import (
    Lldpdu,
    ManagementAddress,
    OptionalTlv,
    OrganizationalTlv,
    PortDescription,
    SystemCapabilities,
    SystemDescription,
    SystemName,
    UnrecognizedTlv,
)
from protocols.tlv import walk

if TYPE_CHECKING:  # it brings in every TLV that there is: nothing to wait for before the agent is ready
    from evbagent.tlvview import Described

Json = dict[str, Any]


def neighbor_documents(agent: LldpAgent) -> list[Json]:
    """All that one agent knows. While its port is down they are stale: they age, and nobody hears them."""
    return [neighbor_document(remote, stale=not agent.port_enabled) for remote in agent.rx.remotes.systems()]


def neighbor_document(remote: RemoteSystem, stale: bool = False) -> Json:
    """One remote-systems-data entry. It is in every state file, so it reads no TLV that nobody has to understand."""
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
        "first-heard": utc(remote.first_heard),
        "last-heard": utc(remote.last_heard),
        "last-change": utc(remote.last_changed),
        "remote-changes": remote.changes,
        "remote-refreshes": remote.refreshes,
        "stale": stale,
        "evb": neighbor_evb(remote),
    }
    same: Counter[tuple[bytes, int]] = Counter()
    for tlv in pdu.optional:
        match tlv:
            case ManagementAddress():
                document["management-address"].append(management_address(tlv))
            case OrganizationalTlv(oui, subtype, value):
                same[oui, subtype] += 1
                info = {"info-identifier": oui.hex("-"), "info-subtype": subtype, "info-index": same[oui, subtype]}
                document["remote-org-defined-info"].append({**info, "remote-info": value.hex()})
            case UnrecognizedTlv(type_, value):
                document["remote-unknown-tlv"].append({"tlv-type": type_, "tlv-info": value.hex()})
            case _:
                document |= basic_document(tlv)
    return document


def neighbor_rows(ports: Iterable[tuple[str, Mapping[Scope, LldpAgent]]]) -> list[Json]:
    """The answer to `show neighbors`: `ports` are interfaces' names, and their agents."""
    reader = _Reader()
    return [
        {
            "interface": name,
            "scope": str(scope),
            **neighbor_document(remote, stale=not agent.port_enabled),
            "tlvs": reader.tlvs(remote),
        }
        for name, agents in ports
        for scope, agent in agents.items()
        for remote in agent.rx.remotes.systems()
    ]


def remote_statistics_document(remotes: RemoteSystems) -> Json:
    """remote-statistics of one agent. Ageouts are with what was received, as the sheet has them."""
    statistics = remotes.statistics
    return {
        "remote-inserts": statistics.inserts,
        "remote-deletes": statistics.deletes,
        "remote-drops": statistics.drops,
        "remote-refreshes": statistics.refreshes,
        "last-change-time": None if statistics.last_change is None else utc(statistics.last_change),
    }


def changed_tlvs(former: Lldpdu, now: Lldpdu) -> list[str]:
    """What a neighbor says otherwise than before, by the names of the TLVs: changed, new, or not sent any more."""
    before, after = _by_name(former), _by_name(now)
    changed = ["Time To Live"] if former.ttl != now.ttl else []
    return changed + [name for name in {**before, **after} if before.get(name) != after.get(name)]


class _Reader:
    """Reads TLVs. Neighbors say much alike, most of all the ports of one switch, so no TLV is read twice."""

    def __init__(self) -> None:
        from evbagent.tlvview import describe_tlv

        self._describe = describe_tlv
        self._read: dict[tuple[int, bytes], Described] = {}

    def tlvs(self, remote: RemoteSystem) -> list[Json]:
        """Every TLV before the End TLV, in the form of `decode -j`, those that count for nothing with their error."""
        dropped = {error.offset: error.reason for error in remote.reading.errors}
        documents: list[Json] = []
        for tlv in walk(remote.payload).tlvs:
            key = tlv.type, tlv.value
            described = self._read.get(key)
            if described is None:
                described = self._read[key] = self._describe(*key)
            document: Json = {
                "type": tlv.type,
                "length": len(tlv.value),
                "oui": described.oui,
                "subtype": described.subtype,
                "name": described.name,
                "hex": tlv.value.hex(),
                "value": described.value,
            }
            error = dropped.get(tlv.offset, described.error)
            documents.append(document if error is None else {**document, "error": error})
        return documents


def _by_name(pdu: Lldpdu) -> dict[str, list[OptionalTlv]]:
    found: dict[str, list[OptionalTlv]] = {}
    for tlv in pdu.optional:
        found.setdefault(_name(tlv), []).append(tlv)
    return found


def _name(tlv: OptionalTlv) -> str:
    from evbagent.tlvview import describe_tlv

    match tlv:
        case OrganizationalTlv(oui, subtype, _):
            return describe_tlv(codec.ORGANIZATIONAL, oui + bytes([subtype])).name
        case UnrecognizedTlv(kind, _):
            return describe_tlv(kind, b"").name
    return describe_tlv(_KINDS[type(tlv)], b"").name


_KINDS: Mapping[type, int] = {
    PortDescription: codec.PORT_DESCRIPTION,
    SystemName: codec.SYSTEM_NAME,
    SystemDescription: codec.SYSTEM_DESCRIPTION,
    SystemCapabilities: codec.SYSTEM_CAPABILITIES,
    ManagementAddress: codec.MANAGEMENT_ADDRESS,
}
