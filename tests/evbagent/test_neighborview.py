"""The documents of neighbors: complete, by their names, valid by their schemas, whatever a neighbor says."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from evbagent.driver import boottime
from evbagent.neighborview import (
    changed_tlvs,
    neighbor_document,
    neighbor_documents,
    neighbor_rows,
    remote_statistics_document,
)
from protocols.frame import Scope
from protocols.lldp.agent import LldpAgent
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.mib import RemoteRemoved
from protocols.timers import SECOND
from tests.support.bodies import changes
from tests.support.lldpdus import lldpdu, tlv
from tests.support.neighbors import OPTIONAL, PEER_MAC, RICH, as_json, listening, organizational, rows_of


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("evbagent.schema").joinpath(name).read_text())
    return found


STATE, NEIGHBORS = schema("state-1.json"), schema("neighbors-1.json")
IN_STATE = Draft202012Validator({"$defs": STATE["$defs"], "$ref": "#/$defs/neighbor"})
ROWS = Draft202012Validator(NEIGHBORS)


def test_the_schemas_are_ones_and_agree_about_a_neighbor() -> None:
    Draft202012Validator.check_schema(NEIGHBORS)
    row, neighbor = (defs["$defs"]["neighbor"]["properties"] for defs in (NEIGHBORS, STATE))
    assert {key: row[key] for key in row if key not in ("interface", "scope", "tlvs")} == neighbor | {
        "remote-org-defined-info": row["remote-org-defined-info"]  # there all keys are there; the state file's grew
    }
    assert set(NEIGHBORS["$defs"]["neighbor"]["required"]) == set(row)


def test_a_neighbor_in_the_words_of_the_yang_module() -> None:
    agent = listening()
    agent.receive(PEER_MAC, RICH, boottime())
    (document,) = neighbor_documents(agent)
    IN_STATE.validate(json.loads(json.dumps(document)))
    times = {key: document.pop(key) for key in ("first-heard", "last-heard", "last-change")}
    assert len(set(times.values())) == 1
    infos = document.pop("remote-org-defined-info")
    assert [(info["info-identifier"], info["info-subtype"], info["info-index"]) for info in infos][:4] == [
        ("00-80-c2", 1, 1),
        ("00-80-c2", 2, 1),
        ("00-80-c2", 3, 1),
        ("00-80-c2", 3, 2),
    ]
    assert infos[-1]["remote-info"] == "454647"
    assert document.pop("evb")["evb-mode"] == "bridge"
    assert document == {
        "remote-index": 1,
        "chassis-id-subtype": "mac-address",
        "chassis-id": "02:00:00:00:00:0b",
        "port-id-subtype": "mac-address",
        "port-id": "02:00:00:00:00:0b",
        "time-to-live": 120,
        "port-desc": "uplink to tor-1",
        "system-name": "host-a.example.net",
        "system-description": "Example OS 1.0\r\nsecond line",
        "system-capabilities-supported": [
            "mac-bridge",
            "wlan-access-point",
            "router",
            "telephone",
            "station-only",
        ],
        "system-capabilities-enabled": ["mac-bridge", "router"],
        "management-address": [
            {"address-subtype": "ipv4", "address": "192.0.2.10", "if-subtype": "if-index", "if-id": 3},
            {
                "address-subtype": "ipv6",
                "address": "2001:db8::10",
                "if-subtype": "system-port-number",
                "if-id": 7,
            },
        ],
        "remote-unknown-tlv": [{"tlv-type": 9, "tlv-info": "aabb"}],
        "source-mac-address": "02:00:00:00:00:0b",
        "remote-changes": 0,
        "remote-refreshes": 0,
        "stale": False,
    }


def test_a_bare_neighbor_says_null_and_nothing() -> None:
    (row,) = rows_of(lldpdu(PEER_MAC))
    ROWS.validate([row])
    nothing = ("port-desc", "system-name", "system-description", "evb")
    assert [row[key] for key in nothing] == [None] * 4
    assert row["management-address"] == row["remote-org-defined-info"] == row["remote-unknown-tlv"] == []


def test_times_and_counts() -> None:
    agent, begun = listening(), boottime()
    agent.receive(PEER_MAC, lldpdu(PEER_MAC), begun)
    agent.receive(PEER_MAC, lldpdu(PEER_MAC, tlv(5, b"n")), begun + 10 * SECOND)
    agent.receive(PEER_MAC, lldpdu(PEER_MAC, tlv(5, b"n")), begun + 20 * SECOND)
    (document,) = neighbor_documents(agent)
    assert document["first-heard"] < document["last-change"] < document["last-heard"]
    assert (document["remote-changes"], document["remote-refreshes"]) == (1, 1)
    statistics = remote_statistics_document(agent.rx.remotes)
    assert statistics.pop("last-change-time")[:19] == document["last-change"][:19]
    assert statistics == {"remote-inserts": 1, "remote-deletes": 0, "remote-drops": 0, "remote-refreshes": 1}
    assert remote_statistics_document(listening().rx.remotes)["last-change-time"] is None


def test_neighbors_of_a_port_that_is_down_are_stale() -> None:
    agent = listening()
    agent.receive(PEER_MAC, lldpdu(PEER_MAC), boottime())
    agent.enable(False, boottime())
    assert [document["stale"] for document in neighbor_documents(agent)] == [True]
    assert [row["stale"] for row in neighbor_rows([("veth0", {agent.scope: agent})])] == [True]


def test_rows_name_interface_and_scope_and_come_in_order() -> None:
    ports: list[tuple[str, Mapping[Scope, LldpAgent]]] = []
    for name in ("eth0", "eth1"):
        agents = {scope: listening(scope=scope) for scope in Scope}
        for number, agent in enumerate(agents.values()):
            for last in range(number):
                mac = PEER_MAC[:5] + bytes([16 + last])
                agent.receive(mac, lldpdu(mac), boottime())
        ports.append((name, agents))
    rows = as_json(ports)
    ROWS.validate(rows)
    order = ["nearest-non-tpmr-bridge", "nearest-customer-bridge", "nearest-customer-bridge"]
    assert [(row["interface"], row["scope"]) for row in rows] == [(name, s) for name in ("eth0", "eth1") for s in order]


# TLVs.


def test_every_tlv_is_there_in_wire_order_with_its_fields() -> None:
    (row,) = rows_of(RICH)
    ROWS.validate([row])
    tlvs = row["tlvs"]
    octets = b"".join(tlv(item["type"], bytes.fromhex(item["hex"])) for item in tlvs)
    assert octets + b"\0\0" == RICH
    assert tlvs[0] == {
        "type": 1,
        "length": 7,
        "oui": None,
        "subtype": None,
        "name": "Chassis ID",
        "hex": "0402000000000b",
        "value": {"chassis-id-subtype": "mac-address", "chassis-id": "02:00:00:00:00:0b"},
    }
    vlan = next(item for item in tlvs if item["name"] == "IEEE 802.1 VLAN Name")
    assert (vlan["oui"], vlan["subtype"]) == ("0080c2", 3)
    assert vlan["value"] == {"vlan-id": 100, "port-vlan-name": "users"}
    assert [(item["type"], item["oui"]) for item in tlvs if item["value"] is None] == [(127, "334455"), (9, None)]
    assert not any("error" in item for item in tlvs)


def test_tlvs_that_count_for_nothing_have_their_error() -> None:
    payload = lldpdu(PEER_MAC, tlv(5, b"first"), tlv(5, b"second"), tlv(7, b"\0"), organizational("00120f04"))
    (row,) = rows_of(payload)
    ROWS.validate([row])
    assert row["system-name"] == "first"
    errors = {item["hex"]: item.get("error") for item in row["tlvs"][3:]}
    assert errors == {
        b"first".hex(): None,
        b"second".hex(): "TLV of type 5 repeats an earlier one",
        "00": "TLV of type 7 with 1 octets is too short",
        "00120f04": "0 octets are left, 2 are needed (octet 4 of its value)",
    }


def test_padding_is_no_tlv() -> None:
    (row,) = rows_of(lldpdu(PEER_MAC).ljust(46, b"\0"))
    assert [item["type"] for item in row["tlvs"]] == [1, 2, 3]


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", range(len(OPTIONAL)))
def test_any_octet_may_be_another_one(place: int, every: int) -> None:
    """Whatever is still a neighbor has valid rows; the next TLV is there for lengths that swallow of it."""
    known = 0
    for changed in islice(changes(OPTIONAL[place]), 0, None, every):
        rows = rows_of(lldpdu(PEER_MAC, changed, *OPTIONAL[place + 1 : place + 2]))
        assert ROWS.is_valid(rows)
        known += len(rows)
    assert known > 2


# What has changed.


@pytest.mark.parametrize(
    ("tlvs", "changed"),
    [
        ((), ["System Name", "IEEE 802.1 EVB", "Reserved 9"]),
        ((tlv(5, b"b"), organizational("0080c20d03056e5414"), tlv(9, b"x")), ["System Name"]),
        ((tlv(5, b"a"), organizational("0080c20d00056e5414"), tlv(9, b"y")), ["IEEE 802.1 EVB", "Reserved 9"]),
        ((tlv(9, b"x"), organizational("0080c20d03056e5414"), tlv(5, b"a")), []),
        (
            (tlv(5, b"a"), tlv(4, b"p"), organizational("0080c20d03056e5414"), tlv(9, b"x"), tlv(7, b"\0\4\0\4")),
            ["Port Description", "System Capabilities"],
        ),
    ],
)
def test_what_a_neighbor_says_otherwise(tlvs: tuple[bytes, ...], changed: list[str]) -> None:
    before = lldpdu(PEER_MAC, tlv(5, b"a"), organizational("0080c20d03056e5414"), tlv(9, b"x"))
    former, now = decode_lldpdu(before).pdu, decode_lldpdu(lldpdu(PEER_MAC, *tlvs)).pdu
    assert changed_tlvs(former, now) == changed
    assert changed_tlvs(former, replace(now, ttl=60)) == ["Time To Live", *changed]


def test_a_document_of_a_neighbor_that_is_gone() -> None:
    agent = listening()
    agent.receive(PEER_MAC, RICH, boottime())
    (removed,) = agent.receive(PEER_MAC, lldpdu(PEER_MAC, ttl=0), boottime())
    assert isinstance(removed, RemoteRemoved)
    assert neighbor_document(removed.remote)["system-name"] == "host-a.example.net"
