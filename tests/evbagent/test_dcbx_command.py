"""`evbagent dcbx`: what is asked, what is printed, and the exit status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evbagent.cli import main
from tests.support.fakevsis import FakeVsis, served

ROW = {
    "interface": "eth0",
    "mode": "observe",
    "dialect": "ieee",
    "reason": "the peer speaks IEEE",
    "nic-state": "it differs",
    "differences": [{"key": "prio-pfc", "nic": "3:off", "wanted": "3:on"}],
}
SAME = {**ROW, "interface": "eth1", "differences": [], "nic-state": "it has what is agreed"}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `evbagent dcbx` against this test's directory: exit status, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main(["dcbx", *words, "--state-dir", str(tmp_path)])
        except SystemExit as ending:
            status = int(str(ending.code))
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def agent(tmp_path: Path) -> FakeVsis:
    found = FakeVsis()
    found.dcbx = [ROW, SAME]
    return found


def test_show(run: Run, tmp_path: Path, agent: FakeVsis) -> None:
    with served(tmp_path, agent):
        status, out, err = run("show")
        assert (status, err) == (0, "")
        assert out == (
            "eth0: DCBX by IEEE 802.1Qaz, mode observe\n  the peer speaks IEEE\n  NIC: it differs\n"
            "    prio-pfc 3:off -> 3:on\n"
            "\n"
            "eth1: DCBX by IEEE 802.1Qaz, mode observe\n  the peer speaks IEEE\n  NIC: it has what is agreed\n"
        )
        status, out, _ = run("show", "eth*", "-j")
        assert (status, json.loads(out)) == (0, [ROW, SAME])


def test_diff(run: Run, tmp_path: Path, agent: FakeVsis) -> None:
    with served(tmp_path, agent):
        assert run("diff") == (0, "eth0: prio-pfc 3:off -> 3:on\neth1: it has what is agreed\n", "")
        status, out, _ = run("diff", "-j")
        keys = ("interface", "differences", "nic-state")
        assert (status, json.loads(out)) == (0, [{key: row[key] for key in keys} for row in (ROW, SAME)])


def test_nothing_to_show(run: Run, tmp_path: Path, agent: FakeVsis) -> None:
    agent.dcbx = []
    with served(tmp_path, agent):
        assert run("show") == (0, "no dcbx\n", "")
        assert run("diff", "-j") == (0, "[]\n", "")
        status, out, err = run("show", "eth7")
        assert (status, out) == (1, "")
        assert err == "evbagent: eth7: the agent does not serve it, or its dcbx.mode is off\n"
    status, out, err = run("show")
    assert (status, out) == (1, "") and "no agent answers" in err


def test_apply_and_restore(run: Run, tmp_path: Path, agent: FakeVsis) -> None:
    change = {"key": "prio-pfc", "nic": "3:off", "wanted": "3:on"}
    agent.changes = [{"interface": "eth0", "changes": [change], "error": ""}]
    with served(tmp_path, agent):
        assert run("apply", "eth0") == (0, "eth0: prio-pfc 3:off -> 3:on\n", "")
        status, out, _ = run("restore", "eth0", "-j")
        assert (status, json.loads(out)) == (0, agent.changes[0])
        agent.changes = [{"interface": "eth0", "changes": [], "error": ""}]
        assert run("restore", "eth0") == (0, "eth0: nothing to write\n", "")
        agent.changes = [{"interface": "eth0", "changes": [change], "error": "refused"}]
        assert run("apply", "eth0") == (1, "eth0: prio-pfc 3:off -> 3:on\n", "evbagent: eth0: refused\n")
    assert agent.changed == [("eth0", "apply"), ("eth0", "restore"), ("eth0", "restore"), ("eth0", "apply")]


def test_what_cannot_be_asked(run: Run, tmp_path: Path, agent: FakeVsis) -> None:
    with served(tmp_path, agent):
        assert run("apply", "eth9") == (1, "", "evbagent: interface: the agent does not serve eth9\n")
        assert run("apply")[0] == 2
        assert run("undo", "eth0")[0] == 2
    status, _, err = run("restore", "eth0")
    assert status == 1 and "no agent answers" in err


def test_words_of_the_network_are_only_words(run: Run, tmp_path: Path, agent: FakeVsis) -> None:
    agent.changes = [{"interface": "eth0", "changes": [{"key": "\x1b[2J"}], "error": "\x1b[2J"}]
    with served(tmp_path, agent):
        _, out, err = run("apply", "eth0")
    assert "\x1b" not in out + err
