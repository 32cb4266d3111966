"""What people read: tables and lines, whatever the network or the agent has put into them."""

from typing import Any

import pytest

from evbagent.show import WIDEST_CELL, answer_line, escape, event_line, render, table

NEIGHBOR: dict[str, Any] = {
    "interface": "eth0",
    "scope": "nearest-bridge",
    "remote-index": 1,
    "chassis-id": "02:00:00:00:00:0a",
    "port-id": "ge-0/0/1",
    "time-to-live": 120,
    "system-name": "switch1",
    "system-capabilities-enabled": ["bridge", "router"],
    "management-address": [
        {"address-subtype": "ipv4", "address": "192.0.2.1"},
        {"address-subtype": "ipv6", "address": "2001:db8::1"},
    ],
    "remote-unknown-tlv": [],
    "evb": {"edition": "ratified", "evb-mode": "bridge", "group-ids": None},
}
FORWARDING = {
    "mode": "veb",
    "reflective-relay": "inactive",
    "edition": "ratified",
    "reason": "the switch refuses",
    "since": "",
    "since-boottime-us": 0,
}
INTERFACE: dict[str, Any] = {
    "name": "eth0",
    "ifindex": 2,
    "oper-status": "up",
    "role": "station",
    "forwarding": FORWARDING,
    "bridge-port": {"bridge": "br0", "hairpin": True},
    "attachments": [{"name": "tap1", "mode": "veb"}, {"name": "tap2", "mode": "private"}],
    "warnings": ["two neighbours claim the role of bridge"],
}
EVB = {
    "interface": "eth0",
    "forwarding": FORWARDING,
    "local": {"evb-mode": "station", "reflective-relay-request": True, "group-ids": None},
    "remote": {"evb-mode": "bridge", "reflective-relay-capable": False},
    "operational": {"reflective-relay": False, "ecp-retries": 3},
}
STATISTICS = {"interface": "eth0", "scope": "nearest-bridge", "tx-total-frames": 12, "rx-total-frames": 0}
VSI: dict[str, Any] = {
    "interface": "eth0",
    "role": "station",
    "vsi-id": "a0b1c2d3-0000-4000-8000-000000000001",
    "vsi-id-format": "uuid",
    "state": "associated",
    "request": "associate",
    "response": "success",
    "reason": "the switch has let it in",
    "filters": [{"vid": 100, "mac-address": "52:54:00:8e:50:53"}],
    "filter-info-format": "mac-vid",
    "vsi-manager-id": "192.0.2.1",
    "vsi-type-id": 5,
    "vsi-type-version": 1,
    "owner": "client",
    "since": "",
}
DATA: dict[str, list[dict[str, Any]]] = {
    "neighbors": [NEIGHBOR],
    "interfaces": [INTERFACE],
    "evb": [EVB],
    "statistics": [STATISTICS],
    "vsis": [VSI],
    "dcbx": [{"interface": "eth0"}],
}
HOSTILE = {
    "\x1b[2J\x1b]0;owned\x07": r"\x1b[2J\x1b]0;owned\x07",
    "a\x00b": r"a\x00b",
    "a\nb\r\tc": r"a\nb\r\tc",
    "\x9b31m": r"\x9b31m",
    "\u202egnp.exe\u2066\u2069": r"\u202egnp.exe\u2066\u2069",
    "a\u2028b\u200b": r"a\u2028b\u200b",
    "\udcff": r"\udcff",
    "\U000e0041": r"\U000e0041",
    "Zürich 東京": "Zürich 東京",
}


