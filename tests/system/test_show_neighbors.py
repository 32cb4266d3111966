"""`show neighbors` beside `lldpcli show neighbors` of a real lldpd that has heard the same frames."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from evbagent.show_neighbors import render_neighbors
from protocols.errors import DecodeError
from protocols.frame import ETHERTYPE_LLDP, decode_frame
from protocols.lldp.codec import decode_lldpdu
from tests.support.agent import Agent, neighbors
from tests.support.lldpdus import ETHERTYPE, NEAREST_BRIDGE, NEAREST_CUSTOMER_BRIDGE, lldpdu, read_pcap, tlv, walk
from tests.support.namespaces import PacketTap, wait_until
from tests.support.neighbors import PEER_MAC, RICH, rows_of
from tests.support.peers import Lldpad, LldpadPort, Lldpd, RatifiedEvb
from tests.support.rig import Cable

pytestmark = pytest.mark.system

SHARED = Path(__file__).parents[3] / "shared"
MARKER = bytes.fromhex("0200000000ee")

# Lines of lldpcli that are not among ours, word by word, and why.
OTHERWISE = (
    (r"Interface: .*", "it has no scopes"),
    (r"Unknown TLVs:", "we know some of them"),
    (r"TLV: OUI: .*", "looked at by itself, below"),
    (r"MAU oper type: .*", "802.3's names here, a sentence there"),
    (r"(Latitude|Longitude|Altitude): .*", "it cuts digits off, looked at below"),
    (
        r"Power Source: (Primary power source|Backup source|PSE|PSE \+ Local)",
        "it takes those of PSE and PD for another's",
    ),
    (r"(PSE|PD) powering status: .*", "it takes 802.3bt's numbers for others"),
    (r"Power pairs extra: .*", "it takes 802.3bt's numbers for others"),
    (r"(Power pairs|Class|Power Type & Source): unknown", "a reserved value, whose number we show"),
    (r"ChassisID: (unhandled|ip) .*", "subtypes and addresses that it does not read"),
    (r"(Firmware Revision|Serial Number|Model|Asset ID|PortDescr):", "a NUL, which we show"),
)
# Frames of which IEEE 802.1AB keeps something else than lldpd: the first of two equal TLVs, no contradictory one.
OTHER_VERDICTS = ("ladvd-47-cisco-nexus-cin", "ladvd-a8-fuzzer-cap-conflict")
NOT_TAKEN = ("ladvd-97-end-invalid", "ladvd-a7-fuzzer-end-trail")


def known_lldpdus() -> Iterator[tuple[str, bytes]]:
    """Ours, and those of the captures beside the repository, where there are any, each once."""
    yield "rich", RICH
    seen = set()
    for folder in ("captures", "pcaps"):
        for file in sorted((SHARED / folder).glob("*.pcap")):
            for captured in read_pcap(file):
                frame = decode_frame(captured.data)
                if frame.ethertype == ETHERTYPE_LLDP and frame.payload not in seen:
                    seen.add(frame.payload)
                    yield file.stem, frame.payload


def is_a_neighbor(payload: bytes) -> bool:
    try:
        return decode_lldpdu(payload).pdu.ttl > 0
    except DecodeError:
        return False


def test_the_same_fields_and_values_for_the_same_frames(cable: Cable, tmp_path: Path) -> None:
    """Every line of `lldpcli show neighbors details` is one of ours, but for those that are known to differ."""
    unlike: Counter[tuple[str, str]] = Counter()
    compared = 0
    with Lldpd(cable.station, tmp_path, [cable.uplink], ["-r"]) as lldpd, PacketTap(cable.bridge, cable.port) as tap:
        for number, (name, payload) in enumerate(known_lldpdus()):
            if not is_a_neighbor(payload):
                continue
            theirs = as_lldpd_shows_it(lldpd, tap, payload, number)
            if theirs is None:
                assert name in NOT_TAKEN
                continue
            rows = rows_of(payload)
            ours = lines(render_neighbors(rows, details=True))
            compared += 1
            for line in lines(theirs) - ours:
                if name not in OTHER_VERDICTS and not any(re.fullmatch(known, line) for known, _ in OTHERWISE):
                    unlike[name, line] += 1
            assert numbers(theirs) == pytest.approx(numbers(render_neighbors(rows, details=True)), abs=0.01), name
            assert in_octets(theirs) <= octets_of(rows), name
    assert not unlike
    assert compared >= 1


def as_lldpd_shows_it(lldpd: Lldpd, tap: PacketTap, payload: bytes, number: int) -> str | None:
    """What lldpcli says of this neighbor alone; None when lldpd has none. Another one shows that lldpd has read on."""
    header = NEAREST_BRIDGE + PEER_MAC + ETHERTYPE
    marker = f"marker-{number}"
    tap.send(header + payload)
    tap.send(NEAREST_BRIDGE + MARKER + ETHERTYPE + lldpdu(MARKER, tlv(5, marker.encode())))

    def shown() -> str:
        text = lldpd.cli("show", "neighbors", "details")
        return text if marker in text else ""

    blocks = wait_until(shown, f"lldpd knows {marker}").split("-" * 79)
    goodbye = b"".join(tlv(kind, value) for kind, value in list(walk(payload))[:2]) + tlv(3, b"\0\0") + b"\0\0"
    tap.send(header + goodbye)
    return next((block for block in blocks if "Interface:" in block and marker not in block), None)


def lines(text: str) -> Counter[str]:
    """Without their indentation, and with one blank between words."""
    found = Counter(" ".join(line.split()) for line in text.splitlines())
    del found[""]
    return found


def numbers(text: str) -> list[float]:
    """Of coordinates."""
    found = re.findall(r"(?:Latitude|Longitude): +([0-9.]+)|Altitude: +\w+ ([0-9.]+)", text)
    return [float(one or other) for one, other in found]


def in_octets(text: str) -> Counter[tuple[str, int, str]]:
    """The TLVs that lldpcli does not know: OUI, subtype and octets."""
    found = re.findall(r"OUI: ([0-9A-F,]+), SubType: (\d+), Len: \d+ ?([0-9A-F,]*)", text)
    return Counter((oui.replace(",", ""), int(subtype), octets.replace(",", "")) for oui, subtype, octets in found)


def octets_of(rows: list[dict[str, Any]]) -> Counter[tuple[str, int, str]]:
    found = [item for row in rows for item in row["tlvs"] if item["oui"] and item["subtype"] is not None]
    return Counter((item["oui"].upper(), item["subtype"], item["hex"][8:].upper()) for item in found)


def test_the_command_beside_lldpcli(cable: Cable, tmp_path: Path) -> None:
    """The agent and lldpd on one uplink hear the same switch; both tell of it, and the agent of its EVB TLV too."""
    agent = Agent(cable.station, tmp_path, [cable.uplink])
    lldpd = Lldpd(cable.station, tmp_path, [cable.uplink], ["-r"])
    with agent, lldpd, PacketTap(cable.bridge, cable.port) as tap:
        assert agent.evbagent("show", "neighbors").stdout == "no neighbors\n"
        for scope in (NEAREST_BRIDGE, NEAREST_CUSTOMER_BRIDGE):
            tap.send(scope + PEER_MAC + ETHERTYPE + RICH)
        wait_until(lambda: lldpd.neighbors(cable.uplink), "lldpd knows the switch")
        for scope_name in ("nearest-bridge", "nearest-customer-bridge"):
            agent.wait_for(
                cable.uplink,
                lambda uplink, name=scope_name: len(neighbors(uplink, name)) == 1,
                f"known in {scope_name}",
            )

        rows = json.loads(agent.evbagent("show", "neighbors", "-j").stdout)
        schema = json.loads(files("evbagent.schema").joinpath("neighbors-1.json").read_text())
        Draft202012Validator(schema).validate(rows)
        assert [row["scope"] for row in rows] == ["nearest-bridge", "nearest-customer-bridge"]
        assert rows[0]["tlvs"] == rows[1]["tlvs"] == rows_of(RICH)[0]["tlvs"]

        table = agent.evbagent("show", "neighbors", cable.uplink).stdout.splitlines()
        assert table[0].split()[:5] == ["INTERFACE", "SYSTEM", "CHASSIS", "PORT", "CAPABILITIES"]
        assert len(table) == 3
        assert all(line.startswith(f"{cable.uplink} ") and "host-a.example.net" in line for line in table[1:])

        details = agent.evbagent("show", "neighbors", "--details").stdout
        theirs = lines(lldpd.cli("show", "neighbors", "details").split("-" * 79)[2])
        missing = [
            line for line in theirs - lines(details) if not any(re.fullmatch(known, line) for known, _ in OTHERWISE)
        ]
        assert not missing
        assert "reflective-relay-capable: yes" in details


# All that the real ones can be made to send on a machine without VLANs, bonds and DCB (captures have those).

LLDPCLI = """
configure med location coordinate latitude 48.58667N longitude 2.2014E altitude 117.47 m datum WGS84
configure med location address country FR language fr street "rue de la Paix" city Paris
configure med location elin 9876543210
configure med policy application voice vlan 500 priority voice dscp 46
configure med policy application video-signaling unknown
configure med power pd source pse priority high value 5000
configure dot3 power pse supported enabled paircontrol powerpairs spare class class-3 type 2 source primary\
 priority high requested 10000 allocated 15000
