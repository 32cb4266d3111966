"""The JSON of VSIs: what is said of each, and that the schema knows it."""

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import Raw
from msgspec.json import encode

from evbagent.events import vsi_event
from evbagent.vsiview import MOST_REMEMBERED, VsiDocuments, vsi_answer, vsi_rows
from protocols.timers import Instant
from protocols.vdp.filter import FilterEntry, FilterFormat, Filters
from protocols.vdp.status import Outcome, VsiState, VsiStatus
from protocols.vdp.vsi import (
    Hint,
    Mode,
    OrganizationalTlv,
    Response,
    VsiId,
    VsiTlv,
    parse_manager,
    parse_vsi_id,
)

SCHEMA = json.loads(files("evbagent.schema").joinpath("state-1.json").read_text())
VSI = Draft202012Validator({"$ref": "#/$defs/vsi", "$defs": SCHEMA["$defs"]})

UUID = "a1412857-60f7-4ce1-e95a-216494353f53"
MAC = bytes.fromhex("5254008e5053")
TLV = VsiTlv(
    mode=Mode.ASSOCIATE,
    vsi_id=parse_vsi_id(UUID),
    manager=parse_manager("192.0.2.7"),
    type_id=0x123456,
    version=7,
    filters=Filters(FilterFormat.MAC_VID, (FilterEntry(0, None, MAC, None),)),
)
STATUS = VsiStatus(
    request=TLV,
    state=VsiState.ASSOCIATED,
    pending=None,
    filters=Filters(FilterFormat.MAC_VID, (FilterEntry(100, 3, MAC, None),)),
    response=Response.SUCCESS,
    hard=False,
    keep=False,
    code=0,
    reason="",
    since=1_000_000,
)


def text(instant: Instant) -> str:
    return f"2026-11-22T09:30:{instant // 1_000_000:02}.000Z"


def document(status: VsiStatus, owner: str | None = "client") -> dict[str, Any]:
    made = json.loads(VsiDocuments(text).make(status, status.request.vsi_id.text, owner))
    VSI.validate(made)
    return made


def asked(**changes: Any) -> VsiStatus:
    """A VSI of which only the request is known."""
    tlv = TLV._replace(**changes)
    return STATUS._replace(request=tlv, state=VsiState.UNASSOCIATED, response=None, filters=tlv.filters)


def test_what_is_said_of_a_vsi() -> None:
    assert document(STATUS) == {
        "vsi-id": UUID,
        "vsi-id-format": "uuid",
        "state": "associated",
        "request": "associate",
        "response": "success",
        "filters": [{"vid": 100, "pcp": 3, "mac-address": "52:54:00:8e:50:53"}],
        "filter-info-format": "mac-vid",
        "vsi-manager-id": "192.0.2.7",
        "vsi-type-id": 0x123456,
        "vsi-type-version": 7,
        "owner": "client",
        "since": "2026-11-22T09:30:01.000Z",
    }


def test_before_the_switch_has_answered() -> None:
    status = asked()._replace(pending=Mode.ASSOCIATE, reason="the link is down")
    made = document(status, None)
    assert (made["state"], made["pending"], made["response"]) == ("unassociated", "associate", None)
    assert ("owner" in made, made["reason"], made["filters"][0]["vid"]) == (False, "the link is down", 0)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("response", [*Response, None])
def test_every_request_and_response(mode: Mode, response: Response | None) -> None:
    made = document(asked(mode=mode)._replace(pending=mode, response=response, state=VsiState.after(mode)))
    assert (made["request"], made["pending"], made["response"]) == (mode.word, mode.word, response)


@pytest.mark.parametrize(
    ("vsi_id", "name"),
    [
        (UUID, "uuid"),
        ("192.0.2.1", "ipv4"),
        ("2001:db8::1", "ipv6"),
        ("02:00:00:00:00:01", "mac"),
        ("local:0000000000000000000000000000abcd", "local"),
        ("format-9:0000000000000000000000000000abcd", "format-9"),
    ],
)
def test_every_format_of_vsi_id(vsi_id: str, name: str) -> None:
    made = document(asked(vsi_id=parse_vsi_id(vsi_id)))
    assert (made["vsi-id"], made["vsi-id-format"]) == (vsi_id, name)


