"""`evbagent libvirt domain` and `evbagent libvirt hook` as their callers see them: octets, words and exit statuses."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from evbagent import attach
from evbagent.cli import main
from tests.support.domains import DOMAIN, NETWORK, Teller, domain

ROOT = Path(__file__).parents[2]
VEPA = "<source dev='eth0' mode='vepa'/>"
NOW = timedelta(0)


@pytest.fixture
def teller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Teller]:
    monkeypatch.setenv("EVBAGENT_STATE_DIR", str(tmp_path))
    teller = Teller(tmp_path)
    with asyncio.Runner() as runner:
        runner.run(teller.start())
        yield teller
        teller.stop()


def evbagent(*words: str, input: str | bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "evbagent", *words],
        input=input.encode() if isinstance(input, str) else input,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


Hook = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hook(capsys: pytest.CaptureFixture[str]) -> Hook:
    """`hook(document, *options, operation="prepare")`: exit status, what is printed for libvirt, what is said."""

    def run(text: str, *words: str, operation: str = "prepare") -> tuple[int, str, str]:
        guest = os.memfd_create("guest")
        os.write(guest, text.encode())
        os.lseek(guest, 0, os.SEEK_SET)
        before = os.dup(0)
        try:
            os.dup2(guest, 0)
            status = main(["libvirt", "hook", *words, "--", "guest0", operation, "begin", "-"])
        finally:
            os.dup2(before, 0)
            os.close(before)
            os.close(guest)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_a_file(teller: Teller, tmp_path: Path) -> None:
    teller.say(eth0="active", eth1="inactive", eth2="unknown")
    file = tmp_path / "guest.xml"
    file.write_text(DOMAIN)
    done = evbagent("libvirt", "domain", str(file))
    assert done.returncode == 0
    assert done.stdout == (
        DOMAIN.replace("mode='auto'/>\n      <model", "mode='vepa'/>\n      <model")
        .replace('"VEPA"', '"bridge"')
        .replace("&#97;ll", "bridge")
    )
    assert done.stderr.splitlines() == [
        f"evbagent: {file}: line 10, column 7: interface 52:54:00:11:22:33 on eth0: auto becomes vepa: "
        "the relay of eth0 is active",
        f"evbagent: {file}: line 15, column 7: interface 52:54:00:11:22:34 on eth1: VEPA becomes bridge: "
        "the relay of eth1 is inactive",
        f"evbagent: {file}: line 20, column 30: interface on eth2: all becomes bridge: the relay of eth2 is unknown",
    ]
    assert file.read_text() == DOMAIN


@pytest.mark.parametrize("words", [(), ("-",), ("/dev/stdin",)])
def test_standard_input(teller: Teller, words: tuple[str, ...]) -> None:
    teller.say(eth0="active", eth1="active")
    done = evbagent("libvirt", "domain", *words, input=NETWORK)
    assert (done.returncode, done.stdout) == (0, NETWORK.replace("auto", "vepa"))
    assert done.stderr == (
        "evbagent: standard input: line 3, column 3: network on eth0, eth1: auto becomes vepa: "
        "the relay of eth0 is active\n"
    )


def test_octets_of_other_encodings(teller: Teller) -> None:
    octets = "<?xml version='1.0' encoding='ISO-8859-1'?>\r\n<!-- \xe4 -->".encode("latin-1") + domain(
        "<source dev='eth0' mode='auto'/>"
    ).encode().replace(b"\n", b"\r\n")
    file = teller.directory / "latin.xml"
    file.write_bytes(octets)
    out = subprocess.run(
        [sys.executable, "-m", "evbagent", "libvirt", "domain", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    ).stdout
    assert out == octets.replace(b"'auto'", b"'bridge'")
    done = evbagent("libvirt", "domain", str(file), "-j")
    assert json.loads(done.stdout)["xml"] == out.decode("latin-1")


def test_json(teller: Teller) -> None:
    teller.say(eth0="active", eth1="inactive")
    text = DOMAIN.replace("all", "private").replace("&#97;ll", "vepa").replace("eth&#50;", "eth1")
    done = evbagent("libvirt", "domain", "-j", input=text)
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert document["xml"] == text.replace("mode='auto'/>\n      <model", "mode='vepa'/>\n      <model").replace(
        '"VEPA"', '"bridge"'
    )
    assert document["changes"][0] == {
        "line": 10,
        "column": 7,
        "mac-address": "52:54:00:11:22:33",
        "uplinks": ["eth0"],
        "from": "auto",
        "to": "vepa",
        "mode": "vepa",
        "reflective-relay": "active",
        "reason": "the relay of eth0 is active",
    }
    assert [change["to"] for change in document["changes"]] == ["vepa", "bridge"]
    assert document["warnings"] == [
        {
            "line": 20,
            "column": 30,
            "mac-address": None,
            "uplink": "eth1",
            "reflective-relay": "inactive",
            "reason": "the relay of eth1 is inactive",
        }
    ]
    assert {key: document[key] for key in ("file", "root", "policy")} == {
        "file": "-",
        "root": "domain",
        "policy": "prefer-vepa",
    }


def test_nothing_to_do(teller: Teller) -> None:
    done = evbagent("libvirt", "domain", input=domain("<source dev='eth0' mode='bridge'/>"))
    assert (done.returncode, done.stdout, done.stderr) == (0, domain("<source dev='eth0' mode='bridge'/>"), "")


def test_a_guest_in_doubt_is_named(teller: Teller) -> None:
    teller.say(eth0="inactive")
    done = evbagent("libvirt", "domain", input=domain("<source dev='eth0'/>"))
    assert (done.returncode, done.stdout) == (0, domain("<source dev='eth0'/>"))
    assert done.stderr == (
        "evbagent: standard input: line 9, column 7: interface 52:54:00:11:22:33 on eth0 is in mode vepa, "
        "libvirt's default, and would be cut off: the relay of eth0 is inactive\n"
    )


def test_a_policy_that_is_not_met(teller: Teller) -> None:
    teller.say(eth0="active", eth1="inactive")
    for words in ((), ("-j",)):
        done = evbagent("libvirt", "domain", "--policy", "require-vepa", *words, input=DOMAIN)
        assert (done.returncode, done.stdout) == (3, "")
        unmet = "require-vepa is not met"
        assert done.stderr.splitlines() == [
            f"evbagent: standard input: line 15, column 7: eth1: {unmet}: the relay of eth1 is inactive",
            f"evbagent: standard input: line 20, column 30: eth2: {unmet}: the agent does not serve eth2",
        ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "evbagent: standard input: line 1, column 1: no element found\n"),
        ("<domain>\n</domian>", "evbagent: standard input: line 2, column 3: mismatched tag\n"),
        ("<!DOCTYPE domain>\n<domain/>", "evbagent: standard input: line 1, column 17: it has a DOCTYPE, which"),
        ("<pool/>", "evbagent: standard input: line 1, column 1: <pool> is not a domain"),
        (domain("<source dev='eth0' mode='a\x1b[31m'/>").replace("\x1b", "&#9;"), "there is no mode 'a\\t[31m'"),
    ],
)
def test_what_is_no_document(teller: Teller, text: str, said: str) -> None:
    done = evbagent("libvirt", "domain", input=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = evbagent("libvirt", "domain", str(tmp_path / "none.xml"))
    assert (done.returncode, done.stderr) == (1, f"evbagent: {tmp_path}/none.xml: No such file or directory\n")
    done = evbagent("libvirt", "domain", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, f"evbagent: {tmp_path}: Is a directory\n")


@pytest.mark.parametrize(
    ("relay", "words", "status", "said"),
    [
        ("active", (), 0, ""),
        ("inactive", (), 3, "would be cut off: the relay of eth0 is inactive; use mode='bridge'"),
        ("inactive", ("--strict",), 3, "would be cut off"),
        ("inactive", ("--warn",), 0, "would be cut off: the relay of eth0 is inactive\n"),
        ("unknown", (), 0, "may be cut off: the relay of eth0 is unknown\n"),
        ("unknown", ("--warn",), 0, "may be cut off: the relay of eth0 is unknown\n"),
    ],
)
def test_the_hook(
    teller: Teller,
    relay: str,
    words: tuple[str, ...],
    status: int,
    said: str,
    hook: Hook,
) -> None:
    teller.say(eth0=relay)
    got, printed, errors = hook(domain(VEPA), *words)
    assert (got, printed) == (status, "")
    assert said in errors if said else not errors
    if said:
        assert errors.startswith("evbagent: guest guest0: interface 52:54:00:11:22:33 on eth0 is in mode vepa, and ")


def test_the_hook_lets_others_alone(teller: Teller, hook: Hook) -> None:
    teller.say(eth0="inactive")
    for mode in ("bridge", "private", "passthrough"):
        text = domain(f"<source dev='eth0' mode='{mode}'/>")
        assert hook(text, "--strict") == (0, "", "")
    assert hook(domain("<source network='default'/>", "network"), "--strict") == (0, "", "")


def test_the_hook_where_nobody_knows(teller: Teller, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evbagent.libvirthook.SETTLED_US", 50_000)
    status, _, errors = hook(domain(VEPA))
    assert status == 0 and "the agent does not serve eth0" in errors
    assert hook(domain(VEPA), "--strict")[0] == 3
    teller.stop()
    status, _, errors = hook(domain(VEPA))
    assert status == 0 and "no agent is running" in errors
    assert hook(domain(VEPA), "--strict")[0] == 3
    (teller.directory / "state.json").write_text("{")
    assert hook(domain(VEPA))[0] == 0


@pytest.mark.parametrize("strict", [(), ("--strict",)])
def test_the_hook_gives_a_switch_time_to_agree(
    teller: Teller, strict: tuple[str, ...], hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a link came up the switch's first word is not yet its last."""
    slept: list[float] = []

    def agree(seconds: float) -> None:
        slept.append(seconds)
        teller.say(eth0="active")

    monkeypatch.setattr(attach.time, "sleep", agree)
    teller.say(NOW, eth0="inactive")
    assert hook(domain(VEPA), *strict) == (0, "", "")
    assert slept
    slept.clear()
    teller.say(eth0="inactive")
    assert hook(domain(VEPA), *strict)[0] == 3
    assert not slept, "said long ago"


