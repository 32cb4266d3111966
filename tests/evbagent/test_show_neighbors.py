"""`show neighbors` for people: a line a neighbor, and everything in lldpcli's words; only text, whatever they say."""

from datetime import UTC, datetime
from typing import Any

import pytest

from evbagent.driver import boottime
from evbagent.show import render
from evbagent.show_neighbors import render_neighbors
from protocols.timers import SECOND
from tests.support.lldpdus import lldpdu, tlv
from tests.support.neighbors import PEER_MAC, RICH, as_json, listening, organizational, rows_of

HEARD = "2026-11-22T09:30:00.000Z"
NOW = datetime(2026, 11, 22, 9, 30, 8, 400_000, tzinfo=UTC).timestamp()
ROW: dict[str, Any] = {
    "interface": "eth0",
    "scope": "nearest-customer-bridge",
    "chassis-id-subtype": "mac-address",
    "chassis-id": "02:00:00:00:00:0b",
    "port-id-subtype": "interface-name",
    "port-id": "ge-0/0/1",
    "time-to-live": 120,
    "system-name": "switch1",
    "system-capabilities-supported": ["mac-bridge", "router", "two-port-mac-relay", "reserved-15"],
    "system-capabilities-enabled": ["router", "mac-bridge"],
    "first-heard": "2026-11-20T08:00:00.000Z",
    "last-heard": HEARD,
    "last-change": "2026-11-20T09:00:00.000Z",
    "stale": False,
    "evb": {"edition": "ratified", "evb-mode": "bridge"},
}
RICH_TEXT = """\
-------------------------------------------------------------------------------
LLDP neighbors:
-------------------------------------------------------------------------------
Interface:    veth0, via: LLDP, RID: 1, Time: 0 day, 00:00:00, Scope: nearest-bridge
  Chassis:
    ChassisID:    mac 02:00:00:00:00:0b
    SysName:      host-a.example.net
    SysDescr:     Example OS 1.0
                  second line
    MgmtIP:       192.0.2.10
    MgmtIface:    3
    MgmtIP:       2001:db8::10
    MgmtIface:    7 (system-port-number)
    MgmtOID:      1.3.6.1.4.1
    Capability:   Bridge, on
    Capability:   Router, on
    Capability:   Wlan, off
    Capability:   Tel, off
    Capability:   Station, off
  Port:
    PortID:       mac 02:00:00:00:00:0b
    PortDescr:    uplink to tor-1
    TTL:          120
    TTL left:     120
    MFS:          1518
    Port is aggregated. PortAggregID: 12
    Aggregation:  supported: yes, enabled: no
    PMD autoneg:  supported: yes, enabled: yes
      Adv:          10Base-T, HD: yes, FD: yes
      Adv:          100Base-TX, HD: yes, FD: yes
      Adv:          1000Base-T, HD: no, FD: yes
      MAU oper type: 1000BASE-T full duplex
    MDI Power:    supported: yes, enabled: yes, pair control: yes
      Device type:  PD
      Power pairs:  spare
      Class:        class 3
      Power type:   1
      Power Source: PSE
      Power Priority: low
      PD requested power Value: 10000
      PSE allocated power Value: 15000
      PD 4PID:      no
  VLAN:         100, pvid: yes users
  VLAN:         200, pvid: no iot
  PPVID:        200, supported: yes, enabled: yes
  PI:           88 8e 01 00 00
  LLDP-MED:
    Device Type:  Communication Device Endpoint (Class III)
    Capability:   Capabilities, yes
    Capability:   Policy, yes
    Capability:   Location, yes
    Capability:   MDI/PSE, yes
    Capability:   MDI/PD, yes
    Capability:   Inventory, yes
    LLDP-MED Network Policy for: Voice, Defined: yes
      VLAN:         500
      Priority:     Voice
      PCP:          5
      DSCP Value:   46
    LLDP-MED Network Policy for: Streaming Video, Defined: no
      Priority:     Best effort
      PCP:          0
      DSCP Value:   0
    LLDP-MED Location Identification: Type: Coordinates, Geoid: WGS84
      Latitude:     48.85667N
      Longitude:    2.2014E
      Altitude:     m 117.469
    LLDP-MED Location Identification: Type: Civic address
      Country:      US
      What:         client
      Language:     en
      City:         Roseville
      Street:       Commercial Road
    LLDP-MED Location Identification: Type: ELIN
      ECS ELIN:     911
    Extended Power-over-Ethernet:
      Power Type & Source: PD
      Power Source: PSE
      Power priority: high
      Power Value:  5000
    Inventory:
      Hardware Revision: HW-1
      Software Revision: SW-4.5
  IEEE 802.1 Link Aggregation:
    aggregation-capability: yes
    aggregation-status: yes
    port-type:    unspecified
    aggregated-port-id: 10
  IEEE 802.1 EVB:
    evb-mode:     bridge
    bridge-group-ids: no
    reflective-relay-capable: yes
    reflective-relay-control: yes
    station-group-ids: no
    reflective-relay-request: yes
    reflective-relay-status: true
    ecp-retries:  3
    ecp-ack-timer-exponent: 14
    resource-wait-delay-exponent: 20
    resource-wait-delay-rol: local
    keep-alive-exponent: 20
    keep-alive-rol: local
  Unknown TLVs:
    TLV:          OUI: 33,44,55, SubType: 44, Len: 3 45,46,47
    TLV:          Type: 9, Len: 2 AA,BB
  LLDPDUs:
    Source:       02:00:00:00:00:0b
    First heard:  TIME
    Last heard:   TIME
    Changes:      0
    Refreshes:    0
-------------------------------------------------------------------------------
"""