@pytest.mark.parametrize(
    ("filters", "name", "first"),
    [
        (Filters(1, (FilterEntry(4095, None, None, None),)), "vid", {"vid": 4095}),
        (
            Filters(2, (FilterEntry(1, 7, MAC, None),)),
            "mac-vid",
            {"vid": 1, "pcp": 7, "mac-address": "52:54:00:8e:50:53"},
        ),
        (Filters(3, (FilterEntry(0, None, None, 9),)), "group-id-vid", {"vid": 0, "group-id": 9}),
        (
            Filters(4, (FilterEntry(5, 0, MAC, 0xFFFFFFFF),)),
            "group-id-mac-vid",
            {"vid": 5, "pcp": 0, "mac-address": "52:54:00:8e:50:53", "group-id": 0xFFFFFFFF},
        ),
        (Filters(200, (), count=3, raw=b"abc"), "format-200", None),
    ],
)
def test_every_format_of_filters(filters: Filters, name: str, first: dict[str, Any] | None) -> None:
    made = document(asked(filters=filters))
    assert made["filter-info-format"] == name
    assert made["filters"] == ([first] if first else [])


def test_managers_and_times_are_each_vsis_own() -> None:
    documents = VsiDocuments(text)
    managers = [number.to_bytes(16, "big") for number in range(1, 2 * MOST_REMEMBERED)]
    for number, manager in enumerate([*managers, *managers[:3]]):
        status = asked(manager=manager)._replace(since=number % 60 * 1_000_000)
        made = json.loads(documents.make(status, UUID, None))
        assert parse_manager(made["vsi-manager-id"]) == manager
        assert made["since"] == text(number % 60 * 1_000_000)


def test_rows_of_them() -> None:
    documents = [VsiDocuments(text).make(asked(type_id=number), UUID, None) for number in range(3)]
    rows = list(map(json.loads, vsi_rows('e"0', documents)))
    assert [(row["interface"], row["vsi-type-id"]) for row in rows] == [('e"0', 0), ('e"0', 1), ('e"0', 2)]
    assert list(rows[0])[1:] == list(document(asked(), None))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_answer(outcome: Outcome) -> None:
    """A switch's word is in it only where it is the answer to this request."""
    made = json.loads(encode(vsi_answer(7, outcome, "why", STATUS, b'{"vsi-id":"x"}')))
    assert made == {
        "id": 7,
        "result": str(outcome),
        "response": "success" if outcome in (Outcome.GRANTED, Outcome.REFUSED) else None,
        "text": "why",
        "vsi": {"vsi-id": "x"},
    }


def test_an_answer_without_a_vsi() -> None:
    assert json.loads(encode(vsi_answer("a", Outcome.INVALID, "type: is missing"))) == {
        "id": "a",
        "result": "invalid",
        "response": None,
        "text": "type: is missing",
        "vsi": None,
    }


def test_an_event() -> None:
    event = vsi_event(Raw(VsiDocuments(text).make(STATUS, UUID, None)), VsiState.PREASSOCIATED_RR, gone=False)
    assert json.loads(encode(event)) == {
        "event": "vsi",
        "vsi": document(STATUS, None),
        "was": "preassociated-rr",
        "gone": False,
    }


def test_unknown_vsi_ids_are_told_apart() -> None:
    """A MAC address where other octets are set is no MAC address."""
    assert document(asked(vsi_id=VsiId(3, bytes(range(16)))))["vsi-id"].startswith("format-3:")


def test_hint_and_organizational_tlvs_are_there_when_they_are() -> None:
    address = OrganizationalTlv(bytes.fromhex("00000c"), b"\xf2\x05" + bytes(16) + b"\0\1\xc0\0\2M")
    made = document(asked(hint=Hint.MIGRATE, organizational=(address,)))
    assert made["hint"] == "migrate" and made["organizational"][0]["vm-address"] == "192.0.2.77"
    assert "hint" not in document(STATUS) and "organizational" not in document(STATUS)
