"""The documents of all TLVs in captures beside the repository: as tshark and tcpdump read them, both ways, and broken.

Where tshark is wrong, the exception says why.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evbagent.tlvview import describe_tlv
from protocols.frame import ETHERTYPE_LLDP, decode_frame
from protocols.tlv import END, walk
from tests.support.lldpdus import read_pcap, tlv

SHARED = Path(__file__).parents[3] / "shared"
Fields = Mapping[str, list[tuple[str, str]]]
Json = dict[str, Any]


@cache
def lldpdus() -> tuple[bytes, ...]:
    """The LLDPDUs of all captures, each once."""
    files = [file for folder in ("captures", "pcaps") for file in sorted((SHARED / folder).glob("*.pcap"))]
    if not files:
        pytest.skip("no captures beside the repository: ../shared/captures and ../shared/pcaps are looked for")
    found = (decode_frame(frame.data) for file in files for frame in read_pcap(file))
    return tuple(dict.fromkeys(frame.payload for frame in found if frame.ethertype == ETHERTYPE_LLDP))


@cache
def tlvs() -> tuple[tuple[int, bytes], ...]:
    return tuple(dict.fromkeys((item.type, item.value) for payload in lldpdus() for item in walk(payload).tlvs))


# Both ways, and broken.

# Reserved bits and trailing octets that really occur.
BEYOND = {
    "0080c20e8100000a001001002002": {"reserved-bits": "01000000000000000000"},  # CDCP of a test's invention
    "0080c202030001": {"reserved-bits": "010000"},  # PPVID of a Hirschmann MAR: bit 0 is reserved
}


def test_every_octet_is_accounted_for() -> None:
    """What is not in a document's fields is said to be beyond them: `describe_tlv` writes every value again."""
    found = {}
    for kind, value in tlvs():
        described = describe_tlv(kind, value)
        json.dumps(described.value)
        beyond = {key: (described.value or {}).get(key) for key in ("reserved-bits", "trailing-octets")}
        if any(beyond.values()):
            found[value.hex()] = {key: octets for key, octets in beyond.items() if octets}
    assert found == BEYOND


def test_errors_and_what_is_not_known() -> None:
    """By name, so that a change of mind is looked at."""
    described = [describe_tlv(kind, value) for kind, value in tlvs()]
    errors = {(item.name, item.error) for item in described if item.error}
    assert errors == {
        ("Chassis ID", "chassis ID TLV of 1 octets"),
        ("IEEE 802.3 Maximum Frame Size", "0 octets are left, 2 are needed (octet 4 of its value)"),
        ("System Capabilities", "capabilities are enabled that are not supported"),
    }
    assert {item.name for item in described if item.value is None and not item.error} == {
        "33-44-55 subtype 44",
        "Aruba subtype 2",
        "Hirschmann GMRP",
        "Hirschmann IGMP Snooping",
        "Hirschmann PTP",
        "Hirschmann Port Security",
        "Reserved 20",
    }
    assert all(item.value is None for item in described if item.error)


def test_as_many_kinds_as_ever() -> None:
    kinds = Counter((kind, value[:4].hex() if kind == 127 else "") for kind, value in tlvs())
    assert len(kinds) >= 47
    assert sum(kinds.values()) >= 560


def test_every_truncation_of_every_lldpdu() -> None:
    """A document or an error for whatever is left of the last TLV, and nothing else."""
    seen = set(tlvs())
    for payload in lldpdus():
        for length in range(len(payload)):
            check_new(seen, payload[:length])
    assert len(seen) > len(tlvs())


def test_every_changed_octet_of_every_lldpdu() -> None:
    """A changed header has all that follows read as something else; a changed value is the same in every LLDPDU."""
    seen = set(tlvs())
    for payload in lldpdus():
        for item in walk(payload).tlvs:
            for place in (item.offset, item.offset + 1):
                for other in (payload[place] ^ 1, payload[place] ^ 4, payload[place] ^ 0x80, 255):
                    check_new(seen, payload[:place] + bytes([other]) + payload[place + 1 :])
    assert len(seen) > 4000