def table_of(*rows: dict[str, Any]) -> list[list[str]]:
    """The cells of each line below the header."""
    lines = render_neighbors(rows, now=NOW).splitlines()
    starts = [lines[0].index(title) for title in TITLES]
    return [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in lines[1:]]


TITLES = ("INTERFACE", "SYSTEM", "CHASSIS", "PORT", "CAPABILITIES", "TTL LEFT", "AGE", "SCOPE", "EVB")


def test_a_line_for_each_neighbor() -> None:
    bare = {**ROW, "interface": "eth10", "system-name": None, "evb": None, "system-capabilities-enabled": []}
    assert render_neighbors([ROW, bare], now=NOW) == (
        "INTERFACE  SYSTEM   CHASSIS            PORT      CAPABILITIES    TTL LEFT      AGE  SCOPE"
        "                    EVB\n"
        "eth0       switch1  02:00:00:00:00:0b  ge-0/0/1  Bridge, Router  112 of 120 s  2 d  nearest-customer-bridge"
        "  bridge, ratified\n"
        "eth10      -        02:00:00:00:00:0b  ge-0/0/1  -               112 of 120 s  2 d  nearest-customer-bridge"
        "  -\n"
    )


@pytest.mark.parametrize(
    ("seconds", "age"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (86400, "1 d")]
)
def test_how_long_it_is_known(seconds: int, age: str) -> None:
    known = datetime.fromtimestamp(NOW - seconds, UTC).isoformat()
    assert table_of({**ROW, "first-heard": known})[0][6] == age


def test_what_is_left_of_its_ttl() -> None:
    assert table_of({**ROW, "time-to-live": 5})[0][5] == "0 of 5 s", "ageing is late by a fraction of a second"
    assert table_of({**ROW, "stale": True})[0][5] == "112 of 120 s (stale)"
    assert table_of({**ROW, "last-heard": "2027-01-01T00:00:00Z"})[0][5] == "120 of 120 s", "the clock was set back"
    assert table_of({**ROW, "last-heard": None})[0][5] == "- of 120 s"


def test_draft_and_roles() -> None:
    assert table_of({**ROW, "evb": {"edition": "draft", "evb-mode": None}})[0][8] == "symmetric, draft"


def test_everything_in_the_words_of_lldpcli() -> None:
    agent, now = listening(), boottime()
    agent.receive(PEER_MAC, RICH, now)
    (row,) = as_json([("veth0", {agent.scope: agent})])
    text = render_neighbors([row], details=True)
    assert text.replace(row["first-heard"], "TIME") == RICH_TEXT
    assert render("neighbors", [row], details=True) == text


def test_several_neighbors_are_set_apart() -> None:
    text = render_neighbors([ROW, {**ROW, "interface": "eth1", "stale": True}], details=True, now=NOW)
    assert text.count("-" * 79 + "\n") == 4
    assert (
        "Interface:    eth1, via: LLDP, RID: -, Time: 2 days, 00:30:08, Scope: nearest-customer-bridge, Stale: yes"
        in text
    )
    assert "    Capability:   TPMR, off\n    Capability:   reserved-15, off\n" in text
    assert "    TTL left:     112\n" in text


# TLVs that lldpcli knows, in their rarer forms.


def details(*tlvs: bytes) -> list[str]:
    """The lines between the port's TTL and what is said about LLDPDUs, in one blank a gap."""
    (row,) = rows_of(lldpdu(PEER_MAC, *tlvs))
    lines = [" ".join(line.split()) for line in render_neighbors([row], details=True).splitlines()]
    return lines[lines.index("TTL left: 120") + 1 : lines.index("LLDPDUs:")]


