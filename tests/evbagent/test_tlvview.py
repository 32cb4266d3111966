"""One TLV as `decode -j` shows it: names, documents, what is beyond them, and what is broken."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evbagent.tlvview import describe_tlv

Json = dict[str, Any]

# Type and information string, name, document.
BASIC: list[tuple[int, str, str, Json]] = [
    (0, "", "End of LLDPDU", {}),
    (0, "00", "End of LLDPDU", {"trailing-octets": "00"}),
    (
        1,
        "040200000000aa",
        "Chassis ID",
        {"chassis-id-subtype": "mac-address", "chassis-id": "02:00:00:00:00:aa"},
    ),
    (1, "0501c000020a", "Chassis ID", {"chassis-id-subtype": "network-address", "chassis-id": "192.0.2.10"}),
    (
        1,
        "050220010db8000000000000000000000010",
        "Chassis ID",
        {"chassis-id-subtype": "network-address", "chassis-id": "2001:db8::10"},
    ),
    (1, "050347000580", "Chassis ID", {"chassis-id-subtype": "network-address", "chassis-id": "47.0005.80"}),
    (1, "05191234", "Chassis ID", {"chassis-id-subtype": "network-address", "chassis-id": "25:1234"}),
    (1, "0761c3a9", "Chassis ID", {"chassis-id-subtype": "local", "chassis-id": "aé"}),
    (2, "0565746839", "Port ID", {"port-id-subtype": "interface-name", "port-id": "eth9"}),
    (2, "04083439333031", "Port ID", {"port-id-subtype": "network-address", "port-id": "49301"}),
    (2, "0600040001", "Port ID", {"port-id-subtype": "agent-circuit-id", "port-id": "00040001"}),
    (3, "0078", "Time To Live", {"time-to-live": 120}),
    (3, "00780000", "Time To Live", {"time-to-live": 120, "trailing-octets": "0000"}),
    (4, "7570", "Port Description", {"port-desc": "up"}),
    (5, "", "System Name", {"system-name": ""}),
    (6, "4f530d0a", "System Description", {"system-description": "OS\r\n"}),
    (
        7,
        "00160016",
        "System Capabilities",
        {
            "system-capabilities-supported": ["repeater", "mac-bridge", "router"],
            "system-capabilities-enabled": ["repeater", "mac-bridge", "router"],
        },
    ),
    (
        7,
        "f880080000",
        "System Capabilities",
        {
            "system-capabilities-supported": [
                "station-only",
                "reserved-11",
                "reserved-12",
                "reserved-13",
                "reserved-14",
                "reserved-15",
            ],
            "system-capabilities-enabled": ["reserved-11"],
            "trailing-octets": "00",
        },
    ),
    (
        8,
        "0501c000020a0200000003 00",
        "Management Address",
        {
            "address-subtype": "ipv4",
            "address": "192.0.2.10",
            "if-subtype": "if-index",
            "if-id": 3,
            "object-identifier": None,
        },
    ),
    (
        8,
        "03 63 0102 05 ffffffff 03 2b0601 ff",
        "Management Address",
        {
            "address-subtype": "reserved-99",
            "address": "99:0102",
            "if-subtype": "reserved-5",
            "if-id": 0xFFFFFFFF,
            "object-identifier": "1.3.6.1",
            "trailing-octets": "ff",
        },
    ),
    (
        8,
        "03 08 3439 03 00000001 01 80",
        "Management Address",
        {
            "address-subtype": "e164",
            "address": "49",
            "if-subtype": "system-port-number",
            "if-id": 1,
            "object-identifier": None,
            "object-identifier-octets": "80",
        },
    ),
]
# Information string (OUI and subtype first), name, document.
ORGANIZATIONAL: list[tuple[str, str, Json]] = [
    ("0080c2 01 02c6", "IEEE 802.1 Port VLAN ID", {"port-vlan-id": 710}),
    (
        "0080c2 02 03 0001",
        "IEEE 802.1 Port And Protocol VLAN ID",
        {
            "port-vlan-id": 1,
            "port-and-protocol-vlan-supported": True,
            "port-and-protocol-vlan-enabled": False,
            "reserved-bits": "010000",
        },
    ),
    ("0080c2 03 0064 05 7573657273", "IEEE 802.1 VLAN Name", {"vlan-id": 100, "port-vlan-name": "users"}),
    ("0080c2 04 03 888e01", "IEEE 802.1 Protocol Identity", {"protocol-identity": "888e01"}),
    ("0080c2 05 deadbeef", "IEEE 802.1 VID Usage Digest", {"vid-usage-digest": 0xDEADBEEF}),
    ("0080c2 06 0063", "IEEE 802.1 Management VID", {"management-vid": 99}),
    (
        "0080c2 07 07 0000000a",
        "IEEE 802.1 Link Aggregation",
        {
            "aggregation-capability": True,
            "aggregation-status": True,
            "port-type": "aggregation-port",
            "aggregated-port-id": 10,
        },
    ),
    (
        "0080c2 08 2820",
        "IEEE 802.1 Congestion Notification",
        {"per-priority-xmit-cnpv-capable": [3, 5], "per-priority-xmit-ready": [5]},
    ),
    (
        "0080c2 09 c2 00010002 283c000000000000 0200ff0300000001",
        "IEEE 802.1 ETS Configuration",
        {
            "willing": True,
            "credit-based-shaper": True,
            "traffic-classes-supported": 2,
            "priority-assignment-table": [0, 0, 0, 1, 0, 0, 0, 2],
            "tc-bandwidth-table": [40, 60, 0, 0, 0, 0, 0, 0],
            "tsa-assignment-table": [
                "enhanced-transmission-selection",
                "strict-priority",
                "vendor-specific",
                "reserved-3",
                "strict-priority",
                "strict-priority",
                "strict-priority",
                "credit-based-shaper",
            ],
        },
    ),
    (
        "0080c2 0a 00 00010002 283c000000000000 0000000000000000",
        "IEEE 802.1 ETS Recommendation",
        {
            "priority-assignment-table": [0, 0, 0, 1, 0, 0, 0, 2],
            "tc-bandwidth-table": [40, 60, 0, 0, 0, 0, 0, 0],
            "tsa-assignment-table": 8 * ["strict-priority"],
        },
    ),
    (
        "0080c2 0b 88 18",
        "IEEE 802.1 Priority-based Flow Control Configuration",
        {"willing": True, "macsec-bypass-capable": False, "number-tc-capable": 8, "enable": [3, 4]},
    ),
    (
        "0080c2 0c 00 618906 e70001",
        "IEEE 802.1 Application Priority",
        {
            "application-priority-table": [
                {
                    "application-priority": 3,
                    "application-priority-selector": "ethertype",
                    "application-priority-protocol": 0x8906,
                },
                {
                    "application-priority": 7,
                    "application-priority-selector": "reserved-7",
                    "application-priority-protocol": 1,
                },
            ]
        },
    ),
    (
        "0080c2 0d 070d8eb434",
        "IEEE 802.1 EVB",
        {
            "evb-mode": "station",
            "bridge-group-ids": True,
            "reflective-relay-capable": True,
            "reflective-relay-control": True,
            "station-group-ids": True,
            "reflective-relay-request": True,
            "reflective-relay-status": "true",
            "ecp-retries": 4,
            "ecp-ack-timer-exponent": 14,
            "resource-wait-delay-exponent": 20,
            "resource-wait-delay-rol": "remote",
            "keep-alive-exponent": 20,
            "keep-alive-rol": "remote",
        },
    ),
    (
        "0080c2 0e 080000a7 001001 002064",
        "IEEE 802.1 CDCP",
        {
            "role": "bridge",
            "s-component": True,
            "channel-capacity": 167,
            "channels": [{"scid": 1, "svid": 1}, {"scid": 2, "svid": 100}],
        },
    ),
    (
        "0080c2 10 06428906",
        "IEEE 802.1 Application VLAN",
        {
            "application-vlan-table": [
                {
                    "application-vlan": 100,
                    "application-vlan-selector": "tcp-sctp",
                    "application-vlan-protocol": 0x8906,
                }
            ]
        },
    ),
    (
        "00120f 01 03 6c01 001e",
        "IEEE 802.3 MAC/PHY Configuration/Status",
        {
            "auto-negotiation-supported": True,
            "auto-negotiation-enabled": True,
            "auto-negotiation-cap": [
                "10BASE-T half duplex",
                "10BASE-T full duplex",
                "100BASE-TX half duplex",
                "100BASE-TX full duplex",
                "1000BASE-T full duplex",
            ],
            "operational-mau-type": 30,
            "operational-pmd-type": "1000BASE-T full duplex",
            "speed": "1 Gb/s",
            "advertised-speeds": ["10 Mb/s", "100 Mb/s", "1 Gb/s"],
        },
    ),
    (
        "00120f 01 00 0000 ffff",
        "IEEE 802.3 MAC/PHY Configuration/Status",
        {
            "auto-negotiation-supported": False,
            "auto-negotiation-enabled": False,
            "auto-negotiation-cap": [],
            "operational-mau-type": 65535,
            "operational-pmd-type": None,
            "speed": None,
            "advertised-speeds": [],
        },
    ),
    (
        "00120f 02 0f0105 13 02c6 01fe 0163 0163 00ff 00ff ce4f 00 01fe 00 000000",  # a Catalyst 9000
        "IEEE 802.3 Power Via MDI",
        {
            "power-port-class": "pse",
            "mdi-power-supported": True,
            "mdi-power-enabled": True,
            "power-pair-controlable": True,
            "power-pairs": "signal",
            "power-class": "class4",
            "power-type": "type-2-pse",
            "power-source": "primary",
            "pd-4pid": False,
            "power-priority": "low",
            "pd-requested-power-value": 710,
            "pse-allocated-power-value": 510,
            "pd-requested-power-value-a": 355,
            "pd-requested-power-value-b": 355,
            "pse-allocated-power-value-a": 255,
            "pse-allocated-power-value-b": 255,
            "pse-powering-status": "four-pair-dual-signature",
            "pd-powered-status": "ignore",
            "power-pairs-ext": "both",
            "power-class-ext-a": "class4",
            "power-class-ext-b": "class4",
            "power-class-ext": "dual-signature",
            "power-type-ext": "type-3-pse",
            "pd-load": False,
            "pse-max-avail-power": 510,
            "pse-autoclass-support": False,
            "autoclass-completed": False,
            "autoclass-request": False,
            "power-down-request": 0,
            "power-down-time": 0,
        },
    ),
    (
        "00120f 02 0e0907 d300640096 0000",
        "IEEE 802.3 Power Via MDI",
        {
            "power-port-class": "pd",
            "mdi-power-supported": True,
            "mdi-power-enabled": True,
            "power-pair-controlable": True,
            "power-pairs": "reserved-9",
            "power-class": "reserved-7",
            "power-type": "type-1-pd",
            "power-source": "pse",
            "pd-4pid": False,
            "power-priority": "low",
            "pd-requested-power-value": 100,
            "pse-allocated-power-value": 150,
            "trailing-octets": "0000",
        },
    ),
    (
        "00120f 03 03 000000f5",
        "IEEE 802.3 Link Aggregation",
        {"aggregation-capability": True, "aggregation-status": True, "aggregation-port-id": 245},
    ),
    ("00120f 04 05ee", "IEEE 802.3 Maximum Frame Size", {"max-frame-size": 1518}),
    (
        "00120f 05 0011 0012 0013 0014 0015",
        "IEEE 802.3 Energy-Efficient Ethernet",
        {
            "tx-system-value": 17,
            "rx-system-value": 18,
            "fallback-system-value": 19,
            "tx-system-value-echo": 20,
            "rx-system-value-echo": 21,
        },
    ),
    ("00120f 06 0100", "IEEE 802.3 EEE Fast Wake", {"tx-system-fw": 1, "rx-system-fw": 0}),
    (
        "00120f 06 01000001",
        "IEEE 802.3 EEE Fast Wake",
        {"tx-system-fw": 1, "rx-system-fw": 0, "tx-system-fw-echo": 0, "rx-system-fw-echo": 1},
    ),
    (
        "00120f 07 000f",
        "IEEE 802.3 Additional Ethernet Capabilities",
        {
            "preemption-supported": True,
            "preemption-enabled": True,
            "preemption-active": True,
            "additional-fragment-size": 1,
        },
    ),
    (
        "00120f 08 a35c 0064 00c8 012c 0190 cf08 0fa0 0848 00011170 ffff",
        "IEEE 802.3 Power Via MDI Measurements",
        {
            "meas-voltage-support": True,
            "meas-current-support": False,
            "meas-power-support": True,
            "meas-energy-support": False,
            "measurement-source": "port-total",
            "meas-voltage-request": False,
            "meas-current-request": True,
            "meas-power-request": False,
            "meas-energy-request": True,
            "meas-voltage-valid": True,
            "meas-current-valid": True,
            "meas-power-valid": False,
            "meas-energy-valid": False,
            "meas-voltage-uncertainty": 100,
            "meas-current-uncertainty": 200,
            "meas-power-uncertainty": 300,
            "meas-energy-uncertainty": 400,
            "voltage-measurement": 53000,
            "current-measurement": 4000,
            "power-measurement": 2120,
            "energy-measurement": 70000,
            "pse-power-price-index": 65535,
        },
    ),
    (
        "0012bb 01 8003 09",
        "LLDP-MED Capabilities",
        {
            "capabilities": ["capabilities", "network-policy", "reserved-15"],
            "device-class": "reserved-9",
        },
    ),
    (
        "0012bb 02 09 63e96e",
        "LLDP-MED Network Policy",
        {
            "application-type": "reserved-9",
            "unknown": False,
            "tagged": True,
            "vlan-id": 500,
            "priority": 5,
            "dscp": 46,
            "reserved-bits": "00200000",
        },
    ),
    (
        "0012bb 03 01 68 61b69d735c04671de6174000757801",
        "LLDP-MED Location Identification",
        {
            "location-format": "coordinate",
            "latitude-resolution": 26,
            "latitude": 48.85666999220848,
            "longitude-resolution": 23,
            "longitude": 2.2013999819755554,
            "altitude-type": "meters",
            "altitude-resolution": 29,
            "altitude": 117.46875,
            "version": 0,
            "datum": "wgs84",
        },
    ),
    (
        "0012bb 03 02 0a 02 5553 00 02656e 2a 01 ff",
        "LLDP-MED Location Identification",
        {
            "location-format": "civic",
            "what": "client",
            "country-code": "US",
            "civic-address": [
                {"ca-type": 0, "name": "language", "value": "en"},
                {"ca-type": 42, "name": "reserved-42", "value": "\\xff"},
            ],
        },
    ),
    ("0012bb 03 03 393131", "LLDP-MED Location Identification", {"location-format": "ecs-elin", "elin": "911"}),
    ("0012bb 03 04 ab", "LLDP-MED Location Identification", {"location-format": "reserved-4", "data": "ab"}),
    (
        "0012bb 04 52 0032",
        "LLDP-MED Extended Power-via-MDI",
        {"power-type": "pd", "power-source": "pse", "power-priority": "high", "power-value": 50},
    ),
    (
        "0012bb 04 2f 0032",
        "LLDP-MED Extended Power-via-MDI",
        {"power-type": "pse", "power-source": "backup", "power-priority": "reserved-15", "power-value": 50},
    ),
    ("0012bb 09 51454d55", "LLDP-MED Manufacturer Name", {"mfg-name": "QEMU"}),
    (
        "001b21 01 020a 00000000000200000002 041c 00008000194b00000000000000642064406460648064a064c064f000"
        "0605 0000800008 0a05 0000800008 0c05 0000e00000 0801 ff",
        "Intel DCBX CIN 1.0",
        {
            "version": "cin",
            "sub-tlvs": [
                {"name": "control", "oper-version": 0, "max-version": 0, "seq-no": 2, "ack-no": 2},
                {
                    "name": "priority-groups",
                    "oper-version": 0,
                    "max-version": 0,
                    "enable": True,
                    "willing": False,
                    "error": False,
                    "sub-type": 0,
                    "bandwidth": [25, 75, 0, 0, 0, 0, 0, 0],
                    "priorities": [
                        *({"group": group, "strict": "none", "percent": 100} for group in range(7)),
                        {"group": 7, "strict": "link", "percent": 0},
                    ],
                },
                {
                    "name": "pfc",
                    "oper-version": 0,
                    "max-version": 0,
                    "enable": True,
                    "willing": False,
                    "error": False,
                    "sub-type": 0,
                    "priorities": [3],
                },
                {
                    "name": "application",
                    "oper-version": 0,
                    "max-version": 0,
                    "enable": True,
                    "willing": False,
                    "error": False,
                    "sub-type": 0,
                    "priorities": [3],
                },
                {
                    "name": "logical-link",
                    "oper-version": 0,
                    "max-version": 0,
                    "enable": True,
                    "willing": True,
                    "error": True,
                    "sub-type": 0,
                    "up": False,
                },
                {"name": "bcn", "value": "ff"},
            ],
        },
    ),
    (
        "001b21 02 020a 00000000000200000001 0411 000180400000111f194b00000000000008 0606 000080000808"
        "0810 0000a0008906001b21180cbc021b211c 1202 0102",
        "Intel DCBX CEE 1.01",
        {
            "version": "cee",
            "sub-tlvs": [
                {"name": "control", "oper-version": 0, "max-version": 0, "seq-no": 2, "ack-no": 1},
                {
                    "name": "priority-groups",
                    "oper-version": 0,
                    "max-version": 1,
                    "enable": True,
                    "willing": False,
                    "error": False,
                    "sub-type": 64,
                    "priority-group-ids": [0, 0, 0, 0, 1, 1, 1, 15],
                    "bandwidth": [25, 75, 0, 0, 0, 0, 0, 0],
                    "traffic-classes": 8,
                },
                {
                    "name": "pfc",
                    "oper-version": 0,
                    "max-version": 0,
                    "enable": True,
                    "willing": False,
                    "error": False,
                    "sub-type": 0,
                    "priorities": [3],
                    "traffic-classes": 8,
                },
                {
                    "name": "application",
                    "oper-version": 0,
                    "max-version": 0,
                    "enable": True,
                    "willing": False,
                    "error": True,
                    "sub-type": 0,
                    "applications": [
                        {"protocol": 0x8906, "selector": "ethertype", "oui": "001b21", "priorities": [3, 4]},
                        {"protocol": 3260, "selector": "reserved-2", "oui": "001b21", "priorities": [2, 3, 4]},
                    ],
                },
                {"name": "reserved-9", "value": "0102"},
            ],
        },
    ),
    (
        "001b3f 00 40074007 0cdf 0002 0f",
        "HP 802.1Qbg Draft EVB",
        {
            "supported-forwarding-modes": ["reflective-relay"],
            "supported-capabilities": ["vdp", "ecp", "rte"],
            "configured-forwarding-modes": ["reflective-relay"],
            "configured-capabilities": ["vdp", "ecp", "rte"],
            "supported-vsis": 3295,
            "configured-vsis": 2,
            "ecp-ack-timer-exponent": 15,
        },
    ),
    (
        "000142 01 0d",
        "Cisco Four-Wire Power Via MDI",
        {
            "four-wire-poe-supported": True,
            "spare-pair-detection-required": False,
            "pd-requests-spare-pair": True,
            "pse-spare-pair-on": True,
        },
    ),
    ("000142 d3 0fa0", "Cisco ACI Infra VLAN", {"infra-vlan": 4000}),
    (
        "000142 cf 01 0a000001" + b"01234567-89ab-cdef-0123-456789abcdef".hex(),
        "Cisco ACI Appliance Vector",
        {"appliances": [{"id": 1, "address": "10.0.0.1", "uuid": "01234567-89ab-cdef-0123-456789abcdef"}]},
    ),
    ("00400d 03 c0000201c0000202", "Avaya Call Server", {"call-server": ["192.0.2.1", "192.0.2.2"]}),
    ("00400d 07 02", "Avaya 802.1Q Framing", {"framing": 2}),
    (
        "00040d 0b" + "5a" * 32 + "3a00fa00 02000000000a20000000",
        "Avaya Fabric Attach Element",
        {
            "hmac-sha-digest": "5a" * 32,
            "element-type": "virtual-switch",
            "state": 32,
            "management-vlan": 250,
            "system-id": "02000000000a20000000",
        },
    ),
    (
        "00040d 0c" + "5a" * 32 + "10640186a0 2065 00000a",
        "Avaya Fabric Attach Assignment",
        {
            "hmac-sha-digest": "5a" * 32,
            "assignments": [
                {"status": 1, "vlan-id": 100, "i-sid": 100000},
                {"status": 2, "vlan-id": 101, "i-sid": 10},
            ],
        },
    ),
    ("a42305 01 4f4e4f53", "ONOS Name", {"name": "ONOS"}),
    ("a42305 02 6f663a31", "ONOS Device", {"device": "of:1"}),
    ("a42305 04 0000018bcfe56800", "ONOS Timestamp", {"timestamp": 1700000000000}),
    ("009069 01 425030323039", "Juniper Chassis Serial Number", {"chassis-serial-number": "BP0209"}),
    ("f8b156 15 56364330303030", "Dell Service Tag", {"service-tag": "V6C0000"}),
    (
        "000ecf 02 0002 4004",
        "PROFINET Port Status",
        {
            "rt-class2-state": "up",
            "rt-class3-state": "run",
            "rt-class3-fragmentation": False,
            "rt-class3-short-preamble": False,
            "reserved-bits": "00004000",
        },
    ),
    (
        "000ecf 04 be261652e4b9c77b248fa86b5b4933ff 0001",
        "PROFINET MRP Port Status",
        {"domain-uuid": "be261652-e4b9-c77b-248f-a86b5b4933ff", "mrrt-state": "configured"},
    ),
    ("000ecf 05 0060e91ba551", "PROFINET Chassis MAC", {"address": "00:60:e9:1b:a5:51"}),
    ("000ecf 08 000700020001", "PROFINET MRP Interconnection Port Status", {"domain-id": 7, "role": 2, "position": 1}),
]


@pytest.mark.parametrize(("kind", "octets", "name", "value"), BASIC)
def test_basic(kind: int, octets: str, name: str, value: Json) -> None:
    assert describe_tlv(kind, bytes.fromhex(octets)) == (name, None, None, value, None)


@pytest.mark.parametrize(("octets", "name", "value"), ORGANIZATIONAL, ids=[row[0][:9] for row in ORGANIZATIONAL])
def test_organizational(octets: str, name: str, value: Json) -> None:
    data = bytes.fromhex(octets)
    described = describe_tlv(127, data)
    assert described == (name, data[:3].hex(), data[3], value, None)
    assert list(described.value or ()) == list(value)  # fields in this order
    assert json.loads(json.dumps(described.value)) == value


@pytest.mark.parametrize(
    ("kind", "octets", "name"),
    [
        (9, "616263", "Reserved 9"),
        (126, "", "Reserved 126"),
        (127, "334455 2c 454647", "33-44-55 subtype 44"),
        (127, "0080c2 63 616263", "IEEE 802.1 subtype 99"),
        (127, "0080c2 14 000000", "IEEE 802.1 Topology Recognition"),
        (127, "00120f 09 00", "IEEE 802.3 subtype 9"),
        (127, "0012bb 0c 00", "LLDP-MED subtype 12"),
        (127, "001b21 03 00", "Intel subtype 3"),
        (127, "001b3f 01 00", "HP 802.1Qbg Draft CDCP"),
        (127, "00000c 01 00", "Cisco subtype 1"),
        (127, "008063 01 0d", "Hirschmann GMRP"),
        (127, "883a30 02 0001", "Aruba subtype 2"),
        (127, "00e02b 01 00", "Extreme subtype 1"),
        (127, "009069 02 00", "Juniper subtype 2"),
    ],
)
def test_what_is_not_known(kind: int, octets: str, name: str) -> None:
    data = bytes.fromhex(octets)
    oui, subtype = (data[:3].hex(), data[3]) if kind == 127 else (None, None)
    assert describe_tlv(kind, data) == (name, oui, subtype, None, None)


@pytest.mark.parametrize(
    ("kind", "octets", "name", "oui", "subtype", "error"),
    [
        (1, "04", "Chassis ID", None, None, "chassis ID TLV of 1 octets"),
        (2, "0061", "Port ID", None, None, "port ID subtype 0 is reserved"),
        (3, "78", "Time To Live", None, None, "time to live TLV of 1 octets"),
        (5, 256 * "61", "System Name", None, None, "text of 256 octets in a TLV of type 5"),
        (7, "00800081", "System Capabilities", None, None, "capabilities are enabled that are not supported"),
        (8, "", "Management Address", None, None, "management address string length is not 2 to 32"),
        (127, "", "Organizationally Specific", None, None, "0 octets are too few for OUI and subtype"),
        (127, "0080", "Organizationally Specific", None, None, "2 octets are too few for OUI and subtype"),
        (127, "0080c2", "Organizationally Specific", "0080c2", None, "3 octets are too few for OUI and subtype"),
        (
            127,
            "0080c20100",
            "IEEE 802.1 Port VLAN ID",
            "0080c2",
            1,
            "1 octets are left, 2 are needed (octet 4 of its value)",
        ),
        (
            127,
            "0080c20e880000a700100100",
            "IEEE 802.1 CDCP",
            "0080c2",
            14,
            "1 octets are left, 3 are needed (octet 11 of its value)",
        ),
        (
            127,
            "0080c20d00",
            "IEEE 802.1 EVB",
            "0080c2",
            13,
            "EVB TLV has 1 octets after its subtype, needs 5 (octet 4 of its value)",
        ),
        (
            127,
            "001b2102 02ff",
            "Intel DCBX CEE 1.01",
            "001b21",
            2,
            "TLV type 1 claims 255 octets of 0 left (octet 4 of its value)",
        ),
        (
            127,
            "001b2102 0400",
            "Intel DCBX CEE 1.01",
            "001b21",
            2,
            "DCBX sub-TLV 2: 0 octets are left, 4 are needed (octet 6 of its value)",
        ),
    ],
)
def test_errors(kind: int, octets: str, name: str, oui: str | None, subtype: int | None, error: str) -> None:
    assert describe_tlv(kind, bytes.fromhex(octets)) == (name, oui, subtype, None, error)


def test_a_draft_tlv_without_a_forwarding_mode_is_shown() -> None:
    """The machines refuse it; a reader of captures wants to see what was sent."""
    described = describe_tlv(127, bytes.fromhex("001b3f00 000700000000000000"))
    assert described.error is None
    assert described.value is not None and described.value["supported-forwarding-modes"] == []


OUIS = ["0080c2", "00120f", "0012bb", "001b21", "001b3f", "000ecf", "000142", "00040d", "00400d", "f8b156"]


@given(st.integers(0, 127), st.binary(max_size=60))
def test_anything(kind: int, value: bytes) -> None:
    json.dumps(describe_tlv(kind, value))


@given(st.sampled_from(OUIS), st.integers(0, 24), st.binary(max_size=60))
def test_anything_of_a_known_organization(oui: str, subtype: int, body: bytes) -> None:
    described = describe_tlv(127, bytes.fromhex(oui) + bytes([subtype]) + body)
    assert described.value is None or described.error is None
    json.dumps(described)