@pytest.mark.parametrize("bits", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_changed_octet_of_every_tlv(bits: int) -> None:
    seen = set(tlvs())
    for kind, value in tlvs():
        check_one(seen, kind, value + b"\xff")
        for place, octet in enumerate(value):
            for bit in range(bits):
                check_one(seen, kind, value[:place] + bytes([octet ^ 1 << (place + bit) % 8]) + value[place + 1 :])


def check_new(seen: set[tuple[int, bytes]], payload: bytes) -> None:
    walked = walk(payload)
    for item in walked.tlvs:
        check_one(seen, item.type, item.value)
    if walked.error and walked.error.offset + 2 <= len(payload):
        check_one(seen, payload[walked.error.offset] >> 1, payload[walked.error.offset + 2 :])


def check_one(seen: set[tuple[int, bytes]], kind: int, value: bytes) -> None:
    if (kind, value) not in seen:
        seen.add((kind, value))
        described = describe_tlv(kind, value)
        assert described.value is None or described.error is None


# As tshark reads them.


def truths() -> Iterator[tuple[str, Json, bytes]]:
    """File, what tshark says of a frame, and its LLDPDU."""
    files = sorted((SHARED / "pcaps").glob("*.json"))
    if not files:
        pytest.skip("no captures read by tshark beside the repository: ../shared/pcaps is looked for")
    for file in files:
        frames = read_pcap(file.with_suffix(".pcap"))
        for truth in json.loads(file.read_text())["frames"]:
            yield file.stem, truth, decode_frame(frames[truth["number"] - 1].data).payload


def test_types_lengths_ouis_and_subtypes() -> None:
    """Of all TLVs that tshark got to: at a fault it stops, and so does our walk, no earlier."""
    count = 0
    for file, truth, payload in truths():
        walked = walk(payload)
        ours = [(item.type, len(item.value), item.value.hex()) for item in walked.tlvs]
        if walked.end is not None:
            length = int.from_bytes(payload[walked.end : walked.end + 2], "big")
            ours.append((END, length, payload[walked.end + 2 : walked.end + 2 + length].hex()))
        theirs = [(item["type"], item["length"], item["value"]) for item in truth["tlvs"]]
        assert ours[: len(theirs)] == theirs, (file, truth["number"])
        assert not truth["complete"] or len(ours) == len(theirs)
        for item in truth["tlvs"]:
            described = describe_tlv(item["type"], bytes.fromhex(item["value"]))
            assert (described.oui, described.subtype) == (item.get("oui"), item.get("subtype"))
            count += 1
    assert count >= 1150


# What tshark marks as an error, and is none by the sheet, or the other way round: file, type and subtype.
NO_ERRORS = {
    # "TLV has been deprecated" (802.3 link aggregation): still sent by lldpd and lldpad, sheet lldp.md 6
    (None, 127, 3),
    # "Trailing stray characters": a text with a NUL before it is a text, sheet 1.2
    ("ladvd-a7-fuzzer-end-trail", 4, None),
    ("ladvd-a8-fuzzer-cap-conflict", 4, None),
    # a chassis ID that claims IPv6 and has four octets is kept: only its length and subtype are judged, sheet 1.4
    ("ladvd-aa-fuzzer-addr-invalid", 1, None),
}
ERRORS_UNSEEN = {
    # capabilities enabled that are not supported: the TLV is in error, sheet 1.2
    ("ladvd-a8-fuzzer-cap-conflict", 7),
}


def test_errors_are_those_that_tshark_sees() -> None:
    for file, truth, _ in truths():
        for item in truth["tlvs"]:
            error = describe_tlv(item["type"], bytes.fromhex(item["value"])).error
            excused = {(name, item["type"], item.get("subtype")) for name in (None, file)} & NO_ERRORS
            if item.get("error") and not excused:
                assert error, (file, item)
            elif (file, item["type"]) not in ERRORS_UNSEEN:
                assert error is None, (file, item)


def test_fields_as_tshark_reads_them() -> None:
    """The main fields of every kind of TLV that tshark decodes."""
    compared: Counter[tuple[int, str | None, int | None]] = Counter()
    for file, truth, _ in truths():
        for item in truth["tlvs"]:
            kind = item["type"], item.get("oui"), item.get("subtype")
            value = describe_tlv(item["type"], bytes.fromhex(item["value"])).value
            if kind not in EXPECTED or value is None:
                assert kind in NOT_COMPARED or value is None, (file, item)
                continue
            expected = EXPECTED[kind](by_name(item["fields"]))
            for key, wanted in expected.items():
                if (file, key) not in WRONG:
                    assert value[key] == wanted, (file, truth["number"], item["name"], key)
            compared[kind] += 1
    assert set(compared) == set(EXPECTED)
    assert sum(compared.values()) >= 1020


# Where tshark's value is not ours: file and key.
WRONG = {
    # tag and length before the object identifier become arcs, 0.6.15; it has neither (sheet 1.2)
    ("huawei-s5700-s3700-med", "object-identifier"),
    # the last octet says that another follows; tshark leaves out the arc that it begins
    ("ladvd-a7-fuzzer-end-trail", "object-identifier"),
    ("ladvd-a8-fuzzer-cap-conflict", "object-identifier"),
}
NOT_COMPARED = {
    (0, None, None),
    # tshark does not decode them; tcpdump does, see below
    (127, "0080c2", 13),
    (127, "0080c2", 14),
    # tshark shows octets only
    (127, "f8b156", 21),
    (127, "f8b156", 22),
    (127, "f8b156", 23),
    (127, "f8b156", 24),
}

CAPABILITIES = {
    "other": "other",
    "repeater": "repeater",
    "bridge": "mac-bridge",
    "wlan_access_pt": "wlan-access-point",
    "router": "router",
    "telephone": "telephone",
    "docsis_cable_device": "docsis-cable-device",
    "station_only": "station-only",
}
PMD = {
    "other": "other",
    "10base_t": "10BASE-T half duplex",
    "10base_tfd": "10BASE-T full duplex",
    "100base_t4": "100BASE-T4",
    "100base_tx": "100BASE-TX half duplex",
    "100base_txfd": "100BASE-TX full duplex",
    "100base_t2": "100BASE-T2 half duplex",
    "100base_t2fd": "100BASE-T2 full duplex",
    "fdx_pause": "PAUSE",
    "fdx_apause": "asymmetric PAUSE",
    "fdx_spause": "symmetric PAUSE",
    "fdx_bpause": "asymmetric and symmetric PAUSE",
    "1000base_x": "1000BASE-X half duplex",
    "1000base_xfd": "1000BASE-X full duplex",
    "1000base_t": "1000BASE-T half duplex",
    "1000base_tfd": "1000BASE-T full duplex",
}
MED_CAPABILITIES = {
    "llpd": "capabilities",
    "network_policy": "network-policy",
    "location_id": "location",
    "mdi_pse": "extended-power-pse",
    "mid_pd": "extended-power-pd",
    "inventory": "inventory",
}
SELECTION = {"0": "strict-priority", "1": "credit-based-shaper", "2": "enhanced-transmission-selection"}
SELECTORS = {"1": "ethertype", "2": "tcp-sctp", "3": "udp-dccp", "4": "tcp-sctp-udp-dccp", "5": "dscp"}


def by_name(fields: list[list[str]]) -> Fields:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value, octets in fields:
        found.setdefault(name.removeprefix("lldp."), []).append((value, octets))
    return found


def one(fields: Fields, name: str) -> str:
    return fields[name][0][0]


def number(fields: Fields, name: str) -> int:
    return int(one(fields, name), 0)


def flag(fields: Fields, name: str) -> bool:
    return one(fields, name) == "1"


def text(fields: Fields, name: str) -> str:
    """tshark cuts a string at a NUL; its octets are whole."""
    return bytes.fromhex(fields[name][0][1]).decode("utf-8", "backslashreplace")


def flags(fields: Fields, prefix: str, names: Mapping[str, str]) -> list[str]:
    return [word for name, word in names.items() if flag(fields, f"{prefix}.{name}")]


def eight(fields: Fields, prefix: str) -> list[str]:
    return [one(fields, f"{prefix}{place}") for place in range(8)]


def priorities(fields: Fields, prefix: str) -> list[int]:
    return [place for place, bit in enumerate(eight(fields, prefix)) if bit == "1"]


def chassis_id(fields: Fields) -> Json:
    subtypes = {1: "chassis-component", 4: "mac-address", 5: "network-address", 7: "local"}
    found: Json = {"chassis-id-subtype": subtypes[number(fields, "chassis.subtype")]}
    for name in ("chassis.id.mac", "chassis.id.ip4"):
        if name in fields:
            found["chassis-id"] = one(fields, name)
    if "chassis.id" in fields and number(fields, "chassis.subtype") != 5:
        found["chassis-id"] = text(fields, "chassis.id")
    return found


def port_id(fields: Fields) -> Json:
    subtypes = {1: "interface-alias", 3: "mac-address", 5: "interface-name", 7: "local"}
    identifier = one(fields, "port.id.mac") if "port.id.mac" in fields else text(fields, "port.id")
    return {"port-id-subtype": subtypes[number(fields, "port.subtype")], "port-id": identifier}


def capabilities(fields: Fields) -> Json:
    """tshark knows eight of the bits."""
    found = {
        "system-capabilities-supported": flags(fields, "tlv.system_cap", CAPABILITIES),
        "system-capabilities-enabled": flags(fields, "tlv.enable_system_cap", CAPABILITIES),
    }
    later = {0x100: "c-vlan-component", 0x200: "s-vlan-component", 0x400: "two-port-mac-relay"}
    for key, name in zip(found, ("tlv.system_cap", "tlv.enable_system_cap"), strict=True):
        found[key] += [word for bit, word in later.items() if number(fields, name) & bit]
    return found


def management_address(fields: Fields) -> Json:
    addresses = {"mgn.addr.ip4": "ipv4", "mgn.addr.ip6": "ipv6", "mgn.addr.hex": "all-802"}
    name = next(name for name in addresses if name in fields)
    numberings = {"1": "unknown", "2": "if-index", "3": "system-port-number"}
    found: Json = {
        "if-subtype": numberings[one(fields, "mgn.interface.subtype")],
        "if-id": number(fields, "mgn.interface.number"),
        "object-identifier": one(fields, "mgn.obj.id") if "mgn.obj.id" in fields else None,
    }
    if number(fields, "mgn.address.subtype") in (1, 2, 6):
        found |= {"address-subtype": addresses[name], "address": one(fields, name)}
    return found


def mac_phy(fields: Fields) -> Json:
    prefix = "ieee.802_3."
    return {
        "auto-negotiation-supported": flag(fields, f"{prefix}mac_phy_auto_neg_status.supported"),
        "auto-negotiation-enabled": flag(fields, f"{prefix}mac_phy_auto_neg_status.enabled"),
        "auto-negotiation-cap": flags(fields, f"{prefix}pmd_auto_neg_advertised_caps", PMD),
        "operational-mau-type": number(fields, f"{prefix}pmd_mau_type"),
    }


def power(fields: Fields) -> Json:
    prefix = "ieee.802_3.mdi_"
    power_class = number(fields, f"{prefix}power_class")
    found: Json = {
        "power-port-class": "pse" if flag(fields, f"{prefix}power_support.port_class") else "pd",
        "mdi-power-supported": flag(fields, f"{prefix}power_support.supported"),
        "mdi-power-enabled": flag(fields, f"{prefix}power_support.enabled"),
        "power-pair-controlable": flag(fields, f"{prefix}power_support.pse_pairs"),
        "power-pairs": {"0": "reserved-0", "1": "signal", "2": "spare"}[one(fields, f"{prefix}pse_pair")],
        "power-class": f"class{power_class - 1}" if power_class else "reserved-0",  # H3C sends 0
    }
    if f"{prefix}power_type" in fields:
        types = ("type-2-pse", "type-2-pd", "type-1-pse", "type-1-pd")
        found |= {
            "power-type": types[number(fields, f"{prefix}power_type")],
            "power-priority": ("unknown", "critical", "high", "low")[number(fields, f"{prefix}power_priority")],
            "pd-requested-power-value": number(fields, f"{prefix}pde_requested"),
            "pse-allocated-power-value": number(fields, f"{prefix}pse_allocated"),
        }
        sources = ("unknown", "primary", "backup")  # all of these are PSEs
        found["power-source"] = sources[number(fields, f"{prefix}power_source")]
    return found


def dot1_aggregation(fields: Fields) -> Json:
    prefix = "ieee.802_1.aggregat"
    return {
        "aggregation-capability": flag(fields, f"{prefix}ion_status.cap"),
        "aggregation-status": flag(fields, f"{prefix}ion_status.enabled"),
        "port-type": ("unspecified", "aggregation-port", "aggregator")[number(fields, f"{prefix}ion_status.porttype")],
        "aggregated-port-id": number(fields, f"{prefix}ed_port_id"),
    }


def ets(fields: Fields) -> Json:
    found: Json = {
        "priority-assignment-table": [int(number) for number in eight(fields, "dcbx.feature.pg.pgid_prio")],
        "tc-bandwidth-table": [int(number) for number in eight(fields, "dcbx.feature.pg.per")],
        "tsa-assignment-table": [SELECTION[number] for number in eight(fields, "dcbx.ieee.ets.tsa")],
    }
    if "dcbx.ieee.ets.cbs" in fields:  # in the configuration
        found |= {
            "willing": flag(fields, "dcbx.ieee.willing"),
            "credit-based-shaper": flag(fields, "dcbx.ieee.ets.cbs"),
            "traffic-classes-supported": number(fields, "dcbx.ieee.ets.maxtcs") or 8,  # 8 is coded 0, sheet dcbx.md 1.1
        }
    return found


def applications(fields: Fields) -> Json:
    names = ("dcbx.ieee.app.prio", "dcbx.iee.app.sf", "dcbx.feature.app.proto")
    entries = zip(*([value for value, _ in fields.get(name, [])] for name in names), strict=True)
    return {
        "application-priority-table": [
            {
                "application-priority": int(priority),
                "application-priority-selector": SELECTORS[selector],
                "application-priority-protocol": int(protocol, 16),
            }
            for priority, selector, protocol in entries
        ]
    }


def location(fields: Fields) -> Json:
    """The only one in these captures is civic."""
    types, values = ([value for value, _ in fields[f"media.civic.{name}"]] for name in ("type", "value"))
    names = {"1": "state", "3": "city", "6": "street", "19": "house-number", "26": "unit"}
    return {
        "location-format": {"2": "civic"}[one(fields, "media.loc.data_format")],
        "what": {"2": "client"}[one(fields, "media.civic.what")],
        "country-code": one(fields, "media.civic.country"),
        "civic-address": [
            {"ca-type": int(kind), "name": names[kind], "value": value}
            for kind, value in zip(types, values, strict=True)
        ],
    }


def features(fields: Fields, count: int) -> list[Json]:
    """The headers of the features, after the control sub-TLV."""
    prefix = "dcbx.feature."
    names = ("enabled", "willing", "error")
    columns = [[value == "1" for value, _ in fields[prefix + name]] for name in names]
    kinds = [int(value, 16) for value, _ in fields[f"{prefix}subtype"]]
    versions = [[int(value, 16) for value, _ in fields[f"dcbx.{name}"][1:]] for name in ("version", "max_version")]
    return [
        {
            "oper-version": versions[0][place],
            "max-version": versions[1][place],
            "enable": columns[0][place],
            "willing": columns[1][place],
            "error": columns[2][place],
            "sub-type": kinds[place],
        }
        for place in range(count)
    ]


def control(fields: Fields) -> Json:
    return {
        "name": "control",
        "oper-version": int(fields["dcbx.version"][0][0], 16),
        "max-version": int(fields["dcbx.max_version"][0][0], 16),
        "seq-no": number(fields, "dcbx.control.seq"),
        "ack-no": number(fields, "dcbx.control.ack"),
    }


def cee(fields: Fields) -> Json:
    prefix = "dcbx.feature."
    groups, pfc, application = features(fields, 3)
    groups |= {
        "name": "priority-groups",
        "priority-group-ids": [int(number) for number in eight(fields, f"{prefix}pg.pgid_prio")],
        "bandwidth": [int(number) for number in eight(fields, f"{prefix}pg.per")],
        "traffic-classes": number(fields, f"{prefix}pg.numtcs"),
    }
    pfc |= {
        "name": "pfc",
        "priorities": priorities(fields, f"{prefix}pfc.prio"),
        "traffic-classes": number(fields, f"{prefix}pfc.numtcs"),
    }
    columns = [[value for value, _ in fields[f"{prefix}app.{name}"]] for name in ("proto", "sf", "oui", "prio")]
    application |= {
        "name": "application",
        "applications": [
            {
                "protocol": int(protocol, 16),
                "selector": {"0": "ethertype", "1": "tcp-udp"}[selector],
                "oui": oui.removeprefix("0x"),
                "priorities": [int(priority)],
            }
            for protocol, selector, oui, priority in zip(*columns, strict=True)
        ],
    }
    return {"version": "cee", "sub-tlvs": [control(fields), groups, pfc, application]}


def cin(fields: Fields) -> Json:
    """Of a Nexus: control and logical link only, so that tshark's CEE layout of CIN's groups does not matter."""
    (link,) = features(fields, 1)
    up = number(fields, "dcbx.feature.llink.type") == 1
    return {"version": "cin", "sub-tlvs": [control(fields), {"name": "logical-link", **link, "up": up}]}


def profinet_status(fields: Fields) -> Json:
    prefix = "profinet.rtc3_port_status"
    return {
        "rt-class2-state": ("off", "sync-data-loaded", "up")[number(fields, "profinet.rtc2_port_status")],
        "rt-class3-state": {0: "off", 2: "up", 3: "down", 4: "run"}[number(fields, prefix)],
        "rt-class3-fragmentation": number(fields, f"{prefix}.fragmentation") == 1,
        "rt-class3-short-preamble": number(fields, f"{prefix}.preambleLength") == 1,
    }


def ptcp(fields: Fields) -> Json:
    found: Json = {"master-source-address": one(fields, "profinet.master_source_address")}
    for key in ("subdomain-uuid", "ir-data-uuid"):
        found[key] = one(fields, f"profinet.{key.replace('-', '_')}")
    found["length-of-period"] = number(fields, "profinet.length_of_period_length")
    found["length-of-period-valid"] = flag(fields, "profinet.length_of_period_valid")
    for color in ("red", "orange", "green"):
        found[f"{color}-period-begin"] = number(fields, f"profinet.{color}_period_begin_offset")
        found[f"{color}-period-begin-valid"] = flag(fields, f"profinet.{color}_period_begin_valid")
    return found


def inventory(key: str, name: str) -> Callable[[Fields], Json]:
    return lambda fields: {key: text(fields, f"media.{name}")}


EXPECTED: Mapping[tuple[int, str | None, int | None], Callable[[Fields], Json]] = {
    (1, None, None): chassis_id,
    (2, None, None): port_id,
    (3, None, None): lambda fields: {"time-to-live": number(fields, "time_to_live")},
    (4, None, None): lambda fields: {"port-desc": text(fields, "port.desc")},
    (5, None, None): lambda fields: {"system-name": text(fields, "tlv.system.name")},
    (6, None, None): lambda fields: {"system-description": text(fields, "tlv.system.desc")},
    (7, None, None): capabilities,
    (8, None, None): management_address,
    (127, "0080c2", 1): lambda fields: {"port-vlan-id": number(fields, "ieee.802_1.port_vlan.id")},
    (127, "0080c2", 2): lambda fields: {
        "port-vlan-id": number(fields, "ieee.802_1.port_proto_vlan.id"),
        "port-and-protocol-vlan-supported": flag(fields, "ieee.802_1.port_and_vlan_id_flag.supported"),
        "port-and-protocol-vlan-enabled": flag(fields, "ieee.802_1.port_and_vlan_id_flag.enabled"),
    },
    (127, "0080c2", 3): lambda fields: {
        "vlan-id": number(fields, "ieee.802_1.vlan.id"),
        "port-vlan-name": text(fields, "ieee.802_1.vlan.name"),
    },
    (127, "0080c2", 4): lambda fields: {"protocol-identity": one(fields, "ieee.802_1.proto.id").replace(":", "")},
    (127, "0080c2", 7): dot1_aggregation,
    (127, "0080c2", 8): lambda fields: {
        "per-priority-xmit-cnpv-capable": priorities(fields, "ieee.802_1qau.cnpv.prio"),
        "per-priority-xmit-ready": priorities(fields, "ieee.802_1qau.ready.prio"),
    },
    (127, "0080c2", 9): ets,
    (127, "0080c2", 10): ets,
    (127, "0080c2", 11): lambda fields: {
        "willing": flag(fields, "dcbx.ieee.willing"),
        "macsec-bypass-capable": flag(fields, "dcbx.ieee.pfc.mbc"),
        "number-tc-capable": number(fields, "dcbx.ieee.pfc.numtcs"),
        "enable": priorities(fields, "dcbx.feature.pfc.prio"),
    },
    (127, "0080c2", 12): applications,
    (127, "00120f", 1): mac_phy,
    (127, "00120f", 2): power,
    (127, "00120f", 3): lambda fields: {
        "aggregation-capability": flag(fields, "ieee.802_3.aggregation_status.cap"),
        "aggregation-status": flag(fields, "ieee.802_3.aggregation_status.enabled"),
        "aggregation-port-id": number(fields, "ieee.802_3.aggregated_port_id"),
    },
    (127, "00120f", 4): lambda fields: {"max-frame-size": number(fields, "ieee.802_3.max_frame_size")},
    (127, "0012bb", 1): lambda fields: {
        "capabilities": flags(fields, "media.subtype.caps", MED_CAPABILITIES),
        "device-class": (
            "not-defined",
            "endpoint-class-i",
            "endpoint-class-ii",
            "endpoint-class-iii",
            "network-connectivity",
        )[number(fields, "media.subtype.class")],
    },
    (127, "0012bb", 2): lambda fields: {
        "application-type": {"1": "voice"}[one(fields, "media.app_type")],
        "unknown": flag(fields, "media.policy_flag"),
        "tagged": flag(fields, "media.tag_flag"),
        "vlan-id": number(fields, "media.vlan_id"),
        "priority": number(fields, "media.l2_prio"),
        "dscp": number(fields, "media.dscp"),
    },
    (127, "0012bb", 3): location,
    (127, "0012bb", 4): lambda fields: {
        "power-type": ("pse", "pd", "reserved-2", "reserved-3")[number(fields, "media.power.type")],
        "power-source": {"0": "unknown", "1": "primary", "2": "backup"}[one(fields, "media.power.source")],
        "power-priority": ("unknown", "critical", "high", "low")[number(fields, "media.power.prio")],
        "power-value": number(fields, "media.power.value"),
    },
    (127, "0012bb", 5): inventory("hardware-rev", "hardware"),
    (127, "0012bb", 6): inventory("firmware-rev", "firmware"),
    (127, "0012bb", 7): inventory("software-rev", "software"),
    (127, "0012bb", 8): inventory("serial-num", "sn"),
    (127, "0012bb", 9): inventory("mfg-name", "manufacturer"),
    (127, "0012bb", 10): inventory("model-name", "model"),
    (127, "0012bb", 11): inventory("asset-id", "asset"),
    (127, "001b21", 1): cin,
    (127, "001b21", 2): cee,
    (127, "00005e", 1): lambda fields: {"mud-url": one(fields, "iana.mudurl")},
    (127, "000ecf", 1): lambda fields: {
        key: number(fields, f"profinet.{key.replace('-', '_')}")
        for key in (
            "port-rx-delay-local",
            "port-rx-delay-remote",
            "port-tx-delay-local",
            "port-tx-delay-remote",
            "cable-delay-local",
        )
    },
    (127, "000ecf", 2): profinet_status,
    (127, "000ecf", 5): lambda fields: {"address": one(fields, "profinet.cm_mac_add")},
    (127, "000ecf", 6): ptcp,
}


# As tcpdump reads them.


def test_evb_and_cdcp_as_tcpdump_reads_them() -> None:
    """R 7, RTE 20, a bridge's, RWD and RKA 31, all local; of the status bits RRCAP alone. Role 0 (B), (1, 1)."""
    read = SHARED / "pcaps" / "tcpdump-evb.tcpdump.txt"
    if not read.exists():
        pytest.skip("what tcpdump says is not beside the repository: ../shared/pcaps is looked for")
    words = " ".join(read.read_text().split())
    assert "RES: 0, BGID: 0, RRCAP: 1, RRCTR: 0" in words and "RES: 0, SGID: 0, RRREQ: 0,RRSTAT: 0" in words
    assert "R: 7, RTE: 20, EVB Mode: EVB Bridge [1]" in words and "ROL: 0, RWD: 31, RES: 0, ROL: 0, RKA: 31" in words
    assert "Role: 0, RES: 0, Scomp: 0 ChnCap: 167 SCID: 1, SVID: 1" in words
    (payload,) = (payload for file, _, payload in truths() if file == "tcpdump-evb")
    evb, cdcp = (describe_tlv(item.type, item.value).value for item in walk(payload).tlvs[-2:])
    assert evb == {
        "evb-mode": "bridge",
        "bridge-group-ids": False,
        "reflective-relay-capable": True,
        "reflective-relay-control": False,
        "station-group-ids": False,
        "reflective-relay-request": False,
        "reflective-relay-status": "false",
        "ecp-retries": 7,
        "ecp-ack-timer-exponent": 20,
        "resource-wait-delay-exponent": 31,
        "resource-wait-delay-rol": "local",
        "keep-alive-exponent": 31,
        "keep-alive-rol": "local",
    }
    assert cdcp == {
        "role": "bridge",
        "s-component": False,
        "channel-capacity": 167,
        "channels": [{"scid": 1, "svid": 1}],
    }


def test_the_walk_of_this_test_is_that_of_the_wire() -> None:
    """Headers put together by hand are those that were walked over."""
    for payload in lldpdus():
        walked = walk(payload)
        again = b"".join(tlv(item.type, item.value) for item in walked.tlvs)
        assert payload.startswith(again)