configure inventory hardware-revision HW1
configure inventory firmware-revision FW2
configure inventory software-revision SW3
configure inventory serial-number S4
configure inventory manufacturer Acme
configure inventory model M5
configure inventory asset A6
configure lldp custom-tlv oui 33,44,55 subtype 44 oui-info 45,46,47
configure lldp custom-tlv add oui 33,44,55 subtype 254
configure system hostname sw.example
configure system description "A switch"
configure system capabilities enabled bridge,router
configure lldp portidsubtype local "slot 1" description "to host"
""".replace("\\\n", "")
OF_LLDPD: Mapping[str, Mapping[str, Any]] = {
    "Port ID": {"port-id-subtype": "local", "port-id": "slot 1"},
    "Port Description": {"port-desc": "to host"},
    "Time To Live": {"time-to-live": 120},
    "System Name": {"system-name": "sw.example"},
    "System Description": {"system-description": "A switch"},
    "System Capabilities": {"system-capabilities-enabled": ["mac-bridge", "router"]},
    "Management Address": {"address-subtype": "ipv4", "address": "192.0.2.9", "if-subtype": "if-index"},
    "IEEE 802.3 Link Aggregation": {"aggregation-capability": True, "aggregation-status": False},
    "IEEE 802.3 MAC/PHY Configuration/Status": {"auto-negotiation-supported": False, "speed": "10 Gb/s"},
    "IEEE 802.3 Power Via MDI": {
        "power-port-class": "pse",
        "mdi-power-supported": True,
        "mdi-power-enabled": True,
        "power-pair-controlable": True,
        "power-pairs": "spare",
        "power-class": "class3",
        "power-type": "type-2-pse",
        "power-source": "primary",
        "power-priority": "high",
        "pd-requested-power-value": 100,
        "pse-allocated-power-value": 150,
    },
    "LLDP-MED Capabilities": {"device-class": "network-connectivity"},
    "LLDP-MED Hardware Revision": {"hardware-rev": "HW1"},
    "LLDP-MED Firmware Revision": {"firmware-rev": "FW2"},
    "LLDP-MED Software Revision": {"software-rev": "SW3"},
    "LLDP-MED Serial Number": {"serial-num": "S4"},
    "LLDP-MED Manufacturer Name": {"mfg-name": "Acme"},
    "LLDP-MED Model Name": {"model-name": "M5"},
    "LLDP-MED Asset ID": {"asset-id": "A6"},
    "LLDP-MED Location Identification coordinate": {
        "latitude": pytest.approx(48.58667, abs=1e-5),
        "longitude": pytest.approx(2.2014, abs=1e-5),
        "altitude": pytest.approx(117.47, abs=0.01),
        "altitude-type": "meters",
        "datum": "wgs84",
    },
    "LLDP-MED Location Identification civic": {
        "country-code": "FR",
        "civic-address": [
            {"ca-type": 0, "name": "language", "value": "fr"},
            {"ca-type": 3, "name": "city", "value": "Paris"},
            {"ca-type": 6, "name": "street", "value": "rue de la Paix"},
        ],
    },
    "LLDP-MED Location Identification ecs-elin": {"elin": "9876543210"},
    "LLDP-MED Network Policy voice": {"unknown": False, "vlan-id": 500, "priority": 5, "dscp": 46},
    "LLDP-MED Network Policy video-signaling": {"unknown": True},
    "LLDP-MED Extended Power-via-MDI": {
        "power-type": "pd",
        "power-source": "pse",
        "power-priority": "high",
        "power-value": 50,
    },
}
OF_LLDPAD: Mapping[str, Mapping[str, Any]] = {
    "Port Description": {"port-desc": "Interface   2 as veth1"},
    "System Name": {"system-name": "bridge"},
    "System Capabilities": {"system-capabilities-enabled": ["station-only"]},
    "Management Address": {"address-subtype": "ipv4", "address": "192.0.2.7", "if-subtype": "if-index"},
    "LLDP-MED Capabilities": {"capabilities": ["capabilities", "inventory"], "device-class": "endpoint-class-i"},
    "IEEE 802.3 MAC/PHY Configuration/Status": {"auto-negotiation-supported": False, "operational-mau-type": 0},
    "IEEE 802.3 Link Aggregation": {"aggregation-capability": False},
    "IEEE 802.3 Maximum Frame Size": {"max-frame-size": 1518},
}


def shown(agent: Agent, scope: str) -> dict[str, dict[str, Any]]:
    """By name, and the kind of what there are several of; the document of each TLV that is known."""
    rows = json.loads(agent.evbagent("show", "neighbors", "-j").stdout)
    named = {}
    for item in (item for row in rows if row["scope"] == scope for item in row["tlvs"]):
        value = item["value"]
        if value is not None:
            kind = value.get("location-format") or value.get("application-type")
            named[f"{item['name']} {kind}" if kind else item["name"]] = value
    return named


def test_all_that_lldpd_can_be_made_to_send(cable: Cable, tmp_path: Path) -> None:
    cable.bridge.ip(f"address add 192.0.2.9/24 dev {cable.port}")
    agent = Agent(cable.station, tmp_path, [cable.uplink])
    with Lldpd(cable.bridge, tmp_path, [cable.port], ["-M", "4"]) as lldpd, agent:
        for command in LLDPCLI.strip().splitlines():
            lldpd.cli(*shlex.split(command))
        lldpd.cli("update")
        found = wait_until(lambda: settled(agent), "all of it is shown")
        for name, value in OF_LLDPD.items():
            assert found[name] | value == found[name], name
        assert found.keys() - OF_LLDPD.keys() == {"Chassis ID"}
        text = agent.evbagent("show", "neighbors", "--details").stdout
        for octets in ("SubType: 44, Len: 3 45,46,47", "SubType: 254, Len: 0"):
            assert f"TLV:          OUI: 33,44,55, {octets}" in text
        rows = json.loads(agent.evbagent("show", "statistics", cable.uplink, "-j").stdout)
        counters = next(row for row in rows if row["scope"] == "nearest-bridge")
        assert counters["rx-total-discarded-tlvs"] == counters["rx-error-frames"] == 0
        assert counters["rx-total-unrecognized-tlvs"] <= 2 * counters["rx-total-frames"], "only the custom ones"


def settled(agent: Agent) -> dict[str, dict[str, Any]] | None:
    if "slot 1" not in agent.evbagent("show", "neighbors", "-j").stdout:
        return None
    found = shown(agent, "nearest-bridge")
    return found if found.keys() >= OF_LLDPD.keys() else None


def test_all_that_lldpad_can_be_made_to_send(cable: Cable, tmp_path: Path) -> None:
    agent = Agent(cable.station, tmp_path, [cable.uplink])
    bridge = LldpadPort(
        evb=RatifiedEvb(mode="bridge", rr_capable=True), scopes=frozenset({"nb", "ncb"}), tlvs=frozenset(range(4, 9))
    )
    with Lldpad(cable.bridge, tmp_path, {cable.port: bridge}) as lldpad:
        tool = ("-T", "-i", cable.port, "-V")
        lldpad.lldptool(*tool, "mngAddr", "ipv4=192.0.2.7")
        lldpad.lldptool(*tool, "LLDP-MED", "devtype=class1")
        for name in ("medCap", "medSwRev", "macPhyCfg", "linkAgg", "MTU"):
            lldpad.lldptool(*tool, name, "enableTx=yes")
        with agent:
            agent.wait_for_relay(cable.uplink, "active")
            found = wait_until(
                lambda: known if (known := shown(agent, "nearest-bridge")).keys() >= OF_LLDPAD.keys() else None,
                "all of it is shown",
            )
            for name, value in OF_LLDPAD.items():
                assert found[name] | value == found[name], name
            rest = {"Chassis ID", "Port ID", "Time To Live", "System Description", "LLDP-MED Software Revision"}
            assert found.keys() - OF_LLDPAD.keys() == rest
            evb = shown(agent, "nearest-customer-bridge")["IEEE 802.1 EVB"]
            assert (evb["evb-mode"], evb["reflective-relay-control"]) == ("bridge", True)
