"""Real frames of many senders as documents, beside what tshark says of them, and beside what two daemons made of them.

The captures are other people's and no part of the project: without them beside it these tests are skipped, and say so.
"""

import json
from collections import Counter
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from evbagent.capture import Capture
from evbagent.commands_decode import frame_text
from evbagent.decode import documents, selection
from tests.replay.player import ROOT
from tests.support.captures import pcap
from tests.support.lldpdus import NEAREST_BRIDGE, read_pcap, walk

SHARED = ROOT.parent / "shared"
PCAPS = sorted((SHARED / "pcaps").glob("*.pcap"))
CAPTURES = sorted((SHARED / "captures").glob("*.pcap"))
BAD_FRAMES = SHARED / "captures" / "lldp-badframes.txt"

# IEEE 802.1AB has these LLDPDUs discarded as a whole (sheet `lldp.md` 1.4); of the others TLVs at most.
DISCARDED = frozenset(
    {
        "port before chassis",
        "chassis missing",
        "port missing",
        "ttl missing, then sysname",
        "second chassis later",
        "second port later",
        "second ttl later",
        "optional TLV between port and ttl",
        "ttl length 1",
        "ttl length 0",
        "chassis length 1",
        "chassis length 0",
        "chassis length 257",
        "chassis subtype 0",
        "chassis subtype 8",
        "port subtype 0",
        "port subtype 8",
        "port length 257",
        "last TLV overruns frame",
        "only 1 byte after last TLV",
    }
)
BROKEN_KINDS = ("ladvd-0", "ladvd-1", "ladvd-92", "ladvd-93", "ladvd-98", "ladvd-a1", "ladvd-a3", "ladvd-a9")
BROKEN = ("ladvd-broken-empty", "tcpdump-8023-mtu-oobr", "tcpdump-8023-mtu-oobr-old", "hp-procurve-2824-snaplen")
BROKEN += ("wireshark-minimal",)  # its TTL TLV comes three times
# Where a TLV is dropped, how many there are.
DROPPED = {
    "End TLV length 1": 1,
    "two sysname": 1,
    "two port desc": 1,
    "two sys desc": 1,
    "two capabilities": 1,
    "two identical mgmt addresses": 1,
    "sysname length 256": 1,
    "capabilities length 3": 1,
    "mgmt addr string length 0": 1,
    "mgmt addr string length 33": 1,
    "mgmt TLV truncated": 1,
    "org TLV length 3": 1,
    "PVID too short": 1,
    "MED cap too short": 1,
}


@cache
def decoded(file: Path) -> list[dict[str, Any]]:
    with file.open("rb", buffering=0) as stream:
        return list(documents(Capture(stream, selection())))


def on_the_wire(tlvs: Iterable[dict[str, Any]]) -> bytes:
    return b"".join((tlv["type"] << 9 | tlv["length"]).to_bytes(2, "big") + bytes.fromhex(tlv["hex"]) for tlv in tlvs)


def test_the_captures_are_there() -> None:
    if not PCAPS or not CAPTURES:
        pytest.skip("other people's captures are not beside this repository")
    assert len(PCAPS) >= 60 and len(CAPTURES) >= 30


@pytest.mark.parametrize("file", PCAPS, ids=lambda file: file.stem)
def test_tshark_sees_the_same_tlvs(file: Path) -> None:
    told = json.loads(file.with_suffix(".json").read_text())["frames"]
    found = decoded(file)
    assert [document["number"] for document in found] == [frame["number"] for frame in told]
    for document, frame in zip(found, told, strict=True):
        assert (document["destination"], document["source"]) == (frame["dst"], frame["src"])
        assert document["vlan"] == (frame["vlans"][0] if frame["vlans"] else None)
        ours = [(tlv["type"], tlv["length"], tlv["oui"], tlv["subtype"], tlv["hex"]) for tlv in document["tlvs"]]
        theirs = [
            (tlv["type"], tlv["length"], tlv.get("oui"), tlv.get("subtype"), tlv["value"]) for tlv in frame["tlvs"]
        ]
        # At a fault, or a mandatory TLV that comes twice, tshark stops; and it names OUI and subtype only if it knows
        # what is in there.
        assert len(ours) == len(theirs) if frame["complete"] else len(ours) >= len(theirs)
        for one, other in zip(ours, theirs, strict=False):
            assert one == other
        if document["verdict"] == "accepted" and not frame["malformed"]:
            assert frame["complete"] or document["errors"] or not any(tlv["type"] == 0 for tlv in document["tlvs"])


@pytest.mark.parametrize("file", [*PCAPS, *CAPTURES], ids=lambda file: file.stem)
def test_nothing_of_a_frame_is_lost(file: Path) -> None:
    frames = {frame.number: frame.data for frame in read_pcap(file)}
    found = decoded(file)
    assert {document["number"] for document in found} == set(frames)
    for document in found:
        payload = frames[document["number"]][14 if document["vlan"] is None else 18 :]
        if "ecp" in document:
            payload = payload[4 if document["ecp"]["edition"] == "ratified" else 9 :]
        whole = [tlv for tlv in document["tlvs"] if tlv["length"] is not None]
        known = on_the_wire(whole)
        assert payload.startswith(known)
        rest = payload[len(known) :]
        if len(whole) < len(document["tlvs"]):
            assert len(rest) == 1 and document["tlvs"][-1]["type"] == rest[0] >> 1
        else:
            assert rest == bytes.fromhex(document["trailer"] or "00" * len(rest))
        assert json.loads(json.dumps(document)) == document
        assert all(line.isprintable() for line in frame_text(document).splitlines())


