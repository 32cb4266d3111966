"""Clients that have a station's VSIs associated: of ours over its control socket, of lldpad as vdptool does it."""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from evbagent.client import Client
from tests.support.agent import Agent
from tests.support.namespaces import Namespace
from tests.support.vdpdus import VsiOctets, numbered

Mode = Literal["associate", "deassociate"]

PATIENCE_S = 30.0
# lldpad confirms one VSI after the other; when nothing has come for so long, the others are lost.
LLDPAD_QUIET_S = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """VSIs asked for at once, and milliseconds from the first request to the last confirmation."""

    asked: int
    confirmed: int
    milliseconds: float

    @property
    def lost(self) -> int:
        return self.asked - self.confirmed

    @property
    def each(self) -> float:
        return self.milliseconds / max(1, self.confirmed)


class OurClient:
    """One session."""

    def __init__(self, agent: Agent, uplink: str) -> None:
        self.client = connect(agent)
        self._session = self.client.vsi(uplink)

    def close(self) -> None:
        self._session.close()
        self.client.close()

    def ask(self, numbers: Sequence[int], mode: Mode = "associate") -> Asked:
        specs = [spec(number, mode) for number in numbers]
        begun = last = time.perf_counter()
        confirmed = 0
        self._session.request(specs)
        for answer in self._session.answers(2 * PATIENCE_S):
            if answer["result"] == "granted":
                confirmed += 1
                last = time.perf_counter()
        return Asked(len(specs), confirmed, (last - begun) * 1000)


class LldpadClient:
    """A monitor of lldpad's VDP, so that it is told what becomes of its requests. Each is sent when the one before it
    has been taken; starting vdptool for each of them would take longer than all that is measured.
    """

    def __init__(self, namespace: Namespace, uplink: str) -> None:
        self._uplink = uplink
        self._socket = namespace.call(socket.socket, socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"{_LLDPAD_ADDRESS}/{os.getpid()}")
        self._socket.connect(_LLDPAD_ADDRESS)

    def close(self) -> None:
        self._socket.close()

    def ask(self, numbers: Sequence[int], mode: Mode = "associate") -> Asked:
        """Attached only meanwhile: lldpad drops a monitor that does not read."""
        requests = iter([vdptool_request(self._uplink, number, mode) for number in numbers])
        unconfirmed = {numbered(number).uuid for number in numbers}
        self._attach()
        begun = last = time.perf_counter()
        refused = 0
        self._socket.send(next(requests))
        while len(unconfirmed) > refused and (left := last + LLDPAD_QUIET_S - time.perf_counter()) > 0:
            message = self._receive(left)
            if message.startswith("R"):
                refused += not message.startswith("R00")
                for request in islice(requests, 1):
                    self._socket.send(request)
            elif (uuid := confirmed_uuid(message, mode)) in unconfirmed:
                unconfirmed.discard(uuid)
                last = time.perf_counter()
        self._command("D")
        return Asked(len(numbers), len(numbers) - len(unconfirmed), (last - begun) * 1000)

    def _attach(self) -> None:
        while self._receive(1e-3):
            pass
        self._command("A80c4")

    def _command(self, command: str) -> None:
        self._socket.send(command.encode())
        deadline = time.monotonic() + PATIENCE_S
        while not self._receive(1.0).startswith(f"R00{command[0]}"):
            assert time.monotonic() < deadline, f"lldpad does not answer {command}"

    def _receive(self, seconds: float) -> str:
        """Empty when nothing has come."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(4096).decode()
        except TimeoutError:
            return ""


def connect(agent: Agent) -> Client:
    """A client with an address in the agent's network namespace, where the agent can answer it."""
    with agent.namespace.entered():
        return Client(agent.state_dir)


def spec(number: int, mode: Mode = "associate") -> dict[str, Any]:
    """The request of this VSI for us; for lldpad it is `vdptool_request()`, on the wire `numbered()`."""
    vsi = numbered(number)
    return {
        "id": number,
        "request": mode,
        "instance": vsi.uuid,
        "manager": _MANAGER,
        "type": vsi.type_id,
        "type-version": vsi.version,
        "filter": [_filter(vsi)],
        "wait": PATIENCE_S,
    }


def vdptool_request(uplink: str, number: int, mode: Mode = "associate") -> bytes:
    """What `vdptool -T` sends (sheet `lldpad-interfaces.md` 5.7)."""
    vsi = numbered(number)
    word, kind = _WORDS[mode]
    arguments = {
        "mode": word,
        "mgrid2": _MANAGER,
        "typeid": str(vsi.type_id),
        "typeidver": str(vsi.version),
        "uuid": vsi.uuid,
        "hints": "none",
        "filter": _filter(vsi),
    }
    text = "".join(f"{len(name):02x}{name}{len(value):04x}{value}" for name, value in arguments.items())
    return f"M000080c4C3020000011c{len(uplink):02x}{uplink}02{kind:08x}{text}".encode()


def confirmed_uuid(event: str, mode: Mode) -> str | None:
    """Whose request of this kind an event of lldpad says to be done: there the hints are the bridge's answer."""
    word, _ = _WORDS[mode]
    if f"04mode{len(word):04x}{word}" not in event or (mode == "associate" and "05hints00010" not in event):
        return None
    _, found, rest = event.partition("04uuid0024")
    return rest[:36] if found else None


def _filter(vsi: VsiOctets) -> str:
    return f"{vsi.vids[0]}-{vsi.entries[0][:6].hex(':')}"


_MANAGER = "blabla"  # the one of `numbered()`
_LLDPAD_ADDRESS = "\0/com/intel/lldpad"
_WORDS: dict[Mode, tuple[str, int]] = {"associate": ("assoc", 3), "deassociate": ("deassoc", 4)}
