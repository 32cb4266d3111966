"""The real agent, run inside a Namespace as its users run it; what it says is read from its state file."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jsonschema import Draft202012Validator

from evbagent.statefile import State, read_state
from tests.support.namespaces import Namespace, end, wait_until

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
Uplink = dict[str, Any]


class Agent:
    """`evbagent run` in a namespace; `options` are more words for it.

    A context manager; or start(), stop() and kill(), as often as a test likes.
    Configuration, log and state directory lie in `directory`, which the host and all namespaces see, and are named
    after the namespace. Every state file that is read is held against the schema.
    """

    def __init__(
        self,
        namespace: Namespace,
        directory: Path,
        interfaces: Sequence[str] = (),
        *,
        role: str | None = None,
        config: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.namespace = namespace
        self.config = directory / f"agent-{namespace.name}.toml"
        self.log = directory / f"agent-{namespace.name}.log"
        self.state_dir = directory / f"state-{namespace.name}"
        self.process: subprocess.Popen[Any] | None = None
        self._interfaces = tuple(interfaces)
        self.options: tuple[str, ...] = ()
        self._role = role
        self._env = dict(env or {})
        self._checked = 0
        self.config.write_text(config)

    def __enter__(self) -> "Agent":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process is not None:
            end(self.process)
            self.process = None

    @property
    def pid(self) -> int:
        assert self.process is not None, "the agent is not running"
        return self.process.pid

    @property
    def command(self) -> list[str]:
        """The command line that starts it."""
        words = [sys.executable, "-m", "evbagent", "run", "--config", str(self.config)]
        words += ["--state-dir", str(self.state_dir)]
        words += [word for interface in self._interfaces for word in ("--interface", interface)]
        words += ["--role", self._role] if self._role else []
        return [*words, *self.options]

    def start(self, timeout: float = 10.0) -> None:
        """Start it, and return when it has written its first state file."""
        self.launch()
        wait_until(self._speaks, f"the agent in {self.namespace.name} has written a state file", timeout, 0.005)

    def launch(self) -> None:
        """Start it and do not wait for anything."""
        self._checked = 0
        with self.log.open("a") as log:
            self.process = self.namespace.popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env=environment() | self._env, cwd=ROOT
            )

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        return self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: no goodbye, nothing tidied up."""
        self._signal(signal.SIGKILL)

    def reload(self, config: str) -> None:
        """Write another configuration and send SIGHUP. What comes of it is to be waited for."""
        self.config.write_text(config)
        os.kill(self.pid, signal.SIGHUP)

    def evbagent(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another command of evbagent on this agent's state directory."""
        command = [sys.executable, "-m", "evbagent", *words]
        return self.namespace.run(
            command, check=check, env=environment() | {"EVBAGENT_STATE_DIR": str(self.state_dir)}, cwd=ROOT
        )

    def read(self) -> State:
        """The state file as its readers find it."""
        state = read_state(self.state_dir)
        if state.document is not None and state.document["generation"] != self._checked:
            _validator().validate(state.document)
            self._checked = state.document["generation"]
        return state

    def state(self) -> dict[str, Any]:
        """The whole document; AssertionError when the file says nothing."""
        state = self.read()
        assert state.document is not None, f"{state.reason}\n{self._log_end()}"
        return state.document

    def uplink(self, interface: str) -> Uplink:
        """One uplink of the document; AssertionError when it is not served."""
        found = [uplink for uplink in self.state()["uplinks"] if uplink["name"] == interface]
        assert found, f"{interface} is not in the state file\n{self._log_end()}"
        return dict(found[0])

    def counters(self, interface: str) -> dict[str, int]:
        """`show statistics` of the nearest customer bridge scope: as they are now, which the state file's are not."""
        rows = json.loads(self.evbagent("show", "statistics", interface, "-j").stdout)
        return dict(next(row for row in rows if row["scope"] == "nearest-customer-bridge"))

    def serves(self, interface: str) -> bool:
        return any(uplink["name"] == interface for uplink in self.state()["uplinks"])

    def wait_for(self, interface: str, holds: Callable[[Uplink], T], what: str, timeout: float = 10.0) -> Uplink:
        """The uplink's document as soon as it is as wanted; AssertionError with what it was instead."""

        def look() -> Uplink | None:
            uplink = next((uplink for uplink in self.state()["uplinks"] if uplink["name"] == interface), None)
            return uplink if uplink is not None and holds(uplink) else None

        try:
            found = wait_until(look, f"{interface} in {self.namespace.name}: {what}", timeout, 0.005)
        except AssertionError as error:
            documents = [uplink for uplink in self.state()["uplinks"] if uplink["name"] == interface]
            raise AssertionError(f"{error}; it is {json.dumps(documents, indent=1)}\n{self._log_end()}") from None
        assert found is not None
        return found

    def wait_for_relay(self, interface: str, relay: str, *, reason: str = "", timeout: float = 10.0) -> Uplink:
        """Wait until the answer is `active`, `inactive` or `unknown`, for a reason with these words in it."""

        def holds(uplink: Uplink) -> bool:
            forwarding = uplink["forwarding"]
            return forwarding["reflective-relay"] == relay and reason in forwarding["reason"]

        return self.wait_for(interface, holds, f"reflective relay {relay} {reason}".strip(), timeout)

    def _speaks(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self._log_end()}")
        document = self.read().document
        return document is not None and document["agent"]["pid"] == self.process.pid

    def _signal(self, number: int) -> int:
        assert self.process is not None, "the agent is not running"
        self.process.send_signal(number)
        status = self.process.wait(10)
        self.process = None
        return status

    def _log_end(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""


def environment() -> dict[str, str]:
    """So that the interpreter finds the project, installed or not, and finds it compiled, as an installed one is."""
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{path}" if path else str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


def neighbors(uplink: Uplink, scope: str = "nearest-customer-bridge") -> list[dict[str, Any]]:
    """The neighbours that the document knows in one scope."""
    return [neighbor for lldp in uplink["lldp"] if lldp["scope"] == scope for neighbor in lldp["neighbors"]]


def statistics(uplink: Uplink, scope: str = "nearest-customer-bridge") -> dict[str, int]:
    return dict(next(lldp["statistics"] for lldp in uplink["lldp"] if lldp["scope"] == scope))


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((ROOT / "evbagent/schema/state-1.json").read_text()))
