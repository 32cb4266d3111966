"""Neighbors as an agent comes to know them from octets, and one LLDPDU with a TLV of nearly every kind."""

import json
from collections.abc import Mapping
from typing import Any

from evbagent.driver import boottime
from evbagent.neighborview import neighbor_rows
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus, LldpAgent, LocalSystem
from protocols.lldp.tlvs import ChassisId, PortId
from protocols.lldp.tx import TxSettings
from protocols.timers import Instant
from tests.support.lldpdus import BRIDGE_REFLECTS, evb_tlv, lldpdu, tlv

LOCAL_MAC = bytes.fromhex("020000000001")
PEER_MAC = bytes.fromhex("02000000000b")


def organizational(octets: str) -> bytes:
    return tlv(127, bytes.fromhex(octets))


OPTIONAL = (
    tlv(4, b"uplink to tor-1"),
    tlv(5, b"host-a.example.net"),
    tlv(6, b"Example OS 1.0\r\nsecond line"),
    tlv(7, bytes.fromhex("00bc0014")),
    tlv(8, bytes.fromhex("0501c000020a020000000300")),
    tlv(8, bytes.fromhex("110220010db80000000000000000000000100300000007052b06010401")),
    organizational("0080c2010064"),
    organizational("0080c2020600c8"),
    organizational("0080c2030064057573657273"),
    organizational("0080c20300c803696f74"),
    organizational("0080c20405888e010000"),
    organizational("0080c207030000000a"),
    evb_tlv(BRIDGE_REFLECTS),
    organizational("00120f01036c01001e"),
    organizational("00120f020e0204d300640096"),
    organizational("00120f03010000000c"),
    organizational("00120f0405ee"),
    organizational("0012bb01003f03"),
    organizational("0012bb020143e96e"),
    organizational("0012bb0207800000"),
    organizational("0012bb03016861b69d735c04671de6174000757801"),
    organizational("0012bb0302230255530002656e0309526f736576696c6c65060f436f6d6d65726369616c20526f6164"),
    organizational("0012bb0303393131"),
    organizational("0012bb04520032"),
    organizational("0012bb0548572d31"),
    organizational("0012bb0753572d342e35"),
    organizational("3344552c454647"),
    tlv(9, b"\xaa\xbb"),
)
RICH = lldpdu(PEER_MAC, *OPTIONAL)


def listening(max_neighbors: int = 8, scope: Scope = Scope.NEAREST_BRIDGE) -> LldpAgent:
    """An agent whose port is up."""
    local = LocalSystem(ChassisId(4, LOCAL_MAC), PortId(3, LOCAL_MAC))
    agent = LldpAgent(scope, AdminStatus.TX_AND_RX, TxSettings(), local, max_neighbors, lambda oui, subtype: False)
    agent.enable(True, boottime())
    return agent


def rows_of(*payloads: bytes, source: bytes = PEER_MAC, now: Instant | None = None) -> list[dict[str, Any]]:
    """`show neighbors -j` of an agent that has heard these LLDPDUs on veth0."""
    agent = listening()
    for payload in payloads:
        agent.receive(source, payload, boottime() if now is None else now)
    return as_json([("veth0", {agent.scope: agent})])


def as_json(ports: list[tuple[str, Mapping[Scope, LldpAgent]]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(json.dumps(neighbor_rows(ports)))
    return rows