def test_guests_of_a_network_are_judged_at_start(teller: Teller, hook: Hook) -> None:
    """They have no uplink before; the others have been judged by then."""
    teller.say(eth0="inactive")
    of_network = domain("<source network='pool' portid='1' dev='eth0' mode='vepa'/>")
    assert hook(of_network, operation="start")[0] == 3
    assert hook(domain(VEPA), operation="start") == (0, "", "")


@pytest.mark.parametrize("operation", ["migrate", "restore"])
def test_a_guest_that_comes_in(teller: Teller, operation: str, hook: Hook) -> None:
    teller.say(eth0="inactive")
    status, printed, errors = hook(domain(VEPA), "--adapt", operation=operation)
    assert (status, printed) == (0, domain("<source dev='eth0' mode='bridge'/>"))
    assert errors.endswith("the relay of eth0 is inactive; it comes in as bridge\n")
    assert hook(domain(VEPA), operation=operation)[:2] == (3, "")
    assert hook(domain(VEPA), "--adapt", operation="prepare")[:2] == (3, "")
    default = domain("<source dev='eth0'/>")
    assert hook(default, "--adapt", operation=operation)[:2] == (3, "")
    teller.say(eth0="active")
    assert hook(domain(VEPA), "--adapt", operation=operation) == (0, "", "")


