"""Requests as clients say them: what they mean, and what is said of those that mean nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from evbagent.vsispec import parse_spec, read_spec, vsi_tlv
from protocols.vdp.filter import FilterEntry, FilterFormat, Filters
from protocols.vdp.organizational import CiscoAddress, CiscoVmName, decode
from protocols.vdp.vsi import Hint, Mode, VsiTlv, parse_manager, parse_vsi_id

UUID = "a1412857-60f7-4ce1-e95a-216494353f53"
VM = "01020304-0506-0708-090a-0b0c0d0e0f10"
SPEC: Mapping[str, Any] = {
    "request": "associate",
    "instance": UUID,
    "manager": "192.0.2.7",
    "type": 0x123456,
    "type-version": 7,
    "filter": ["100/3-52:54:00:8e:50:53"],
}
MAC = bytes.fromhex("5254008e5053")


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in SPEC.items() if name not in names}


def test_what_a_request_means() -> None:
    assert parse_spec(SPEC) == VsiTlv(
        mode=Mode.ASSOCIATE,
        vsi_id=parse_vsi_id(UUID),
        manager=parse_manager("192.0.2.7"),
        type_id=0x123456,
        version=7,
        filters=Filters(FilterFormat.MAC_VID, (FilterEntry(100, 3, MAC, None),)),
    )


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_has_its_word(mode: Mode) -> None:
    assert parse_spec({**SPEC, "request": mode.word}).mode is mode


@pytest.mark.parametrize(("word", "hint"), [("none", Hint.NONE), ("suspend", Hint.SUSPEND), ("migrate", Hint.MIGRATE)])
def test_every_hint_has_its_word(word: str, hint: Hint) -> None:
    assert parse_spec({**SPEC, "hint": word}).hint == hint


@pytest.mark.parametrize(
    ("texts", "form", "entries"),
    [
        (["0"], FilterFormat.VID, [(0, None, None, None)]),
        (["10", "20/3"], FilterFormat.VID, [(10, None, None, None), (20, 3, None, None)]),
        (["0-52:54:00:8e:50:53"], FilterFormat.MAC_VID, [(0, None, MAC, None)]),
        (["30--4660"], FilterFormat.GROUP_VID, [(30, None, None, 4660)]),
        (["40-52:54:00:8e:50:53-9"], FilterFormat.GROUP_MAC_VID, [(40, None, MAC, 9)]),
    ],
)
def test_every_shape_of_filter(texts: list[str], form: FilterFormat, entries: list[tuple[Any, ...]]) -> None:
    filters = parse_spec({**SPEC, "filter": texts}).filters
    assert (filters.format, [(e.vid, e.pcp, e.mac, e.group) for e in filters.entries]) == (form, entries)


def test_deassociate_needs_the_instance_only() -> None:
    tlv = parse_spec({"request": "deassociate", "instance": UUID})
    assert (tlv.mode, tlv.vsi_id, tlv.filters.entries) == (Mode.DEASSOCIATE, parse_vsi_id(UUID), ())
    assert parse_spec({**SPEC, "request": "deassociate"}).filters.entries


def test_ciscos_name_and_address() -> None:
    tlv = parse_spec({**SPEC, "vm-name": "web01", "vm-uuid": VM, "vm-address": "192.0.2.77"})
    vsi_id = parse_vsi_id(UUID)
    assert [decode(organizational) for organizational in tlv.organizational] == [
        CiscoVmName(vsi_id, parse_vsi_id(VM), "web01"),
        CiscoAddress(vsi_id, "192.0.2.77"),
    ]
    assert not parse_spec(SPEC).organizational


def test_a_name_without_an_id_has_the_null_uuid() -> None:
    (organizational,) = parse_spec({**SPEC, "vm-name": "web01"}).organizational
    decoded = decode(organizational)
    assert isinstance(decoded, CiscoVmName)
    assert decoded.vm_id.octets == bytes(16)


def test_what_is_for_the_agent() -> None:
    spec = read_spec({**SPEC, "id": 7, "wait": 30, "persistent": True})
    assert (spec.id, spec.wait, spec.persistent) == (7, 30.0, True)
    assert vsi_tlv(spec) == parse_spec(SPEC)
    spec = read_spec(SPEC)
    assert (spec.id, spec.wait, spec.persistent, spec.owner) == (None, None, False, "client")
    assert read_spec({**SPEC, "id": "vm-3", "wait": None}).id == "vm-3"


@pytest.mark.parametrize("name", ["request", "instance", "manager", "type", "type-version", "filter"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_spec(without(name))
    assert str(refused.value) == f"{name}: is missing"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"request": "assoc"}, "request: Invalid enum value 'assoc'"),
        ({"request": None}, "request: Expected"),
        ({"instance": ""}, "instance: is empty"),
        ({"instance": "a1412857"}, "instance: "),
        ({"manager": "ü"}, "manager: "),
        ({"manager": "much too long a name"}, "manager: "),
        ({"manager": 12}, "manager: Expected"),
        ({"type": -1}, "type: has to be from 0 to 16777215, not -1"),
        ({"type": 2**24}, "type: has to be from 0 to 16777215, not 16777216"),
        ({"type": "7"}, "type: Expected"),
        ({"type": True}, "type: Expected"),
        ({"type-version": 256}, "type-version: has to be from 0 to 255, not 256"),
        ({"filter": []}, "filter: there is none"),
        ({"filter": "100"}, "filter: Expected"),
        ({"filter": [100]}, "filter[0]: Expected"),
        ({"filter": ["4095"]}, "filter 1: "),
        ({"filter": ["7", "8/9"]}, "filter 2: "),
        ({"filter": ["7", "8-02:00:00:00:00:01"]}, "filter 2: "),
        ({"filter": ["7-ff:ff:ff:ff:ff:ff"]}, "filter 1: "),
        ({"filter": ["7--0"]}, "filter 1: "),
        ({"hint": "both"}, "hint: Invalid enum value 'both'"),
        ({"vm-name": "x" * 300}, "vm-name: "),
        ({"vm-name": "w", "vm-uuid": "x"}, "vm-uuid: "),
        ({"vm-uuid": VM}, "vm-name: is missing, which vm-uuid goes with"),
        ({"vm-address": "192.0.2.300"}, "vm-address: "),
        ({"id": 1.5}, "id: Expected"),
        ({"wait": -1}, "wait: Expected `float` >= 0"),
        ({"wait": float("inf")}, "wait: Expected"),
        ({"persistent": 1}, "persistent: Expected"),
        ({"owner": "declared"}, "owner: Invalid enum value 'declared'"),
        ({"typeversion": 1}, "typeversion: unknown key"),
    ],
)
def test_a_mistake_is_named(change: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_spec({**SPEC, **change})
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("spec", [[], "associate", None, 7])
def test_what_is_no_object(spec: Any) -> None:
    with pytest.raises(ValueError, match="Expected `object`"):
        parse_spec(spec)
