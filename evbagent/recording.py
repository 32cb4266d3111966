"""The form of a recording: everything that went into a port's machines, one JSON line each, on the machines' own clock.

Given the same inputs the machines do the same again, so a recording of what went wrong is a test of it
(`evbagent run --record`, `evbagent replay`).
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, convert

from evbagent.vsispec import MODES
from protocols.dcbx.settings import DcbxSettings
from protocols.edge import EdgeSettings
from protocols.evb.status import EvbCapability, EvbParameters, EvbSettings, Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.codec import decode_lldpdu, encode_lldpdu
from protocols.lldp.tlvs import ChassisId, Lldpdu, PortId
from protocols.lldp.tx import TxSettings
from protocols.port import (
    LinkState,
    NewSettings,
    PolicyChanged,
    PortSettings,
    RelayAble,
    RelaySet,
    Request,
    RequestVsis,
    Shutdown,
    WithdrawVsis,
)
from protocols.stack import EDITIONS
from protocols.timers import Instant
from protocols.vdp.filter import FilterEntry, Filters
from protocols.vdp.rules import PolicyRules, Rule
from protocols.vdp.status import VsiRequest
from protocols.vdp.vsi import Hint, OrganizationalTlv, Response, VsiId, VsiTlv

FORM = "evbagent-recording-1"

Time = Annotated[int, Meta(ge=0, lt=1 << 62)]
Octets2 = Annotated[int, Meta(ge=0, lt=1 << 16)]

Json = dict[str, Any]
Words = Mapping[str, Any]


class Start(NamedTuple):
    """A port, as it is when the recording begins."""

    interface: str
    role: Role
    settings: PortSettings
    rules: PolicyRules
    time: Instant


class Heard(NamedTuple):
    """A frame."""

    data: bytes
    time: Instant


class Advance(NamedTuple):
    """The port's timer has fired."""

    time: Instant


class FirstSequence(NamedTuple):
    """A random number was drawn."""

    value: int


class Asked(NamedTuple):
    """The port was told something."""

    request: Request
    time: Instant


Input = Start | Heard | Advance | FirstSequence | Asked


def start_line(interface: str, role: Role, settings: PortSettings, rules: PolicyRules, utc: str, now: int) -> Json:
    """The first line. `now`: microseconds of the clock that all lines are on, which reads `utc` just now."""
    return {
        "recording": FORM,
        "interface": interface,
        "role": str(role),
        "utc": utc,
        "time": now,
        "settings": _settings(settings),
        "rules": _rules(rules),
    }


def read_start(line: Words) -> Start:
    """Raises ValueError, LookupError, TypeError, AttributeError or ArithmeticError."""
    if line.get("recording") != FORM:
        raise ValueError(f"not a recording of the form {FORM}")
    settings, rules = _read_settings(line["settings"]), _read_rules(line["rules"])
    return Start(convert(line["interface"], str), Role(line["role"]), settings, rules, _time(line))


def read_input(line: Words) -> Input:
    """A line after the first. Raises like `read_start`."""
    match line["input"]:
        case "frame":
            return Heard(bytes.fromhex(line["data"]), _time(line))
        case "advance":
            return Advance(_time(line))
        case "first-sequence":
            return FirstSequence(convert(line["value"], Octets2))
    request = _read_request(line)
    if request is None:
        raise ValueError(f"there is no input {line['input']!r}")
    return Asked(request, _time(line))


def request_line(request: Request) -> Json:
    """A request as the fields of its line."""
    match request:
        case LinkState(enabled):
            return {"input": "link", "enabled": enabled}
        case NewSettings(settings):
            return {"input": "settings", "settings": _settings(settings)}
        case RelayAble(able, because):
            return {"input": "relay-able", "able": able, "because": because}
        case RelaySet(on, error):
            return {"input": "relay-set", "on": on, "error": error}
        case Shutdown():
            return {"input": "shutdown"}
        case RequestVsis(requests):
            return {"input": "request-vsis", "requests": [_vsi_request(one) for one in requests]}
        case WithdrawVsis(vsi_ids, reason):
            ids = None if vsi_ids is None else [[vsi_id.format, vsi_id.octets.hex()] for vsi_id in vsi_ids]
            return {"input": "withdraw-vsis", "vsi-ids": ids, "reason": reason}
        case PolicyChanged():
            return {"input": "policy-changed"}


def _time(line: Words) -> Instant:
    return convert(line["time"], Time)


def _read_request(line: Words) -> Request | None:
    """The request of a line; None for lines of another kind."""
    match line["input"]:
        case "link":
            return LinkState(convert(line["enabled"], bool))
        case "settings":
            return NewSettings(_read_settings(line["settings"]))
        case "relay-able":
            return RelayAble(convert(line["able"], bool), convert(line["because"], str))
        case "relay-set":
            return RelaySet(convert(line["on"], bool), convert(line["error"], str | None))
        case "shutdown":
            return Shutdown()
        case "request-vsis":
            return RequestVsis(tuple(_read_vsi_request(one) for one in line["requests"]))
        case "withdraw-vsis":
            ids = line["vsi-ids"]
            vsi_ids = None if ids is None else tuple(VsiId(int(kind), bytes.fromhex(octets)) for kind, octets in ids)
            return WithdrawVsis(vsi_ids, str(line["reason"]))
        case "policy-changed":
            return PolicyChanged()
    return None


