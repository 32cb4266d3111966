"""Frames as documents: link headers, verdicts, broken TLVs, ECP; and the command that prints them."""

import json
import os
import sys
from collections.abc import Iterable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

import evbagent.commands_decode
from evbagent.capture import Capture, Frame
from evbagent.cli import main
from evbagent.commands_decode import frame_text
from evbagent.decode import describe_frame, documents, selection, utc
from tests.support.captures import LLDP, MAC, OTHER, TIME, interface, packet, pcap, record, section
from tests.support.lldpdus import NEAREST_BRIDGE, NEAREST_CUSTOMER_BRIDGE, lldpdu, tlv

STATION = bytes.fromhex("02000000000a")
KEYS = [
    "number",
    "time",
    "destination",
    "source",
    "ethertype",
    "vlan",
    "protocol",
    "verdict",
    "errors",
    "tlvs",
    "trailer",
]
TLV_KEYS = ["type", "length", "oui", "subtype", "name", "hex", "value"]
MANAGER = tlv(5, b"blabla".ljust(16, b"\0"))
ASSOCIATE = bytes.fromhex("0621 00 123456 07 05 a141285760f74ce1e95a2164943f53dd 02 0001 52548e505301 0064")
DRAFT_ASSOCIATE = bytes.fromhex(
    "fe26 001b3f02 02 00 0c 123456 01 fa9b7fffb0a048938e0ebeef4ff18f03 02 0001 5254c73e0301 0003"
)


def decoded(payload: bytes, ethertype: int = 0x88CC, pad: bool = True, cut: int = 0) -> dict[str, Any]:
    """The document of an Ethernet frame with this payload."""
    data = NEAREST_BRIDGE + MAC + ethertype.to_bytes(2, "big") + payload
    if pad:
        data = data.ljust(60, b"\0")
    document = describe_frame(Frame(1, None, 1, data[: len(data) - cut], len(data)))
    assert document is not None
    json.dumps(document)
    assert frame_text(document).isprintable() or "\n" in frame_text(document)
    return document


def errors(document: dict[str, Any]) -> list[tuple[int, str]]:
    return [(error["offset"], error["reason"]) for error in document["errors"]]


def test_the_document_of_a_frame() -> None:
    document = describe_frame(Frame(7, TIME, 1, LLDP, len(LLDP)))
    assert document is not None
    assert list(document) == KEYS
    assert {key: document[key] for key in KEYS if key != "tlvs"} == {
        "number": 7,
        "time": "2023-11-14T22:13:20.123456789Z",
        "destination": "01:80:c2:00:00:0e",
        "source": "02:00:00:00:00:aa",
        "ethertype": "0x88cc",
        "vlan": None,
        "protocol": "lldp",
        "verdict": "accepted",
        "errors": [],
        "trailer": None,
    }
    assert [(entry["type"], entry["length"], entry["hex"]) for entry in document["tlvs"]] == [
        (1, 7, "040200000000aa"),
        (2, 7, "030200000000aa"),
        (3, 2, "0078"),
        (0, 0, ""),
    ]
    assert all(list(entry) == TLV_KEYS for entry in document["tlvs"])


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_000, "1970-01-01T00:00:00.000001Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (10**30, None),
        (-(10**20), None),
    ],
)
def test_times(time: int, text: str | None) -> None:
    assert utc(time) == text


PAYLOAD = LLDP[14:]
ETHERNET = LLDP[:12]
ONE_TAG = bytes.fromhex("8100 6064")
TWO_TAGS = bytes.fromhex("88a8 0007 8100 6064")
SNAP = bytes.fromhex("aaaa03 000000 88cc")
BEHIND_SNAP = (len(SNAP) + len(PAYLOAD)).to_bytes(2, "big") + SNAP