def test_the_hook_without_standard_input(teller: Teller, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.dup(0)
    try:
        os.close(0)
        status = main(["libvirt", "hook", "--", "guest0", "prepare", "begin", "-"])
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert status == 1 and capsys.readouterr().err == "evbagent: guest guest0: Bad file descriptor\n"


def test_the_hook_fails_without_a_no(teller: Teller, hook: Hook) -> None:
    """What it cannot read it does not refuse."""
    teller.say(eth0="inactive")
    for text in ("", "<domain>", "<!DOCTYPE x>" + domain(VEPA)):
        status, printed, errors = hook(text)
        assert (status, printed) == (1, "")
        assert errors.startswith("evbagent: guest guest0: line 1, column ")


@pytest.mark.parametrize("guest", ["-x", "--", "--warn", "a b", "grün"])
def test_any_name_of_a_guest(teller: Teller, guest: str) -> None:
    teller.say(eth0="inactive")
    done = evbagent("libvirt", "hook", "--", guest, "prepare", "begin", "-", input=domain(VEPA))
    assert done.returncode == 3
    assert done.stderr.startswith(f"evbagent: guest {guest}: interface")


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["hook", "a"],
        ["hook", "--warn", "--strict", "a", "b", "c", "d"],
        ["domain", "--policy", "vepa"],
        [],
    ):
        with pytest.raises(SystemExit) as caught:
            main(["libvirt", *words])
        assert caught.value.code == 2
    capsys.readouterr()