def _settings(settings: PortSettings) -> Json:
    evb, edge = settings.evb, settings.edge
    return {
        "mac-address": settings.mac_address.hex(),
        "lldpdus": {str(scope): _lldpdu(settings, scope).hex() for scope in Scope},
        "admin-status": {str(scope): str(status) for scope, status in settings.admin_status.items()},
        "tx": asdict(settings.tx),
        "max-neighbors": settings.max_neighbors,
        "evb": {
            "editions": [edition.name for edition in evb.editions],
            "reflective-relay": evb.reflective_relay,
            "parameters": asdict(evb.parameters),
        },
        "edge": {**asdict(edge), "destination": edge.destination.hex() if edge.destination else None},
        "dcbx": None if settings.dcbx is None else asdict(settings.dcbx),
        "warnings": list(settings.warnings),
    }


def _lldpdu(settings: PortSettings, scope: Scope) -> bytes:
    return encode_lldpdu(Lldpdu(settings.chassis_id, settings.port_id, 1, settings.optional.get(scope, ())))


def _read_settings(document: Words) -> PortSettings:
    lldpdus = {Scope(scope): decode_lldpdu(bytes.fromhex(octets)).pdu for scope, octets in document["lldpdus"].items()}
    pdu = lldpdus[Scope.NEAREST_CUSTOMER_BRIDGE]
    evb, edge = document["evb"], dict(document["edge"])
    capabilities = EvbCapability(evb["parameters"]["capabilities"])
    parameters = {name: value for name, value in evb["parameters"].items() if name != "capabilities"}
    destination = edge.pop("destination")
    return PortSettings(
        mac_address=bytes.fromhex(document["mac-address"]),
        chassis_id=ChassisId(pdu.chassis_id.subtype, pdu.chassis_id.id),
        port_id=PortId(pdu.port_id.subtype, pdu.port_id.id),
        optional={scope: lldpdu.optional for scope, lldpdu in lldpdus.items()},
        admin_status={Scope(scope): AdminStatus(status) for scope, status in document["admin-status"].items()},
        tx=convert(document["tx"], TxSettings),
        max_neighbors=convert(document["max-neighbors"], int),
        evb=EvbSettings(
            tuple(EDITIONS[name] for name in evb["editions"]),
            convert(evb["reflective-relay"], bool),
            replace(convert(parameters, EvbParameters), capabilities=capabilities),
        ),
        edge=replace(convert(edge, EdgeSettings), destination=bytes.fromhex(destination) if destination else None),
        dcbx=convert(document.get("dcbx"), DcbxSettings | None),
        warnings=tuple(map(str, document.get("warnings", ()))),
    )


def _vsi_request(request: VsiRequest) -> Json:
    tlv = request.tlv
    return {
        "ticket": request.ticket,
        "persistent": request.persistent,
        "untagged": request.untagged,
        "mode": tlv.mode.word,
        "vsi-id": [tlv.vsi_id.format, tlv.vsi_id.octets.hex()],
        "manager": tlv.manager.hex(),
        "type": [tlv.type_id, tlv.version],
        "filter-format": tlv.filters.format,
        "filters": [
            [entry.vid, entry.pcp, None if entry.mac is None else entry.mac.hex(), entry.group]
            for entry in tlv.filters.entries
        ],
        "hint": int(tlv.hint),
        "organizational": [[one.oui.hex(), one.value.hex()] for one in tlv.organizational],
    }


def _read_vsi_request(document: Words) -> VsiRequest:
    kind, octets = document["vsi-id"]
    type_id, version = document["type"]
    entries = tuple(
        FilterEntry(vid, pcp, None if mac is None else bytes.fromhex(mac), group)
        for vid, pcp, mac, group in document["filters"]
    )
    tlv = VsiTlv(
        MODES[document["mode"]],
        VsiId(int(kind), bytes.fromhex(octets)),
        bytes.fromhex(document["manager"]),
        int(type_id),
        int(version),
        Filters(int(document["filter-format"]), entries),
        Hint(document["hint"]),
        organizational=tuple(
            OrganizationalTlv(bytes.fromhex(oui), bytes.fromhex(value)) for oui, value in document["organizational"]
        ),
    )
    untagged = bool(document.get("untagged"))  # recordings from before there was such a thing say nothing of it
    return VsiRequest(tlv, int(document["ticket"]), bool(document["persistent"]), untagged)


def _rules(rules: PolicyRules) -> Json:
    return {
        "rules": [_rule(rule) for rule in rules.rules],
        "default": _rule(rules.default),
        "capacity": rules.capacity,
        "exhausted": str(rules.exhausted),
    }


def _read_rules(document: Words) -> PolicyRules:
    return PolicyRules(
        tuple(_read_rule(rule) for rule in document["rules"]),
        _read_rule(document["default"]),
        document["capacity"],
        Response(document["exhausted"]),
    )


def _rule(rule: Rule) -> Json:
    plain = asdict(rule)
    plain["managers"] = None if rule.managers is None else sorted(manager.hex() for manager in rule.managers)
    instances = rule.instances
    plain["instances"] = None if instances is None else sorted([one.format, one.octets.hex()] for one in instances)
    return plain


def _read_rule(document: Words) -> Rule:
    fields = dict(document)
    for key in ("type_ids", "versions", "vids", "assign"):
        fields[key] = None if fields[key] is None else tuple((int(low), int(high)) for low, high in fields[key])
    managers, instances = fields["managers"], fields["instances"]
    fields["managers"] = None if managers is None else frozenset(bytes.fromhex(one) for one in managers)
    if instances is not None:
        fields["instances"] = frozenset(VsiId(int(kind), bytes.fromhex(octets)) for kind, octets in instances)
    fields["response"] = Response(fields["response"])
    return Rule(**fields)