@pytest.mark.parametrize(
    ("linktype", "header", "destination", "source", "vlan"),
    [
        (1, ETHERNET + b"\x88\xcc", "01:80:c2:00:00:0e", "02:00:00:00:00:aa", None),
        (1, ETHERNET + ONE_TAG + b"\x88\xcc", "01:80:c2:00:00:0e", "02:00:00:00:00:aa", 100),
        (1, ETHERNET + TWO_TAGS + b"\x88\xcc", "01:80:c2:00:00:0e", "02:00:00:00:00:aa", 7),
        (1, ETHERNET + b"\x91\x00\x00\x05" * 3 + b"\x88\xcc", "01:80:c2:00:00:0e", "02:00:00:00:00:aa", 5),
        (1, ETHERNET + b"\x81\x00\xe0\x00\x88\xcc", "01:80:c2:00:00:0e", "02:00:00:00:00:aa", 0),
        (113, b"\0\2\0\1\0\6" + MAC + b"\0\0\x88\xcc", None, "02:00:00:00:00:aa", None),
        (113, b"\0\2\0\1\0\6" + MAC + b"\0\0" + TWO_TAGS + b"\x88\xcc", None, "02:00:00:00:00:aa", 7),
        (113, b"\0\2\0\1\0\0" + bytes(8) + b"\x88\xcc", None, None, None),
        (113, b"\0\2\0\1\xff\xff" + MAC + b"\1\2\x88\xcc", None, "02:00:00:00:00:aa:01:02", None),
        (276, b"\x88\xcc\0\0\0\0\0\3\0\1\2\6" + MAC + b"\0\0", None, "02:00:00:00:00:aa", None),
        (276, b"\x81\x00\0\0\0\0\0\3\0\1\2\6" + MAC + b"\0\0\0\x64\x88\xcc", None, "02:00:00:00:00:aa", 100),
        (1, ETHERNET + bytes.fromhex("8926 80010002 88cc"), "01:80:c2:00:00:0e", "02:00:00:00:00:aa", None),
        (1, ETHERNET + bytes.fromhex("893f 000000010002 88cc"), "01:80:c2:00:00:0e", "02:00:00:00:00:aa", None),
        (1, ETHERNET + bytes.fromhex("892f 1034 0001 88cc"), "01:80:c2:00:00:0e", "02:00:00:00:00:aa", None),
        (1, ETHERNET + bytes.fromhex("f1c1 0000 0001 88cc"), "01:80:c2:00:00:0e", "02:00:00:00:00:aa", None),
        (1, ETHERNET + b"\x89\x26\0\1\0\2" + ONE_TAG + b"\x88\xcc", "01:80:c2:00:00:0e", "02:00:00:00:00:aa", 100),
        (1, ETHERNET + BEHIND_SNAP, "01:80:c2:00:00:0e", "02:00:00:00:00:aa", None),
        (1, ETHERNET + ONE_TAG + BEHIND_SNAP, "01:80:c2:00:00:0e", "02:00:00:00:00:aa", 100),
        (113, b"\0\2\0\1\0\6" + MAC + b"\0\0\0\4" + SNAP, None, "02:00:00:00:00:aa", None),
        (113, b"\0\2\0\1\0\6" + MAC + b"\0\0" + ONE_TAG + BEHIND_SNAP, None, "02:00:00:00:00:aa", 100),
        (276, b"\0\4\0\0\0\0\0\3\0\1\2\6" + MAC + b"\0\0" + SNAP, None, "02:00:00:00:00:aa", None),
    ],
)
def test_what_precedes_the_pdu(
    linktype: int, header: bytes, destination: str | None, source: str | None, vlan: int | None
) -> None:
    frame = Frame(1, None, linktype, header + PAYLOAD, len(header + PAYLOAD))
    document = describe_frame(frame)
    assert document is not None
    assert [document[key] for key in ("destination", "source", "vlan")] == [destination, source, vlan]
    assert document["ethertype"] == "0x88cc" and len(document["tlvs"]) == 4
    data = pcap([OTHER, header + PAYLOAD], linktype=linktype)
    assert [found["number"] for found in documents(Capture(BytesIO(data), selection()))] == [2]
    for size in range(len(header)):
        assert describe_frame(frame._replace(data=header[:size])) is None


