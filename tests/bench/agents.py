"""The agents that are measured, started so that the moment of their exec is known."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from tests.support.agent import Agent
from tests.support.namespaces import Namespace, find_program, wait_until
from tests.support.peers import Lldpad, LldpadPort, Lldpd, RatifiedEvb

LLDPAD_BRIDGE = LldpadPort(evb=RatifiedEvb(mode="bridge", rr_capable=True))
LLDPAD_STATION = LldpadPort(evb=RatifiedEvb(mode="station", rr_request=True))
LLDPAD_STATION_EVERYWHERE = replace(LLDPAD_STATION, scopes=frozenset({"nb", "ncb"}))
"""Speaks in the scopes in which evbagent does."""

# Waits for a line, so that all that comes before the exec (joining namespaces) is over when the clock starts.
_GATE = ("sh", "-c", 'read -r go && exec "$@" </dev/null', "sh")


class TimedNamespace(Namespace):
    """A namespace that knows when the last command was executed."""

    started_ns = 0  # CLOCK_REALTIME, like the kernel's times of frames

    def popen(
        self,
        command: Sequence[str] | str,
        *,
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        text: bool = True,
        env: dict[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> "subprocess.Popen[Any]":
        assert not isinstance(command, str) and stdin == subprocess.DEVNULL
        process = super().popen(
            [*_GATE, *command], stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, text=text, env=env, cwd=cwd
        )
        wait_until(lambda: _is_reading(process.pid), "the command is about to be executed", interval=0.001)
        assert process.stdin is not None
        self.started_ns = time.time_ns()
        process.stdin.write("\n")
        process.stdin.close()
        return process


class OursLaunched(Agent):
    """evbagent, not waited for."""

    name = "evbagent"

    def start(self, timeout: float = 10.0) -> None:
        self.launch()


class LldpadLaunched(Lldpad):
    """lldpad, not waited for, and without its debug output, which would slow it down."""

    name = "lldpad"

    def __init__(self, namespace: Namespace, directory: Path, interfaces: Sequence[str], port: LldpadPort) -> None:
        super().__init__(namespace, directory, dict.fromkeys(interfaces, port))

    def start(self, timeout: float = 5.0) -> None:
        with self.log.open("a") as log:
            self.process = self.namespace.popen(
                ["lldpad", "-t", "-f", str(self.config)], stdout=log, stderr=subprocess.STDOUT
            )


class LldpdLaunched(Lldpd):
    """lldpd, not waited for. For an ordinary user it starts some 20 ms late, after tests/support/keep_ids.py."""

    name = "lldpd"

    def _answers(self) -> bool:
        return True


Launched = OursLaunched | LldpadLaunched | LldpdLaunched


def launched(
    kind: str,
    namespace: TimedNamespace,
    directory: Path,
    links: Sequence[str],
    lldpad_port: LldpadPort = LLDPAD_STATION,
) -> Launched:
    """The agent of this name as a station on links called `up...`, to be entered."""
    match kind:
        case "evbagent":
            return OursLaunched(namespace, directory, ["up*"])
        case "lldpad":
            return LldpadLaunched(namespace, directory, links, lldpad_port)
        case "lldpd":
            return LldpdLaunched(namespace, directory, links)
    raise ValueError(f"there is no agent {kind}")


def missing(peer: str) -> str:
    """Why this peer cannot be measured here; empty when it can."""
    control = {"lldpad": "lldptool", "lldpd": "lldpcli"}[peer]
    for program in (peer, control):
        path = find_program(program)
        if path is None:
            return f"{program} is not installed"
        if not os.access(path, os.X_OK):
            return f"{program} may not be run by this user"
    return ""


def pid(agent: Launched) -> int:
    assert agent.process is not None, f"{agent.name} is not running"
    return agent.process.pid


def _is_reading(process: int) -> bool:
    """Whether the gate's shell has started and waits for its line."""
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        return command[0] == b"sh" and Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return False
