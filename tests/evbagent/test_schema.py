"""The JSON Schema of the state file: what it lets through and what not."""

import json
from collections.abc import Callable
from copy import deepcopy
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

SCHEMA = json.loads(files("evbagent.schema").joinpath("state-1.json").read_text())

NEIGHBOR: dict[str, Any] = {
    "remote-index": 1,
    "chassis-id-subtype": "mac-address",
    "chassis-id": "02:00:00:00:00:0b",
    "port-id-subtype": "interface-name",
    "port-id": "swp1",
    "time-to-live": 120,
    "port-desc": None,
    "system-name": "switch",
    "system-description": None,
    "system-capabilities-supported": ["mac-bridge"],
    "system-capabilities-enabled": [],
    "management-address": [
        {"address-subtype": "ipv4", "address": "192.0.2.1", "if-subtype": "if-index", "if-id": 4},
    ],
    "remote-org-defined-info": [{"info-identifier": "00-80-c2", "info-subtype": 13, "remote-info": "0100"}],
    "remote-unknown-tlv": [{"tlv-type": 9, "tlv-info": ""}],
    "source-mac-address": "02:00:00:00:00:0b",
    "last-heard": "2026-11-22T09:30:00.100Z",
    "remote-changes": 0,
}
STATISTICS = dict.fromkeys(
    (
        "tx-total-frames",
        "tx-total-length-errors",
        "rx-total-frames",
        "rx-total-discarded-frames",
        "rx-error-frames",
        "rx-total-discarded-tlvs",
        "rx-total-unrecognized-tlvs",
        "rx-total-ageouts",
        "rx-own-frames",
        "remote-inserts",
        "remote-deletes",
        "remote-drops",
    ),
    0,
)
VSI: dict[str, Any] = {
    "vsi-id": "a1412857-60f7-4ce1-e95a-216494353f53",
    "vsi-id-format": "uuid",
    "state": "associated",
    "request": "associate",
    "response": "success",
    "filters": [{"vid": 100, "mac-address": "52:54:00:8e:50:53"}],
    "filter-info-format": "mac-vid",
    "vsi-manager-id": "192.0.2.7",
    "vsi-type-id": 1193046,
    "vsi-type-version": 7,
    "owner": "client",
    "since": "2026-11-22T09:30:00.1Z",
}
LEFT_OUT_OF_VSIS = {"owner", "mac-address"}  # when there is none
UPLINK: dict[str, Any] = {
    "name": "eth0",
    "ifindex": 2,
    "mac-address": "02:00:00:00:00:0a",
    "oper-status": "up",
    "forwarding": {
        "mode": "vepa",
        "reflective-relay": "active",
        "edition": "ratified",
        "reason": "both sides relay",
        "since": "2026-11-22T09:30:00.1Z",
        "since-boottime-us": 86_400_000_000,
    },
    "lldp": [
        {
            "scope": "nearest-customer-bridge",
            "dest-mac-address": "01:80:c2:00:00:00",
            "admin-status": "tx-and-rx",
            "too-many-neighbors": False,
            "neighbors": [NEIGHBOR],
            "statistics": STATISTICS,
        }
    ],
    "evb": {"local": {"evb-mode": "station"}, "remote": None, "operational": {}},
    "vsis": [VSI],
    "dcbx": {
        "mode": "apply",
        "dialect": "cee",
        "state": "peer",
        "reason": "...",
        "advertise": True,
        "peer": "switch1 (02:00:00:00:00:0b)",
        "local": None,
        "remote": None,
        "operational": None,
        "reasons": {"ets": "...", "pfc": "...", "app": "..."},
        "errors": ["pfc"],
        "nic": {
            "dcbx-mode": ["host", "ieee"],
            "settings": None,
            "firmware-peer": None,
            "changed-by-agent": False,
            "error": None,
        },
        "nic-state": "...",
        "differences": [{"key": "prio-pfc", "nic": "3:off", "wanted": "3:on"}],
        "sequence": {"seq-no": 1, "ack-no": 1},
        "remote-tlvs": [
            {
                "chassis-id-subtype": "mac-address",
                "chassis-id": "02:00:00:00:00:01",
                "port-id-subtype": "interface-name",
                "port-id": "swp1",
                "oui": "001b21",
                "subtype": 2,
                "hex": "020a0000",
            }
        ],
    },
    "bridge-port": {"bridge": "br0", "hairpin": True, "hairpin-before": False, "hairpin-set-by-agent": True},
    "attachments": [
        {
            "name": "guest0",
            "ifindex": 7,
            "netns-id": None,
            "kind": "macvtap",
            "policy": "prefer-vepa",
            "mode": "vepa",
            "wanted-mode": "vepa",
            "conforms": True,
            "reason": "",
        }
    ],
    "warnings": ["..."],
}
DOCUMENT: dict[str, Any] = {
    "schema": "evbagent-state-1",
    "generation": 17,
    "boot-id": "0f0e0d0c-0b0a-0908-0706-050403020100",
    "written": "2026-11-22T09:30:00.1Z",
    "written-boottime-us": 0,
    "valid-until-boottime-us": 30_000_000,
    "agent": {"version": "0.1.0", "pid": 1, "role": "station"},
    "uplinks": [UPLINK],
}