@pytest.mark.parametrize(
    ("linktype", "data"),
    [
        (1, OTHER),
        (1, ETHERNET + ONE_TAG + b"\x08\x00" + bytes(40)),
        (1, ETHERNET + b"\x88\xb7\x00\x80\xc2\x00\x00" + bytes(40)),
        (1, ETHERNET + b"\x88\xb7\x00\x1b\x3f\x00"),
        (1, ETHERNET + BEHIND_SNAP.replace(b"\x88\xcc", b"\x20\x00") + PAYLOAD),
        (1, ETHERNET + BEHIND_SNAP.replace(b"\0\0\0", b"\0\0\x0c") + PAYLOAD),
        (1, ETHERNET + b"\x05\xdd" + SNAP + PAYLOAD),
        (1, ETHERNET + b"\x00\x26\x42\x42\x03" + bytes(43)),
        (105, LLDP),
        (228, LLDP),
    ],
)
def test_frames_of_others_are_passed_over(linktype: int, data: bytes) -> None:
    assert describe_frame(Frame(1, None, linktype, data, len(data))) is None


CHASSIS, PORT, TTL, NAME, END = (
    tlv(1, b"\4" + MAC),
    tlv(2, b"\5eth9"),
    tlv(3, b"\0\x78"),
    tlv(5, b"n1"),
    tlv(0, b""),
)


@pytest.mark.parametrize(
    ("payload", "at"),
    [
        (PORT + CHASSIS + TTL + END, 0),
        (CHASSIS + PORT + NAME + END, 16),
        (CHASSIS + PORT + TTL + NAME + CHASSIS + END, 24),
        (CHASSIS + PORT + tlv(3, b"\1") + END, 16),
        (tlv(1, b"\0abc") + PORT + TTL + END, 0),
        (b"", 0),
    ],
)
def test_frames_that_are_discarded(payload: bytes, at: int) -> None:
    document = decoded(payload, pad=False)
    assert document["verdict"] == "discarded" and errors(document)[0][0] == at
    assert rebuilt(document) == payload
    for entry in document["tlvs"]:
        assert ("error" in entry) == (entry["hex"] != "" and offset_of(document, entry) in dict(errors(document)))


@pytest.mark.parametrize(
    ("broken", "kind", "length", "octets"),
    [(bytes.fromhex("0c10616263"), 6, 16, "616263"), (bytes.fromhex("fe0a0080c20d"), 127, 10, "0080c20d")],
)
def test_a_tlv_that_runs_past_the_end(broken: bytes, kind: int, length: int, octets: str) -> None:
    document = decoded(CHASSIS + PORT + TTL + broken, pad=False)
    assert document["verdict"] == "discarded"
    last = document["tlvs"][-1]
    assert (last["type"], last["length"], last["hex"], last["value"]) == (kind, length, octets, None)
    assert errors(document) == [(20, last["error"])]
    assert rebuilt(document) == CHASSIS + PORT + TTL + broken


def test_one_octet_that_is_left() -> None:
    document = decoded(CHASSIS + PORT + TTL + b"\x0b", pad=False)
    last = document["tlvs"][-1]
    assert document["verdict"] == "discarded" and len(document["tlvs"]) == 4
    assert (last["type"], last["length"], last["hex"]) == (5, None, "")
    assert errors(document) == [(20, last["error"])]


def test_tlvs_that_are_dropped() -> None:
    document = decoded(CHASSIS + PORT + TTL + NAME + NAME + tlv(7, b"\0") + tlv(127, b"abc") + END)
    assert document["verdict"] == "accepted"
    assert [offset for offset, _ in errors(document)] == [24, 28, 31]
    assert ["error" in entry for entry in document["tlvs"]] == [False] * 4 + [True] * 3 + [False]
    assert [entry["error"] for entry in document["tlvs"][4:7]] == [reason for _, reason in errors(document)]


def test_no_end_tlv() -> None:
    assert decoded(CHASSIS + PORT + TTL, pad=False)["errors"] == []
    assert [entry["type"] for entry in decoded(CHASSIS + PORT + TTL, pad=True)["tlvs"]] == [1, 2, 3, 0]


def test_an_end_tlv_that_is_not_empty() -> None:
    document = decoded(CHASSIS + PORT + TTL + tlv(0, b"xy") + b"z")
    assert document["verdict"] == "accepted" and errors(document) == [(20, "End TLV of 2 octets")]
    assert document["tlvs"][-1]["hex"] == "7879" and document["trailer"].startswith("7a00")


def test_what_follows_the_end_is_kept_unless_it_is_padding() -> None:
    assert decoded(CHASSIS + PORT + TTL + END + NAME, pad=False)["trailer"] == NAME.hex()
    assert decoded(CHASSIS + PORT + TTL + END)["trailer"] is None


