"""`evbagent vsi`, `evbagent switch` and `show vsis`: what is asked, what is printed, and the exit status."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evbagent import commands_vsi
from evbagent.cli import main
from tests.support.fakevsis import INSTANCE, FakeVsis, document, granted, outcome, served

MAC = "52:54:00:8e:50:53"
ASSOCIATE = [
    "associate",
    "eth0",
    "--instance",
    INSTANCE,
    "--manager",
    "192.0.2.1",
    "--type",
    "5",
    "--type-version",
    "1",
]
FILTER = ["--filter", f"0-{MAC}"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command against this test's directory: exit status, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main([*words, "--state-dir", str(tmp_path)])
        except SystemExit as ending:
            status = int(str(ending.code))
        return status, *capsys.readouterr()

    return run


def test_an_association_and_the_vid_that_the_switch_chose(run: Run, tmp_path: Path) -> None:
    with served(tmp_path, FakeVsis()) as vsis:
        status, out, err = run("vsi", *ASSOCIATE, *FILTER)
    assert (status, out, err) == (0, f"associated: 100-{MAC} (VID 100)\n", "")
    assert vsis.asked == [
        (
            "eth0",
            {
                "id": 1,
                "request": "associate",
                "instance": INSTANCE,
                "manager": "192.0.2.1",
                "type": 5,
                "type-version": 1,
                "filter": [f"0-{MAC}"],
                "wait": 30.0,
            },
        )
    ]


def test_all_that_can_be_said_of_a_request(run: Run, tmp_path: Path) -> None:
    more = ["--filter", f"12/3-{MAC}-77", "--hint", "migrate", "--persistent", "--wait", "0.5"]
    vm = ["--vm-name", "one", "--vm-uuid", INSTANCE, "--vm-address", "192.0.2.9"]
    with served(tmp_path, FakeVsis()) as vsis:
        status, out, _ = run("vsi", "preassociate-rr", *ASSOCIATE[1:], *FILTER, *more, *vm)
    assert (status, out) == (0, f"preassociated-rr: 100-{MAC}, 12/3-{MAC}-77 (VIDs 100, 12)\n")
    ((_, spec),) = vsis.asked
    assert spec["filter"] == [f"0-{MAC}", f"12/3-{MAC}-77"]
    assert (spec["hint"], spec["persistent"], spec["wait"]) == ("migrate", True, 0.5)
    assert (spec["vm-name"], spec["vm-uuid"], spec["vm-address"]) == ("one", INSTANCE, "192.0.2.9")


def test_the_answer_in_json(run: Run, tmp_path: Path) -> None:
    with served(tmp_path, FakeVsis()):
        status, out, _ = run("vsi", "preassociate", *ASSOCIATE[1:], *FILTER, "-j")
    answer = json.loads(out)
    assert status == 0
    assert list(answer) == ["interface", "result", "response", "text", "vsi"]
    assert (answer["interface"], answer["result"], answer["response"]) == ("eth0", "granted", "success")
    assert answer["vsi"]["filters"][0] == {"vid": 100, "mac-address": MAC}


@pytest.mark.parametrize(
    ("result", "response", "text", "status", "said"),
    [
        ("refused", "insufficient-resources", "the switch refuses", 3, "the switch refuses (insufficient-resources)"),
        ("refused", "out-of-sync", "the switch says out-of-sync", 3, "the switch says out-of-sync"),
        ("timed-out", None, "no answer within 30 s", 4, "no answer within 30 s"),
        ("link-lost", None, "the link went down", 4, "the link went down"),
        ("superseded", None, "another request took its place", 1, "another request took its place"),
        ("invalid", None, "filter 1: VID 4095 is none", 1, "filter 1: VID 4095 is none"),
        ("invalid", None, "evil \x1b[2J", 1, r"evil \x1b[2J"),
        ("else", None, "", 1, "else"),
    ],
)
def test_a_no_is_said_in_words_and_by_the_exit_status(
    run: Run, tmp_path: Path, result: str, response: str | None, text: str, status: int, said: str
) -> None:
    with served(tmp_path, FakeVsis(lambda spec: outcome(spec, result, text, response))):
        complaint = f"evbagent: eth0: VSI {INSTANCE}: {said}\n"
        assert run("vsi", *ASSOCIATE, *FILTER) == (status, "", complaint)
        code, out, err = run("vsi", *ASSOCIATE, *FILTER, "-j")
    assert (code, err) == (status, complaint)
    assert json.loads(out)["result"] == result


def test_to_deassociate_takes_the_instance_only(run: Run, tmp_path: Path) -> None:
    with served(tmp_path, FakeVsis()) as vsis:
        assert run("vsi", "deassociate", "eth0", "--instance", INSTANCE) == (
            0,
            "deassociated: it is unassociated\n",
            "",
        )
        asked = {"id": 1, "request": "deassociate", "instance": INSTANCE, "wait": 30.0}
        assert vsis.asked.pop() == ("eth0", asked)
        vsis.switch = lambda spec: granted(spec) | {"vsi": None, "text": "it was not associated"}
        assert run("vsi", "deassociate", "eth0", "--instance", INSTANCE)[1] == "deassociated: it was not associated\n"
        assert run("vsi", "deassociate", "eth0", "--instance", INSTANCE, "--type", "7")[0] == 0
        assert vsis.asked.pop()[1]["type"] == 7


def test_no_agent_no_interface_and_an_agent_that_says_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = run("vsi", *ASSOCIATE, *FILTER)
    assert status == 1 and "evbagent run" in err
    with served(tmp_path, FakeVsis(lambda spec: None)):
        assert run("vsi", "associate", "eth9", *ASSOCIATE[2:], *FILTER) == (1, "", "evbagent: eth9 is not served\n")
        monkeypatch.setattr(commands_vsi, "GRACE_SECONDS", 0.02)
        status, _, err = run("vsi", *ASSOCIATE, *FILTER, "--wait", "0")
    assert status == 4 and "has not answered" in err


@pytest.mark.parametrize(
    "words",
    [
        ["vsi"],
        ["vsi", "reassociate", "eth0"],
        ["vsi", *ASSOCIATE],
        ["vsi", "deassociate", "eth0"],
        ["vsi", "associate", "eth0", *FILTER],
        ["vsi", *ASSOCIATE, *FILTER, "--type", "many"],
        ["vsi", *ASSOCIATE, *FILTER, "--hint", "stay"],
        ["vsi", *ASSOCIATE, *FILTER, "--wait", "-1"],
        ["switch"],
        ["switch", "deassociate"],
        ["switch", "deassociate", "eth0"],
        ["switch", "deassociate", "--all", "--instance", INSTANCE],
    ],
)
def test_wrong_usage(run: Run, words: list[str]) -> None:
    assert run(*words)[0] == 2


def test_a_switch_deassociates(run: Run, tmp_path: Path) -> None:
    with served(tmp_path, FakeVsis()) as vsis:
        assert run("switch", "deassociate", "--all") == (0, "no vsis\n", "")
        status, _, err = run("switch", "deassociate", "--instance", INSTANCE)
        assert status == 1 and f"no VSI {INSTANCE} is held here" in err
        vsis.held = [{"interface": "swp1", "vsi-id": INSTANCE}]
        assert run("switch", "deassociate", "swp*", "--instance", INSTANCE)[:2] == (
            0,
            f"swp1: {INSTANCE} deassociated\n",
        )
        assert json.loads(run("switch", "deassociate", "swp1", "--all", "-j")[1]) == vsis.held
        assert run("switch", "deassociate", "eth9", "--all") == (1, "", "evbagent: eth9 is not served\n")
    assert vsis.withdrawals == [(None, None), (None, INSTANCE), ("swp*", INSTANCE), ("swp1", None)]


def test_four_thousand_are_shown_completely(run: Run, tmp_path: Path) -> None:
    vsis = FakeVsis()
    spec = {"request": "associate", "manager": "192.0.2.1", "filter": [f"0-{MAC}"]}
    vsis.held = [
        {"interface": "eth0", "role": "station", **document({**spec, "instance": f"local:{number:032x}"})}
        for number in range(4000)
    ]
    with served(tmp_path, vsis):
        status, out, _ = run("show", "vsis")
        assert status == 0 and len(out.splitlines()) == 4001
        assert out.splitlines()[4000].split()[1] == vsis.held[-1]["vsi-id"]
        found: list[dict[str, Any]] = json.loads(run("show", "vsis", "-j")[1])
        assert found == vsis.held
        assert run("show", "vsis", "--details")[1].count("vsi-type-id: 0\n") == 4000


def test_two_thousand_filters(capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for number in range(2000) for word in ("--filter", str(number))]
    status = main(
        ["vsi", "associate", "eth0", "--instance", "x", "--manager", "1", "--type", "1", "--type-version", "1", *words]
    )
    assert status == 1 and "filter: there are 2000 entries, at most 243" in capsys.readouterr().err