Change = Callable[[dict[str, Any]], object]


def valid(document: Any) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(document))


def uplink(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["uplinks"][0]
    return found


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_a_full_document() -> None:
    Draft202012Validator(SCHEMA).validate(DOCUMENT)


def test_an_agent_without_uplinks() -> None:
    assert valid(DOCUMENT | {"uplinks": []})


@pytest.mark.parametrize(
    "change",
    [
        lambda document: uplink(document).update({"bridge-port": None, "evb": None, "dcbx": None}),
        lambda document: uplink(document)["dcbx"].update({"dialect": None, "state": "off", "reasons": None}),
        lambda document: uplink(document)["dcbx"].update({"local": {}, "operational": {"pfc": {"enable": [0, 7]}}}),
        lambda document: uplink(document).update({"vsis": []}),
        lambda document: uplink(document)["vsis"][0].update(
            {"state": "unassociated", "pending": "associate", "response": None, "reason": "no link", "filters": []}
        ),
        lambda document: uplink(document)["vsis"][0].update(
            {"vsi-id": "format-9:" + 32 * "0", "vsi-id-format": "format-9", "filter-info-format": "format-200"}
        ),
        lambda document: uplink(document)["vsis"][0]["filters"].append({"vid": 4095, "pcp": 7, "group-id": 0xFFFFFFFF}),
        lambda document: uplink(document)["forwarding"].update(
            {"mode": "veb", "reflective-relay": "unknown", "edition": None}
        ),
        lambda document: uplink(document)["attachments"][0].update({"netns-id": 0}),
    ],
)
def test_what_may_be(change: Change) -> None:
    document = deepcopy(DOCUMENT)
    change(document)
    Draft202012Validator(SCHEMA).validate(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update({"schema": "evbagent-state-2"}),
        lambda document: document.update({"generation": 0}),
        lambda document: document.update({"boot-id": "x"}),
        lambda document: document.update({"written": "yesterday"}),
        lambda document: document.update({"valid-until-boottime-us": 1.5}),
        lambda document: document.update({"extra": 1}),
        lambda document: document["agent"].update({"pid": "1"}),
        lambda document: uplink(document).update({"extra": 1}),
        lambda document: uplink(document)["forwarding"].update({"mode": "bridge"}),
        lambda document: uplink(document)["forwarding"].update({"reflective-relay": "inactive"}),
        lambda document: uplink(document)["forwarding"].update({"mode": "veb"}),
        lambda document: uplink(document)["lldp"][0].update({"scope": "everywhere"}),
        lambda document: uplink(document)["lldp"][0]["statistics"].update({"rx-own-frames": -1}),
        lambda document: uplink(document)["lldp"][0]["neighbors"][0].update({"age-seconds": 3}),
        lambda document: uplink(document)["attachments"][0].update({"wanted-mode": "veb"}),
        lambda document: uplink(document)["vsis"].append({"vsi-id": "...", "state": "associated"}),
        lambda document: uplink(document)["dcbx"].update({"mode": "off"}),
        lambda document: uplink(document)["dcbx"].update({"local": {"pfc": {"enable": [8]}}}),
        lambda document: uplink(document)["dcbx"].update({"remote": {"ets": {"willing": True}}}),
        lambda document: uplink(document)["vsis"][0].update({"state": "gone"}),
        lambda document: uplink(document)["vsis"][0].update({"reason": ""}),
        lambda document: uplink(document)["vsis"][0].pop("response"),
        lambda document: uplink(document)["vsis"][0].update({"pending": "associated"}),
        lambda document: uplink(document)["vsis"][0].update({"response": "timeout"}),
        lambda document: uplink(document)["vsis"][0].update({"filter-info-format": "mac"}),
        lambda document: uplink(document)["vsis"][0]["filters"][0].update({"vid": 4096}),
        lambda document: uplink(document)["vsis"][0]["filters"][0].update({"mac-address": "52-54-00-8E-50-53"}),
    ],
)
def test_what_may_not_be(change: Change) -> None:
    document = deepcopy(DOCUMENT)
    change(document)
    assert not valid(document)


def test_every_object_of_ours_is_closed_and_complete() -> None:
    """No field of the full document can go missing unnoticed, none can be added."""
    for path in objects(DOCUMENT):
        if path[-2:-1] == ["evb"]:
            continue
        for key in set(at(DOCUMENT, path)) - (LEFT_OUT_OF_VSIS if "vsis" in path else set()):
            document = deepcopy(DOCUMENT)
            del at(document, path)[key]
            assert not valid(document), (path, key)
        document = deepcopy(DOCUMENT)
        at(document, path)["extra"] = 1
        assert not valid(document), path


def objects(value: Any, path: tuple[Any, ...] = ()) -> list[list[Any]]:
    """The paths of all objects in a document."""
    if isinstance(value, dict):
        inner = [found for key, item in value.items() for found in objects(item, (*path, key))]
        return [list(path), *inner]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in objects(item, (*path, index))]
    return []


def at(value: Any, path: list[Any]) -> dict[str, Any]:
    for step in path:
        value = value[step]
    found: dict[str, Any] = value
    return found