def behind_snap(length: int, payload: bytes, cut: int = 0) -> dict[str, Any]:
    data = ETHERNET + length.to_bytes(2, "big") + SNAP + payload
    document = describe_frame(Frame(1, None, 1, data[: len(data) - cut], len(data)))
    assert document is not None
    return document


def test_the_length_before_snap_says_where_the_lldpdu_ends() -> None:
    """What fills the frame up behind that is no End TLV."""
    pdu = CHASSIS + PORT + TTL
    right = behind_snap(len(SNAP + pdu), pdu + bytes(18))
    assert [entry["type"] for entry in right["tlvs"]] == [1, 2, 3]
    assert (right["verdict"], right["errors"], right["trailer"]) == ("accepted", [], None)
    assert behind_snap(len(SNAP + pdu), pdu + bytes(18), cut=18)["errors"] == []
    assert behind_snap(len(SNAP + pdu), pdu + NAME)["trailer"] == NAME.hex()
    with_end = behind_snap(len(SNAP + pdu + END), pdu + END + bytes(17) + b"z")
    assert (len(with_end["tlvs"]), with_end["trailer"]) == (4, (bytes(17) + b"z").hex())


def test_a_wrong_length_before_snap() -> None:
    """Nothing of the frame is lost."""
    pdu = CHASSIS + PORT + TTL
    long = behind_snap(1500, pdu + NAME)
    assert [entry["type"] for entry in long["tlvs"]] == [1, 2, 3, 5] and long["verdict"] == "accepted"
    short = behind_snap(len(SNAP + pdu) - 1, pdu)
    assert (short["verdict"], short["tlvs"][-1]["hex"], short["trailer"]) == ("discarded", "00", "78")
    none = behind_snap(0, pdu)
    assert (none["verdict"], none["tlvs"], none["trailer"]) == ("discarded", [], pdu.hex())
    assert errors(behind_snap(len(SNAP + pdu), pdu, cut=4))[-1][1] == "the capture has 38 of the frame's 42 octets"


def test_frames_that_were_cut_by_the_capture() -> None:
    document = decoded(CHASSIS + PORT + TTL + NAME, pad=False, cut=1)
    reason = "the capture has 37 of the frame's 38 octets"
    assert document["verdict"] == "discarded" and errors(document)[-1] == (23, reason)
    document = decoded(CHASSIS + PORT + TTL + NAME, pad=False, cut=4)
    assert document["verdict"] == "accepted" and errors(document) == [
        (20, "the capture has 34 of the frame's 38 octets")
    ]
    assert errors(decoded(CHASSIS + PORT + TTL + NAME + END, cut=10)) == []


def test_a_ratified_request() -> None:
    document = decoded(bytes.fromhex("10010003") + MANAGER + ASSOCIATE, 0x8940)
    keys = [*KEYS[: KEYS.index("tlvs")], "ecp", *KEYS[KEYS.index("tlvs") :]]
    assert list(document) == keys
    assert document["protocol"] == "ecp" and document["verdict"] == "accepted" and document["errors"] == []
    assert document["ecp"] == {
        "edition": "ratified",
        "version": 1,
        "operation": "request",
        "subtype": 1,
        "sequence-number": 3,
    }
    manager, associate = document["tlvs"]
    assert manager == {
        "type": 5,
        "length": 16,
        "oui": None,
        "subtype": None,
        "name": "VSI Manager ID",
        "hex": MANAGER[2:].hex(),
        "value": {"vsi-manager-id": "blabla"},
    }
    assert list(associate) == TLV_KEYS
    assert (associate["type"], associate["length"], associate["name"]) == (3, 33, "Associate")
    assert associate["value"] == {
        "mode": "associate",
        "hint": "none",
        "response": None,
        "code": 0,
        "keep": False,
        "hard": False,
        "vsi-type-id": 0x123456,
        "vsi-type-version": 7,
        "vsi-id-format": "uuid",
        "vsi-id": "a1412857-60f7-4ce1-e95a-2164943f53dd",
        "filter-info-format": "mac-vid",
        "filters": [{"vid": 100, "pcp": None, "mac-address": "52:54:8e:50:53:01", "group-id": None}],
    }