def only_text(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_one_line_for_each_neighbor() -> None:
    lines = render("neighbors", [NEIGHBOR, {**NEIGHBOR, "interface": "eth10", "evb": None}]).splitlines()
    assert [line.split()[0] for line in lines] == ["INTERFACE", "eth0", "eth10"]
    assert "ChassisID:" in render("neighbors", [NEIGHBOR], details=True)


def test_interfaces_with_their_guests_and_warnings() -> None:
    bare = {"name": "eth1", "forwarding": None, "bridge-port": None, "attachments": [], "warnings": []}
    assert render("interfaces", [INTERFACE, bare]) == (
        "INTERFACE  STATUS  ROLE     MODE  RELAY     BRIDGE PORT      GUESTS\n"
        "eth0       up      station  veb   inactive  br0, hairpin on  tap1 (veb), tap2 (private)\n"
        "eth1       -       -        -     -         -                -\n"
        "eth0: two neighbours claim the role of bridge\n"
    )


def test_evb_side_by_side() -> None:
    assert render("evb", [EVB, {"interface": "eth1", "local": None, "remote": None, "operational": None}]) == (
        "eth0: reflective relay inactive, mode veb\n"
        "  the switch refuses\n"
        "                            local    remote  operational\n"
        "  evb-mode                  station  bridge  -\n"
        "  reflective-relay-request  yes      -       -\n"
        "  group-ids                 -        -       -\n"
        "  reflective-relay-capable  -        no      -\n"
        "  reflective-relay          -        -       no\n"
        "  ecp-retries               -        -       3\n"
        "\n"
        "eth1: reflective relay -, mode -\n"
    )


def test_statistics_one_counter_a_line() -> None:
    assert render("statistics", [STATISTICS]) == (
        "eth0, nearest-bridge:\n  tx-total-frames  12\n  rx-total-frames  0\n"
    )


def test_what_the_agent_itself_has_counted() -> None:
    row = {"interface": None, "scope": "agent", "control-refused": 3}
    assert render("statistics", [row]) == "agent:\n  control-refused  3\n"


def test_one_line_for_each_vsi() -> None:
    plain = [{"vid": number, "pcp": 3} for number in (1, 2, 3, 4)]
    group = [{"vid": 5, "group-id": 7}]
    both = [{"vid": 5, "pcp": 0, "mac-address": "52:54:00:00:00:01", "group-id": 7}]
    rows = [
        VSI,
        {
            **VSI,
            "vsi-id": "local:01",
            "filters": plain,
            "state": "unassociated",
            "response": None,
            "pending": "associate",
        },
        {**VSI, "vsi-id": "192.0.2.9", "filters": group, "request": "preassociate"},
        {**VSI, "vsi-id": "02:00:00:00:00:0a", "filters": both, "vsi-manager-id": "m" * 15},
    ]
    text = render("vsis", rows)
    assert [[cell.strip() for cell in line.split("  ") if cell] for line in text.splitlines()] == [
        ["INTERFACE", "VSI", "STATE", "REQUEST", "FILTERS", "MANAGER/TYPE/VERSION", "RESPONSE"],
        ["eth0", VSI["vsi-id"], "associated", "associate", "100-52:54:00:8e:50:53", "192.0.2.1/5/1", "success"],
        ["eth0", "local:01", "unassociated (associate pending)", "associate", "1/3, 2/3 +2", "192.0.2.1/5/1", "-"],
        ["eth0", "192.0.2.9", "associated", "preassociate", "5--7", "192.0.2.1/5/1", "success"],
        [
            "eth0",
            "02:00:00:00:00:0a",
            "associated",
            "associate",
            "5/0-52:54:00:00:00:01-7",
            "m" * 15 + "/5/1",
            "success",
        ],
    ]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"result": "granted", "vsi": VSI}, "associated: 100-52:54:00:8e:50:53 (VID 100)"),
        ({"vsi": {**VSI, "filters": [{"vid": 1}, {"vid": 2}, {"vid": 1}]}}, "associated: 1, 2, 1 (VIDs 1, 2)"),
        ({"result": "granted", "text": "well", "vsi": {"state": "preassociated"}}, "preassociated: well"),
        ({"result": "granted", "text": "done", "vsi": {**VSI, "state": "unassociated"}}, "deassociated: done"),
        ({"result": "granted", "text": "was not associated", "vsi": None}, "deassociated: was not associated"),
        ({}, "deassociated: -"),
    ],
)
def test_an_answer_is_a_line(answer: dict[str, Any], line: str) -> None:
    assert answer_line(answer) == line
    for hostile in HOSTILE:
        assert answer_line(replace_texts(answer, hostile)).isprintable()


@pytest.mark.parametrize("what", DATA)
@pytest.mark.parametrize("details", [False, True])
def test_nothing_to_show_says_so(what: str, details: bool) -> None:
    assert render(what, [], details) == f"no {what}\n"
    assert render(what, None, details) == f"no {what}\n"


@pytest.mark.parametrize("what", DATA)
@pytest.mark.parametrize("details", [False, True])
def test_nulls_and_missing_fields_are_dashes(what: str, details: bool) -> None:
    for row in ({}, dict.fromkeys(DATA[what][0])):
        text = render(what, [row], details)
        assert "None" not in text
        assert only_text(text)


@pytest.mark.parametrize("what", DATA)
@pytest.mark.parametrize("details", [False, True])
def test_no_table_lets_anything_but_text_through(what: str, details: bool) -> None:
    for hostile in HOSTILE:
        text = render(what, [replace_texts(row, hostile) for row in DATA[what]], details)
        assert only_text(text)
        assert text.endswith("\n")


def test_the_configuration_is_json() -> None:
    assert render("config", {"role": "\x1b"}) == '{\n  "role": "\\u001b"\n}\n'


@pytest.mark.parametrize(("hostile", "harmless"), HOSTILE.items())
def test_escape_spells_out_what_is_not_text(hostile: str, harmless: str) -> None:
    assert escape(hostile) == harmless