@pytest.mark.parametrize("file", PCAPS, ids=lambda file: file.stem)
def test_what_was_made_to_be_discarded_is(file: Path) -> None:
    expected = "discarded" if file.stem in BROKEN or file.stem.startswith(BROKEN_KINDS) else "accepted"
    assert {document["verdict"] for document in decoded(file)} == {expected}


def test_the_corpus_of_bad_frames() -> None:
    if not BAD_FRAMES.exists():
        pytest.skip("the corpus of bad frames is not beside this repository")
    lines = [line.split(" | ") for line in BAD_FRAMES.read_text().splitlines() if not line.startswith("#")]
    pdus = {name: bytes.fromhex(text) for name, text, *_ in lines}
    frames = [(NEAREST_BRIDGE + bytes(6) + b"\x88\xcc" + pdu).ljust(60, b"\0") for pdu in pdus.values()]
    found = list(documents(Capture(BytesIO(pcap(frames)))))
    assert len(found) == len(pdus) == 53
    assert {name for name, document in zip(pdus, found, strict=True) if document["verdict"] == "discarded"} == DISCARDED
    for name, document in zip(pdus, found, strict=True):
        if document["verdict"] == "accepted":
            assert len(document["errors"]) == DROPPED.get(name, 0), name
            assert sum("error" in tlv for tlv in document["tlvs"]) == len(document["errors"]), name
        else:
            assert document["errors"], name


@pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)
def test_daemons_agree_with_each_other_and_us(file: Path) -> None:
    """What lldpad and lldpd sent is accepted; ECP's acknowledgements are of requests that were seen before."""
    requests: set[tuple[str, int]] = set()
    for document in decoded(file):
        if "ecp" not in document:
            assert document["verdict"] == "accepted"
            continue
        ecp = document["ecp"]
        if ecp["operation"] == "request":
            requests.add((ecp["edition"], ecp["sequence-number"]))
        elif file.stem not in ("lldpad-station-ecp-loss",):  # where wrong ones are sent on purpose
            assert (ecp["edition"], ecp["sequence-number"]) in requests
            assert document["tlvs"] == [] and document["trailer"] is None


def needed(name: str) -> list[dict[str, Any]]:
    file = SHARED / "captures" / f"{name}.pcap"
    if not file.exists():
        pytest.skip(f"{file.name} is not beside this repository")
    return [document for document in decoded(file) if "ecp" in document]


def test_a_vsi_from_preassociation_to_its_end() -> None:
    told = [
        (document["number"], tlv["name"], tlv["value"]["response"])
        for document in needed("lldpad-vdp22-lifecycle")
        for tlv in document["tlvs"]
        if tlv["type"] in (1, 2, 3, 4)
    ]
    reserved = "PreAssociate with Resource Reservation"
    kinds = {16: "PreAssociate", 20: reserved, 24: "Associate", 28: "Associate", 33: "Associate", 38: "DeAssociate"}
    expected = [(number + after, name, answer) for number, name in kinds.items() for after, answer in ANSWERS]
    assert [entry for entry in told if entry[0] in {number for number, _, _ in expected}] == expected
    assert len(told) == 12


ANSWERS = ((0, None), (2, "success"))


def test_all_filter_formats() -> None:
    formats = Counter(
        tlv["value"]["filter-info-format"]
        for document in needed("lldpad-vdp22-filters")
        for tlv in document["tlvs"]
        if tlv["type"] in (1, 2, 3, 4)
    )
    assert set(formats) == {"vid", "mac-vid", "group-id-vid", "group-id-mac-vid"}


def test_organizational_tlvs_of_vsis() -> None:
    tlvs = [tlv for document in needed("lldpad-vdp22-cisco-oui") for tlv in document["tlvs"] if tlv["type"] == 127]
    assert {(tlv["oui"], tlv["subtype"]) for tlv in tlvs} == {("00000c", 0xF1), ("00000c", 0xF2)}
    values = [tlv["value"] for tlv in tlvs]
    assert all(values) and "web01" in json.dumps(values) and "192.0.2.77" in json.dumps(values)


def test_what_a_bridge_was_probed_with() -> None:
    """The probes of `lldpad-bridge-probe1` that no agent accepts, or accepts in part."""
    found = {document["number"]: document for document in needed("lldpad-bridge-probe1")}
    assert [found[70]["tlvs"][1]["value"], "error" in found[70]["tlvs"][1]] == [None, True]
    discarded = [document["ecp"] for document in found.values() if document["verdict"] == "discarded"]
    assert any(ecp["version"] == 2 for ecp in discarded) and any(ecp["subtype"] == 3 for ecp in discarded)
    two_managers = [d for d in found.values() if [tlv["type"] for tlv in d["tlvs"]].count(5) == 2]
    assert two_managers and all(document["verdict"] == "discarded" for document in two_managers)


def test_the_draft() -> None:
    found = needed("lldpad-draft02-vdp-answered")
    assert {document["ecp"]["edition"] for document in found} == {"draft"}
    answers = {
        (tlv["value"]["mode"], tlv["value"]["response"])
        for document in found
        for tlv in document["tlvs"]
        if tlv["type"] == 127
    }
    assert {("preassociate", "success"), ("associate", "success"), ("associate", "insufficient-resources")} <= answers


def test_evb_tlvs_as_others_read_them() -> None:
    """Every LLDPDU's TLVs, by another walk than ours."""
    for file in CAPTURES:
        frames = {frame.number: frame.data for frame in read_pcap(file)}
        for document in decoded(file):
            if document["protocol"] == "lldp":
                told = [(kind, value.hex()) for kind, value in walk(frames[document["number"]][14:])]
                assert [(tlv["type"], tlv["hex"]) for tlv in document["tlvs"] if tlv["type"]] == told