@pytest.mark.parametrize(
    ("octets", "lines"),
    [
        ("0080c2010000", ["VLAN: no pvid"]),
        ("0080c2010fa0", ["VLAN: 4000, pvid: yes"]),
        ("0080c202000000", ["PPVID: supported: no, enabled: no"]),
        ("00120f01000000001e", ["PMD autoneg: supported: no, enabled: no", "MAU oper type: 1000BASE-T full duplex"]),
        ("00120f010300008fff", ["PMD autoneg: supported: yes, enabled: yes", "MAU oper type: dot3MauType 36863"]),
        (
            "00120f010380100000",
            [
                "PMD autoneg: supported: yes, enabled: yes",
                "Adv: other",
                "Adv: asymmetric and symmetric PAUSE",
            ],
        ),
        ("0012bb010000ff", ["LLDP-MED:", "Device Type: reserved-255"]),
        (
            "0012bb02014001ff",
            [
                "LLDP-MED:",
                "LLDP-MED Network Policy for: Voice, Defined: yes",
                "VLAN: priority",
                "Priority: Network control",
                "PCP: 7",
                "DSCP Value: 63",
            ],
        ),
        (
            "0012bb03020602555381016b",
            [
                "LLDP-MED:",
                "LLDP-MED Location Identification: Type: Civic address",
                "Country: US",
                "What: client",
                "Reserved 129: k",
            ],
        ),
        ("0012bb0309aa", ["LLDP-MED:", "LLDP-MED Location Identification: Type: reserved-9", "Data: aa"]),
        (
            "0012bb0480000a",
            [
                "LLDP-MED:",
                "Extended Power-over-Ethernet:",
                "Power Type & Source: reserved-2",
                "Power Source: unknown",
                "Power priority: unknown",
                "Power Value: 1000",
            ],
        ),
    ],
)
def test_rarer_forms(octets: str, lines: list[str]) -> None:
    assert details(organizational(octets)) == lines


def test_power_of_types_3_and_4() -> None:
    lines = details(organizational("00120f020f01051302c601fe0163016300ff00ffce4f0001fe00000000"))
    assert lines[:4] == [
        "MDI Power: supported: yes, enabled: yes, pair control: yes",
        "Device type: PSE",
        "Power pairs: signal",
        "Class: class 4",
    ]
    assert {"Requested mode A: 35500", "Allocated alternative B: 25500", "PSE maximum available power: 51000"} <= set(
        lines
    )
    assert {"PSE powering status: 4-pair powering dual-signature PD", "Power pairs extra: Both alternatives"} <= set(
        lines
    )
    assert {"Class extra A: Class 4", "Class extra: Dual-signature PD", "Power type extra: Type 3 PSE"} <= set(lines)


def test_what_is_beyond_the_fields_is_shown() -> None:
    assert details(tlv(7, bytes.fromhex("00040004ff")), organizational("0080c2010001aa")) == [
        "VLAN: 1, pvid: yes",
        "Unread:",
        "System Capabilities: trailing-octets: ff",
        "IEEE 802.1 Port VLAN ID: trailing-octets: aa",
    ]


def test_what_is_broken_is_shown_in_octets() -> None:
    assert details(tlv(5, b"a"), tlv(5, b"b"), organizational("0012bb02")) == [
        "Broken TLVs:",
        "System Name: TLV of type 5 repeats an earlier one: 62",
        "LLDP-MED Network Policy: 0 octets are left, 4 are needed (octet 4 of its value): 0012bb02",
    ]


# Only text.


def test_a_description_of_several_lines_cannot_pass_for_other_fields() -> None:
    (row,) = rows_of(lldpdu(PEER_MAC, tlv(6, b"one\r\ntwo\n  Port:\n\x1b[2J"), tlv(5, b"a\nChassis:\n")))
    text = render_neighbors([row], details=True)
    assert "    SysName:      a\\nChassis:\\n\n" in text
    assert "    SysDescr:     one\n" + 18 * " " + "two\n" + 20 * " " + "Port:\n" + 18 * " " + "\\x1b[2J\n" in text
    assert text.count("\n  Port:") == 1


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "a\x00b", "\u202egnp", "\u2028", "\x07"])
def test_nothing_but_text(hostile: str) -> None:
    (row,) = rows_of(RICH)
    for wicked in (replace_texts(row, hostile), replace_texts(ROW, hostile)):
        for with_details in (False, True):
            text = render_neighbors([wicked], with_details)
            assert all(line.isprintable() for line in text.split("\n"))


def replace_texts(value: Any, text: str) -> Any:
    """Every text in a document, but for those that say what is to follow, replaced."""
    if isinstance(value, dict):
        kept = ("oui", "hex", "type", "subtype", "power-type", "protocol-identity")
        return {key: item if key in kept else replace_texts(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [replace_texts(item, text) for item in value]
    return text if isinstance(value, str) else value


def test_an_agent_without_the_newer_fields() -> None:
    old = {key: ROW[key] for key in ("interface", "chassis-id", "port-id", "time-to-live")}
    assert table_of(old)[0] == ["eth0", "-", "02:00:00:00:00:0b", "ge-0/0/1", "-", "- of 120 s", "-", "-", "-"]
    assert "None" not in render_neighbors([old], details=True)


def test_ages_are_counted_from_now() -> None:
    agent = listening()
    agent.receive(PEER_MAC, lldpdu(PEER_MAC), boottime() - 100 * SECOND)
    (row,) = as_json([("veth0", {agent.scope: agent})])
    assert table_cells(row)[5:7] == ["20 of 120 s", "1 min"]


def table_cells(row: dict[str, Any]) -> list[str]:
    header, line = render_neighbors([row]).splitlines()
    starts = [header.index(title) for title in TITLES]
    return [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