def test_a_ratified_response() -> None:
    refused = ASSOCIATE[:2] + b"\x72" + ASSOCIATE[3:]
    document = decoded(bytes.fromhex("1001ffff") + MANAGER + refused + END, 0x8890)
    assert document["verdict"] == "accepted" and document["errors"] == []
    value = document["tlvs"][1]["value"]
    assert (value["response"], value["code"], value["keep"], value["hard"]) == ("insufficient-resources", 2, True, True)
    assert [entry["type"] for entry in document["tlvs"]] == [5, 3, 0]


def test_hints_and_filters() -> None:
    text = "0629 30 010203 04 05 22222222222222222222222222222202 02 0002 525400000021 0014 525400000022 d016"
    document = decoded(bytes.fromhex("10010001") + MANAGER + bytes.fromhex(text), 0x8940)
    value = document["tlvs"][1]["value"]
    assert value["hint"] == "migrate+suspend"
    assert [(entry["vid"], entry["pcp"]) for entry in value["filters"]] == [(20, None), (22, 5)]
    text = "0625 00 010203 04 04 44444444444444444444444444444404 04 0001 12345678 525400000041 0028"
    document = decoded(bytes.fromhex("10010001") + MANAGER + bytes.fromhex(text), 0x8940)
    value = document["tlvs"][1]["value"]
    assert (value["vsi-id-format"], value["filter-info-format"]) == ("local", "group-id-mac-vid")
    assert value["filters"] == [{"vid": 40, "pcp": None, "mac-address": "52:54:00:00:00:41", "group-id": 0x12345678}]


@pytest.mark.parametrize(
    ("text", "operation", "trailer"),
    [
        ("14010003", "acknowledgement", None),
        ("14010003ff", "acknowledgement", "ff"),
        ("10020003abcd", "request", "abcd"),
    ],
)
def test_ecpdus_without_tlvs(text: str, operation: str, trailer: str | None) -> None:
    document = decoded(bytes.fromhex(text), 0x8940, pad=False)
    assert document["verdict"] == "accepted" and document["errors"] == [] and document["tlvs"] == []
    assert document["ecp"]["operation"] == operation and document["trailer"] == trailer


@pytest.mark.parametrize(
    ("text", "ecp"),
    [
        ("20010003", {"version": 2, "operation": "request", "subtype": 1, "sequence-number": 3}),
        ("18010003", {"version": 1, "operation": "reserved-2", "subtype": 1, "sequence-number": 3}),
        ("10030003", {"version": 1, "operation": "request", "subtype": 3, "sequence-number": 3}),
        ("100300", {"version": None, "operation": None, "subtype": None, "sequence-number": None}),
        ("", {"version": None, "operation": None, "subtype": None, "sequence-number": None}),
    ],
)
def test_ecpdus_that_are_discarded(text: str, ecp: dict[str, Any]) -> None:
    document = decoded(bytes.fromhex(text), 0x8940, pad=False)
    assert document["verdict"] == "discarded" and len(document["errors"]) == 1
    assert document["ecp"] == {"edition": "ratified", **ecp} and document["tlvs"] == []


@pytest.mark.parametrize(
    "payload", [ASSOCIATE, MANAGER + MANAGER + ASSOCIATE, tlv(127, b"\0\0\x0c\xf1") + MANAGER + ASSOCIATE]
)
def test_ulpdus_that_are_discarded(payload: bytes) -> None:
    """One VSI Manager ID comes first (sheet `vdp.md` 1)."""
    document = decoded(bytes.fromhex("10010001") + payload, 0x8940, pad=False)
    assert document["verdict"] == "discarded" and document["errors"]
    assert rebuilt(document) == payload


def test_vsis_that_are_dropped() -> None:
    no_entries = ASSOCIATE[:1] + b"\x19" + ASSOCIATE[2:25] + b"\0\0"
    payload = MANAGER + no_entries + ASSOCIATE + tlv(99, b"new") + tlv(127, b"\1\2")
    document = decoded(bytes.fromhex("10010001") + payload, 0x8940, pad=False)
    assert document["verdict"] == "accepted"
    assert [entry["value"] is None for entry in document["tlvs"]] == [False, True, False, True, True]
    assert "error" in document["tlvs"][1] and "error" not in document["tlvs"][2]
    assert errors(document)[0][0] == 4 + len(MANAGER)
    assert document["tlvs"][3]["name"] == "Reserved 99"
    assert rebuilt(document) == payload


