"""The captures of VSIs, ours and other people's: our codecs read every ECPDU and write it again, other programs read
the same, and the machines replay them.

Other people's captures are no part of the project: without them beside it those tests are skipped, and say so.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest

from evbagent.capture import Capture
from evbagent.cli import main
from evbagent.decode import selection
from evbagent.replay import replay_capture
from protocols.ecp.pdu import Operation
from protocols.edge import FORMS
from protocols.errors import DecodeError
from protocols.evb.status import Role
from protocols.vdp.edition import Reading
from protocols.vdp.organizational import decode as decode_organizational
from protocols.vdp.vsi import VsiTlv
from tests.replay.player import CAPTURES, MANIFEST, ROOT
from tests.replay.test_own_captures import KNOWN_TEXTS, texts
from tests.support.lldpdus import evb_octets, read_pcap
from tests.support.namespaces import search_path
from tests.support.peers import tshark
from tests.support.require import require_peer
from tests.support.vdpdus import ETHERTYPE_OF_THE_MANUAL, RESPONSE, VsiOctets, ecp_octets

STATION, BRIDGE = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
ENTRIES = {entry["file"]: entry for entry in json.loads(MANIFEST.read_text())["vsi-captures"]}
OURS = [CAPTURES / file for file in ENTRIES]
SHARED = ROOT.parent / "shared" / "captures"
THEIRS = [path for kind in ("vdp", "ecp", "station", "bridge", "draft") for path in SHARED.glob(f"lldpad-{kind}*.pcap")]
EVERY = [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in (*OURS, *sorted(THEIRS))]
# What scripts have put into those on purpose, by frame: no ECPDU at all, no ULPDU, or a TLV that is dropped or skipped.
NO_ECPDU = {"lldpad-bridge-probe1": {101}}
NO_ULPDU = {"lldpad-bridge-probe1": {99}, "lldpad-station-odd-responses": {36}}
NOT_ALL = {"lldpad-bridge-probe1": {70, 84, 88}}


@dataclass(frozen=True, slots=True)
class Said:
    """An ECPDU with what our codecs read in it, and the same by another reader."""

    number: int
    edition: str
    frame: bytes
    payload: bytes
    reading: Reading
    octets: list[VsiOctets]


@cache
def said(path: Path) -> list[Said]:
    """The requests of a capture, but for those that no station and no bridge can read."""
    found = []
    for frame in read_pcap(path):
        for edition, form in FORMS.items():
            if int.from_bytes(frame.data[12:14], "big") not in form.ecp.ethertypes:
                continue
            if frame.number in NO_ECPDU.get(path.stem, ()):
                with pytest.raises(DecodeError):
                    form.ecp.decode(frame.data[14:])
                continue
            ecpdu = form.ecp.decode(frame.data[14:])
            assert form.ecp.encode(ecpdu) == frame.data[14:]
            octets = ecp_octets(frame.data)
            assert octets is not None and octets.payload == ecpdu.payload and octets.sequence == ecpdu.sequence
            assert octets.acknowledgment is (ecpdu.operation is Operation.ACKNOWLEDGE)
            if octets.acknowledgment:
                assert not any(ecpdu.payload)
                continue
            if ecpdu.subtype != 1:
                continue
            from_station = frame.data[6:12] == STATION
            if frame.number in NO_ULPDU.get(path.stem, ()):
                with pytest.raises(DecodeError):
                    form.vdp.decode(ecpdu.payload, from_station)
                continue
            reading = form.vdp.decode(ecpdu.payload, from_station)
            found.append(Said(frame.number, edition, frame.data, ecpdu.payload, reading, octets.vsis))
    return found


def test_there_are_some() -> None:
    """The manifest, the text about them and the directory name the same captures; of each edition, in each part."""
    files = {f"vsi/{path.name}" for path in (CAPTURES / "vsi").glob("*")}
    assert files == set(ENTRIES)
    assert files == set(re.findall(r"^\| \[`([^`]+)`\]\(\1\) \|", (CAPTURES / "README.md").read_text(), re.MULTILINE))
    assert len(files) >= 12
    for edition in FORMS:
        for station, bridge in (("evbagent", "lldpad"), ("lldpad", "evbagent"), ("evbagent", "evbagent")):
            assert any(
                edition in {one.edition for one in said(path)}
                for path in OURS
                if path.name.startswith(f"{station}-{bridge}")
            )
    for path in OURS:
        entry = ENTRIES[f"vsi/{path.name}"]
        assert entry["frames"] == len(read_pcap(path)) and entry["what"] and entry["when"] and entry["programs"]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_nothing_of_the_machine_is_in_it(path: Path) -> None:
    """Small, with made-up addresses and names alone."""
    assert path.stat().st_size <= 20_480
    for frame in read_pcap(path):
        assert frame.data[6:12] in (STATION, BRIDGE)
        assert KNOWN_TEXTS.issuperset(texts(frame))
    for one in said(path):
        for vsi in one.octets:
            assert vsi.id_format != 5 or vsi.uuid.startswith(("a1412857-60f7-4ce1-e95a-216494", "00000000-"))
            assert vsi.filter_format not in (2, 4) or all(entry[-8:-4] == b"\x52\x54\0\0" for entry in vsi.entries)


# Codecs.


@pytest.mark.parametrize("path", EVERY)
def test_read_and_written_again(path: Path) -> None:
    """The same octets, but for the End TLV that lldpad leaves out, and padding."""
    assert said(path)
    for one in said(path):
        vdp = FORMS[one.edition].vdp
        if one.number in NOT_ALL.get(path.stem, ()):
            assert one.reading.errors or one.reading.skipped
            continue
        assert not one.reading.errors and not one.reading.skipped
        if not one.reading.vsis:  # lldpad's first ECPDU in the draft
            assert one.edition == "draft" and not any(one.payload)
            continue
        again = vdp.assemble(one.reading.vsis[0].manager, [vdp.encode_tlv(vsi) for vsi in one.reading.vsis])
        padding = one.payload[len(again) :]
        assert one.payload == again + padding if one.reading.explicit_end else again == one.payload + b"\0\0"
        assert not any(padding)


@pytest.mark.parametrize("path", EVERY)
def test_another_reader_reads_the_same(path: Path) -> None:
    for one in said(path):
        if one.number not in NOT_ALL.get(path.stem, ()):
            assert [in_octets(vsi, one.edition) for vsi in one.reading.vsis] == one.octets
        for vsi in one.reading.vsis if path in OURS else ():
            assert all(decode_organizational(tlv) is not None for tlv in vsi.organizational)


def in_octets(vsi: VsiTlv, edition: str) -> VsiOctets:
    """Our values as the other reader has them."""
    status = int(vsi.hint)
    if vsi.response is not None:
        flags = RESPONSE | 0x20 * vsi.keep | 0x10 * vsi.hard if edition == "ratified" else 0
        status = flags | vsi.code
    entries = []
    for entry in vsi.filters.entries:
        group = b"" if entry.group is None else entry.group.to_bytes(4, "big")
        tag = entry.vid if entry.pcp is None else 0x8000 | entry.pcp << 12 | entry.vid
        entries.append(group + (entry.mac or b"") + tag.to_bytes(2, "big"))
    if vsi.filters.raw:
        entries.append(vsi.filters.raw)
    return VsiOctets(
        int(vsi.mode),
        vsi.vsi_id.octets,
        tuple(entries),
        status,
        vsi.manager,
        vsi.type_id,
        vsi.version,
        vsi.vsi_id.format,
        vsi.filters.format,
        tuple(tlv.oui + tlv.value for tlv in vsi.organizational),
    )


# Other programs. tshark's dissector of the ratified VDP is of an earlier draft: it reads filters wrongly, and of
# PreAssociates nothing but kind and length (sheet vdp.md 9).


@pytest.mark.system
@pytest.mark.parametrize("path", EVERY)
def test_tshark_reads_the_same(path: Path) -> None:
    require_peer("tshark")
    theirs = {int(layers["frame"]["frame.number"]): layers for layers in tshark(path, show="ecp21 || ecp")}
    for one in said(path):
        if one.number in NOT_ALL.get(path.stem, ()) or one.frame[12:14] == ETHERTYPE_OF_THE_MANUAL:
            continue
        if one.edition == "draft":
            ecp = theirs[one.number]["ecp"]
            assert [draft_by_tshark(vdp) for vdp in listed(ecp.get("ProCurve Networking by HP - VDP"))] == one.octets
            continue
        ecp = theirs[one.number]["ecp21"]
        assert int(ecp["ecp.seqno"]) == int.from_bytes(one.frame[16:18], "big")
        tlvs = listed(ecp["VDP TLV"])
        assert int(tlvs[0]["vdp21.tlvtype"]) == 5
        assert IPv6Address(tlvs[0]["vdp21.manager_id"]).packed == one.reading.vsis[0].manager
        vsis = [tlv for tlv in tlvs[1:] if tlv["vdp21.tlvtype"] in ("1", "2", "3", "4")]
        assert [int(tlv["vdp21.tlvtype"]) for tlv in vsis] == [vsi.kind for vsi in one.octets]
        for tlv, vsi in zip(vsis, one.octets, strict=True):
            assert int(tlv["vdp21.tlvlen"]) == len(vsi.ratified()) - 2 - sum(2 + len(own) for own in vsi.organizational)
            if vsi.kind > 2:
                check_by_tshark(tlv["VDP Associate" if vsi.kind == 3 else "VDP DeAssociate"], vsi)


def check_by_tshark(tlv: dict[str, Any], vsi: VsiOctets) -> None:
    assert int(tlv["vdp21.vsitypeid"], 16) == vsi.type_id
    assert int(tlv["vdp21.vsiversion"], 16) == vsi.version
    assert int(tlv["vdp21.vsiidformat"], 16) == vsi.id_format
    assert bytes.fromhex(tlv["vdp21.VSIID"].replace(":", "")) == vsi.vsi_id
    assert int(tlv["vdp21.filterformat"], 16) == vsi.filter_format
    [flags] = [value for key, value in tlv.items() if re.fullmatch(r"vdp21\.\w+\.re\w+_flags_tree", key)]
    [answered] = [value for key, value in flags.items() if key.endswith("req_rsp")]
    assert int(answered) == int(vsi.is_response)


def draft_by_tshark(vdp: dict[str, Any]) -> VsiOctets:
    [pairs] = [value for key, value in vdp.items() if "MAC/VID pair" in key]
    macs, vids = listed(pairs["ecp.vdp.mac"]), listed(pairs["ecp.vdp.vlan"])
    return VsiOctets(
        int(vdp["ecp.vdp.mode"], 16) + 1,
        bytes.fromhex(vdp["ecp.vdp.instanceid"].replace(":", "")),
        tuple(
            bytes.fromhex(mac.replace(":", "")) + int(vid).to_bytes(2, "big")
            for mac, vid in zip(macs, vids, strict=True)
        ),
        int(vdp["ecp.vdp.response"], 16),
        bytes([int(vdp["ecp.vdp.mgrid"], 16)]).ljust(16, b"\0"),
        int(vdp["ecp.vdp.vsitypeid"], 16),
        int(vdp["ecp.vdp.vsitypeidversion"], 16),
        filter_format=int(vdp["ecp.vdp.format"], 16),
    )


def listed(value: Any) -> list[Any]:
    """tshark makes a list of what comes more than once."""
    return value if isinstance(value, list) else [] if value is None else [value]


@pytest.mark.system
@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_tshark_and_tcpdump_find_nothing_wrong(path: Path) -> None:
    """tcpdump knows nothing of VDP, but what the ends have agreed on beforehand."""
    require_peer("tshark", "tcpdump")
    assert not tshark(path, show="_ws.malformed || _ws.unreassembled")
    printed = subprocess.run(
        ["tcpdump", "-nn", "-vv", "-r", str(path), "ether proto 0x88cc"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env=os.environ | {"PATH": search_path()},
    ).stdout
    told = re.findall(r"R: (\d), RTE: (\d+), .*?RWD: (\d+), .*?RKA: (\d+)", printed, re.DOTALL)
    ours = [evb_octets(frame.data[14:]) for frame in read_pcap(path) if frame.data[12:14] == b"\x88\xcc"]
    assert [tuple(map(int, values)) for values in told] == [(o.retries, o.rte, o.rwd, o.rka) for o in ours if o]


# Machines.


def is_plain(path: Path) -> bool:
    """Whether the station is ours, and nothing was done to its agent or its link, which frames alone do not tell."""
    entry = ENTRIES[f"vsi/{path.name}"]
    done = [event["event"] for event in entry["events"] if event["interface"] == "veth0" and event["event"] != "stop"]
    return "veth0" in entry["vsis"] and done == ["start"]


@pytest.mark.parametrize("path", [path for path in OURS if is_plain(path)], ids=lambda path: path.stem)
def test_the_vsis_go_through_the_same_states(path: Path) -> None:
    """A station of ours is told what the captured one heard, and asked for what that one asked for."""
    entry = ENTRIES[f"vsi/{path.name}"]
    with path.open("rb", buffering=0) as file:
        replayed = replay_capture(Capture(file, selection()), Role.STATION)
    ours = {end["interface"] for end in entry["ends"] if end["program"] == "evbagent"}
    until = min(event["time"] for event in entry["events"] if event["event"] == "stop" and event["interface"] in ours)
    states: dict[str, list[str]] = {}
    for event in replayed.timeline:
        if event["event"] == "vsi" and event["time"] < until:
            its = states.setdefault(event["vsi"]["vsi-id"], [])
            its += [event["vsi"]["state"]] if event["vsi"]["state"] != event["was"] else []
    assert {vsi_id: " ".join(its) for vsi_id, its in states.items()} == entry["vsis"]["veth0"]


def replay(path: Path, role: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["replay", str(path), "--role", role, "-j"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def results(timeline: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (event["result"] for event in timeline if event["event"] == "confirm")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_replayed_as_the_station(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was granted then is granted now; lldpad's draft bridge never answers."""
    found = {*results(replay(path, "station", capsys)["timeline"])}
    assert ("granted" in found) is not any(word in path.stem for word in ("unanswered", "refusals"))
    assert "refused" in found or not any(word in path.stem for word in ("refusals", "forms"))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_replayed_as_the_bridge(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Our bridge grants by itself, whoever the bridge was."""
    replayed = replay(path, "bridge", capsys)
    assert {event["vsi"]["state"] for event in replayed["timeline"] if event["event"] == "vsi"}