def test_long_names_leave_the_columns_readable_and_are_whole_in_details() -> None:
    neighbor = {**NEIGHBOR, "system-name": "n" * 255, "chassis-id": "c" * 255, "port-id": "\x00" * 255}
    line = render("neighbors", [neighbor]).splitlines()[1]
    assert len(line) < 4 * WIDEST_CELL + 40
    assert "n..." in line and "c..." in line and "..." in line
    details = render("neighbors", [neighbor], details=True)
    assert "n" * 255 in details and "\\x00" * 255 in details


def test_columns_line_up_under_wide_and_combining_characters() -> None:
    lines = table(("A", "B"), [("東京", "x"), ("e\u0301", "x"), ("", "x")]).splitlines()
    assert lines == ["A     B", "東京  x", "e\u0301     x", "-     x"]


TIME = "2026-11-22T09:30:00.100Z"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"event": "neighbor-added", "scope": "nearest-bridge", "neighbor": NEIGHBOR},
            "neighbor-added switch1 (02:00:00:00:00:0a) port ge-0/0/1 in nearest-bridge",
        ),
        (
            {"event": "neighbor-updated", "scope": "nearest-bridge", "neighbor": {**NEIGHBOR, "system-name": ""}},
            "neighbor-updated 02:00:00:00:00:0a port ge-0/0/1 in nearest-bridge",
        ),
        (
            {"event": "neighbor-removed", "scope": "nearest-bridge", "reason": "aged out", "neighbor": NEIGHBOR},
            "neighbor-removed switch1 (02:00:00:00:00:0a) port ge-0/0/1 in nearest-bridge (aged out)",
        ),
        (
            {
                "event": "reflective-relay",
                "reflective-relay": "active",
                "was": "unknown",
                "mode": "vepa",
                "reason": "agreed",
            },
            "reflective-relay active, mode vepa (was unknown): agreed",
        ),
        ({"event": "link", "oper-status": "down"}, "link down"),
        (
            {"event": "attachment", "action": "changed", "name": "tap1", "mode": "veb", "reason": "the switch refuses"},
            "attachment tap1 changed, mode veb: the switch refuses",
        ),
        (
            {"event": "vsi", "vsi": VSI, "was": "preassociated"},
            f"vsi {VSI['vsi-id']} associated (was preassociated) 100-52:54:00:8e:50:53: the switch has let it in",
        ),
        (
            {"event": "vsi", "vsi": {**VSI, "reason": None}, "was": "associated", "gone": True},
            f"vsi {VSI['vsi-id']} gone (was associated) 100-52:54:00:8e:50:53",
        ),
        (
            {"event": "vsi", "vsi": {**VSI, "state": "unassociated", "pending": "associate", "filters": []}},
            f"vsi {VSI['vsi-id']} unassociated (associate pending): the switch has let it in",
        ),
        ({"event": "attachment", "action": "removed", "name": "tap1"}, "attachment tap1 removed, mode -"),
        ({"event": "warning", "warning": "two bridges"}, "warning two bridges"),
        (
            {"event": "too-many-neighbors", "scope": "nearest-bridge", "too-many-neighbors": True},
            "too-many-neighbors yes in nearest-bridge",
        ),
        ({"event": "configuration", "ok": True}, "configuration in force"),
        (
            {"event": "configuration", "ok": False, "error": "a.toml: role: what?"},
            "configuration refused, the old one stays in force: a.toml: role: what?",
        ),
        ({"event": "evb", "remote": {"evb-mode": "bridge"}}, 'evb remote={"evb-mode": "bridge"}'),
        ({"event": "sunrise", "bright": True, "rays": [1, 2]}, "sunrise bright=yes rays=1, 2"),
        ({"event": "overflow", "lost": 7}, "overflow 7 events lost: they came faster than they were read"),
    ],
)
def test_an_event_is_one_line(event: dict[str, Any], line: str) -> None:
    assert event_line({"time": TIME, "interface": "eth0", **event}) == f"{TIME} eth0         {line}"
    assert event_line({**event, "v": 1}) == f"{'':24} -            {line}"
    for hostile in HOSTILE:
        assert event_line(replace_texts({"time": TIME, "interface": "eth0", **event}, hostile)).isprintable()
        # The names of events and of their fields come from the agent, not from the network; all the same:
        assert event_line({**replace_texts(event, hostile), "event": event["event"], hostile: 1}).isprintable()
    assert "None" not in event_line({**dict.fromkeys(event), "event": event["event"]})
    assert event_line({"event": event["event"]})


def replace_texts(value: Any, text: str) -> Any:
    match value:
        case str():
            return text
        case list():
            return [replace_texts(entry, text) for entry in value]
        case dict():
            return {key: replace_texts(entry, text) for key, entry in value.items()}
    return value
