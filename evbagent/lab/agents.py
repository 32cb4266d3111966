"""Programs in the lab: the agent of either side, and its commands, as users run them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import evbagent
from evbagent.lab.links import Namespace
from evbagent.lab.wire import Journal, LabError
from evbagent.statefile import read_state

COMMAND_SECONDS = 20.0
LOG_END = 20_000
LOSSLESS = 3
DCBX: Mapping[str, str] = MappingProxyType(
    {
        "station": "dcbx = { advertise = true }\n",
        "bridge": f"""
[dcbx]
advertise = true
ets = {{ prio-tc = "{LOSSLESS}:1", tc-bw = "0:40 1:60" }}
pfc = {{ prio-pfc = [{LOSSLESS}] }}
app = {{ dgram-port-prio = "4791:{LOSSLESS}" }}
""",
    }
)
"""Configuration by role; veth has no DCB, so what is agreed is only shown."""


class Agent:
    """`evbagent run` on one interface of a namespace, with an LLDPDU a second and a TTL of 3 s."""

    def __init__(self, namespace: Namespace, directory: Path, interface: str, role: str, edition: str) -> None:
        self.state_dir = directory / role
        self.log = directory / f"{role}.log"
        self._namespace = namespace
        self._config = directory / f"{role}.toml"
        self._interface = interface
        self._role = role
        self._edition = edition
        self._process: subprocess.Popen[bytes] | None = None
        self._configure(True)

    def start(self, journal: Journal) -> None:
        """Return when it has written its state file, and so serves its interface."""
        words = ["run", "--config", str(self._config), "--state-dir", str(self.state_dir)]
        words += ["--interface", self._interface, "--role", self._role]
        process = self._process = launch(self._namespace, evbagent_command(*words), self.log)

        def speaks() -> bool:
            if process.poll() is not None:
                raise LabError(f"the agent ended with exit status {process.returncode}: {log_end(self.log, 200)}")
            document = read_state(self.state_dir).document
            return document is not None and document["agent"]["pid"] == process.pid

        journal.wait_for(speaks, f"the agent in the {self._role} role has started")

    def set_relay(self, on: bool) -> None:
        """Ask for it or offer it, or not: another configuration, and SIGHUP."""
        self._configure(on)
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def uplink(self) -> dict[str, Any]:
        """What its state file says of the interface, {} for nothing."""
        return read_state(self.state_dir).uplink(self._interface) or {}

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Another command of evbagent beside this agent."""
        return run(self._namespace, evbagent_command(*words, "--state-dir", str(self.state_dir)))

    def mode(self) -> str:
        """What `evbagent mode` prints."""
        return self.command("mode", self._interface).stdout.strip()

    def _configure(self, relay: bool) -> None:
        self._config.write_text(
            f'lldp = {{ message-tx-interval = 1, message-tx-hold-multiplier = 2, system-name = "lab-{self._role}" }}\n'
            f'evb = {{ edition = "{self._edition}", reflective-relay = "{"request" if relay else "off"}" }}\n'
            f"{DCBX[self._role]}"
        )


def evbagent_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "evbagent", *words]


def launch(namespace: Namespace, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a program in the namespace."""
    with log.open("ab") as output, namespace.entered():
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=_environment()
        )


def run(namespace: Namespace, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a program in the namespace to its end."""
    with namespace.entered():
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            env=_environment(),
        )


def log_end(log: Path, characters: int = LOG_END) -> str:
    try:
        return log.read_text(errors="replace")[-characters:].strip()
    except OSError:
        return ""


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    """The JSON that a command printed. LabError with its complaint."""
    if done.returncode != 0:
        raise LabError(done.stderr.strip() or f"exit status {done.returncode}: {done.args}")
    return json.loads(done.stdout)


def _environment() -> dict[str, str]:
    """So that the interpreter finds this very package, installed or not."""
    environment = {name: value for name, value in os.environ.items() if name != "EVBAGENT_STATE_DIR"}
    parent = str(Path(evbagent.__path__[0]).parent)
    if Path(parent).name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (parent, os.environ.get("PYTHONPATH"))))
    return environment