def test_a_draft_request_and_its_acknowledgement() -> None:
    document = decoded(bytes.fromhex("001b3f000000 00 0004") + DRAFT_ASSOCIATE + END, 0x88B7)
    assert document["verdict"] == "accepted" and document["errors"] == []
    assert document["ecp"] == {
        "edition": "draft",
        "oui": "001b3f",
        "protocol": 0,
        "subtype": 0,
        "operation": "request",
        "sequence-number": 4,
    }
    vsi, _ = document["tlvs"]
    assert (vsi["type"], vsi["length"], vsi["oui"], vsi["subtype"]) == (127, 38, "001b3f", 2)
    value = vsi["value"]
    assert (value["mode"], value["vsi-manager-id"], value["vsi-type-id"]) == ("associate", 12, 0x123456)
    assert value["filters"] == [{"vid": 3, "pcp": None, "mac-address": "52:54:c7:3e:03:01", "group-id": None}]
    document = decoded(bytes.fromhex("001b3f000000 01 0004"), 0x88B7)
    assert (document["ecp"]["operation"], document["tlvs"], document["trailer"]) == ("acknowledgement", [], None)
    assert decoded(bytes.fromhex("001b3f000000 07 0004"), 0x88B7)["verdict"] == "discarded"
    assert decoded(bytes.fromhex("001b3f000000"), 0x88B7, pad=False)["verdict"] == "discarded"


@pytest.mark.parametrize(
    ("ethertype", "payload"),
    [
        (0x88CC, CHASSIS + PORT + TTL + NAME + tlv(8, bytes.fromhex("0501c00002010200000001 00"))),
        (0x88CC, lldpdu(MAC, tlv(127, bytes.fromhex("0080c20d0200f45f1f")), tlv(127, bytes.fromhex("0012bb01003f04")))),
        (0x8940, bytes.fromhex("10010003") + MANAGER + ASSOCIATE + tlv(127, bytes.fromhex("00000cf105") + bytes(40))),
        (0x88B7, bytes.fromhex("001b3f000000000004") + DRAFT_ASSOCIATE + END),
    ],
)
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["two", "all"])
def test_no_change_of_a_frame_is_too_much(ethertype: int, payload: bytes, every: bool) -> None:
    def look(data: bytes) -> None:
        document = describe_frame(Frame(1, TIME, 1, data, len(whole)))
        if document is not None:
            json.dumps(document)
            frame_text(document)

    whole = NEAREST_CUSTOMER_BRIDGE + STATION + ethertype.to_bytes(2, "big") + payload
    for at in range(len(whole)):
        look(whole[:at])
        for value in (
            (0, 1, 0x7F, *(whole[at] ^ 1 << bit for bit in range(8))) if every else (whole[at] ^ 1 << at % 8, 0xFF)
        ):
            look(whole[:at] + bytes([value]) + whole[at + 1 :])
            look(whole[:at] + bytes([value]) + whole[at:])


def rebuilt(document: dict[str, Any]) -> bytes:
    """The TLVs as they were on the wire: nothing of them is lost."""
    return b"".join(
        (entry["type"] << 9 | entry["length"]).to_bytes(2, "big") + bytes.fromhex(entry["hex"])
        for entry in document["tlvs"]
    )


def offset_of(document: dict[str, Any], wanted: dict[str, Any]) -> int:
    at = 0
    for entry in document["tlvs"]:
        if entry is wanted:
            return at
        at += 2 + len(entry["hex"]) // 2
    raise AssertionError


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["decode", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def write(tmp_path: Path, data: bytes) -> str:
    file = tmp_path / "some.pcap"
    file.write_bytes(data)
    return str(file)


def test_the_command_prints_an_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "-j", write(tmp_path, pcap([OTHER, LLDP, OTHER, LLDP])))
    assert (status, err) == (0, "")
    assert [document["number"] for document in json.loads(out)] == [2, 4]
    assert len(out.splitlines()) == 4


def test_the_command_prints_an_empty_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, pcap([OTHER]))
    assert run(capsys, "-j", file) == (0, "[]\n", "")
    assert run(capsys, file) == (0, "no LLDP or ECP frames\n", "")


@pytest.mark.parametrize("damage", [b"abc", record(LLDP)[:-1], b"\xff" * 40])
def test_what_precedes_a_damage_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes) -> None:
    good = pcap([LLDP, OTHER, LLDP])
    file = write(tmp_path, good + damage)
    status, out, err = run(capsys, "-j", file)
    assert status == 1 and [document["number"] for document in json.loads(out)] == [1, 3]
    assert err.startswith(f"evbagent: {file}: ") and err.endswith(f", at octet {len(good)}\n") and err.count("\n") == 1
    status, out, again = run(capsys, file)
    assert status == 1 and out.count("LLDP accepted") == 2 and again == err


def test_what_is_no_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, b"something else")
    assert run(capsys, file) == (1, "", f"evbagent: {file}: neither a pcap nor a pcapng file, at octet 0\n")
    assert run(capsys, "-j", str(tmp_path)) == (1, "", f"evbagent: {tmp_path}: Is a directory\n")
    missing = str(tmp_path / "missing\x1b[2J")
    assert run(capsys, missing)[2] == f"evbagent: {tmp_path}/missing\\x1b[2J: No such file or directory\n"


def test_other_link_types_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, section() + interface(105) + interface() + packet(LLDP, 0, 1) + packet(LLDP, 0, 0))
    status, out, err = run(capsys, "-j", file)
    assert status == 0 and len(json.loads(out)) == 1
    assert (
        err == f"evbagent: {file}: frames of link type 105 are left out: Ethernet and Linux cooked captures are read\n"
    )


def test_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    kept = os.dup(0)
    try:
        os.dup2(reader, 0)
        os.write(writer, pcap([LLDP]) + b"x")
        os.close(writer)
        status, out, err = run(capsys, "-j", "-")
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reader)
    assert status == 1 and len(json.loads(out)) == 1
    assert err == "evbagent: standard input: frame 2 has 1 of 16 octets of header, at octet 100\n"


def test_frames_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = lldpdu(MAC, tlv(5, b"\x1b]0;owned\x07 \xe2\x80\xaeright"), tlv(127, b"\0\0"))
    tagged = NEAREST_BRIDGE + MAC + ONE_TAG + b"\x88\xcc" + evil + b"junk"
    request = NEAREST_CUSTOMER_BRIDGE + STATION + bytes.fromhex("894010010003") + MANAGER + ASSOCIATE
    status, out, _ = run(capsys, write(tmp_path, pcap([tagged, request], nano=True)))
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == ("1 2023-11-14T22:13:20.123456789Z 02:00:00:00:00:aa > 01:80:c2:00:00:0e VLAN 100 LLDP accepted")
    assert all(line.isprintable() for line in lines)
    assert "  trailer: 6a756e6b" in lines and any(line.startswith("  error at offset 43: ") for line in lines)
    second = lines.index("") + 1
    assert lines[second + 1] == "  ECP: edition ratified, version 1, operation request, subtype 1, sequence-number 3"
    assert lines[second + 2] == "  VSI Manager ID (5): vsi-manager-id blabla"
    assert lines[second + 3].startswith("  Associate (3): mode associate, hint none, ")
    assert lines[second + 4] == "    filters: vid 100, pcp -, mac-address 52:54:8e:50:53:01, group-id -"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_for_terminals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evbagent.commands_decode, "SOON_READ", 0)
    file = write(tmp_path, pcap([LLDP, LLDP]))
    assert run(capsys, "-j", file)[2] == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["decode", "-j", file]) == 0
    assert "/176 [" in terminal.getvalue()
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_a_bar_does_not_garble_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evbagent.commands_decode, "SOON_READ", 0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["decode", write(tmp_path, pcap([LLDP, LLDP]))]) == 0
    shown = [line.split("\r")[-1] for line in screen.getvalue().splitlines()]
    assert sum(line.endswith("LLDP accepted") for line in shown) == 2


def test_printing_begins_before_reading_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """Documents are made one by one: a capture may be longer than memory."""

    def frames() -> Iterable[Frame]:
        for number in range(1, 4):
            seen.append(number)
            yield Frame(number, TIME, 1, LLDP, len(LLDP))

    seen: list[int] = []
    made = iter(documents(frames()))
    next(made)
    assert seen == [1]
