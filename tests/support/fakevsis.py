"""An agent's control socket with VSIs behind it that exist nowhere else: what a switch says is what a test sets."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from evbagent.control import ControlError, ControlServer

Answer = Callable[[list[dict[str, Any]]], None]
INSTANCE = "a0b1c2d3-0000-4000-8000-000000000001"


def document(spec: Mapping[str, Any], state: str = "associated", vid: int = 100) -> dict[str, Any]:
    """The VSI that a request asks for, as the agent shows it; VID 0 is filled in."""
    return {
        "vsi-id": spec["instance"],
        "vsi-id-format": "uuid",
        "state": state,
        "request": spec["request"],
        "response": "success",
        "reason": "the switch has let it in",
        "filters": [_filter(text, vid) for text in spec.get("filter", ())],
        "filter-info-format": "mac-vid",
        "vsi-manager-id": str(spec.get("manager", "")),
        "vsi-type-id": spec.get("type", 0),
        "vsi-type-version": spec.get("type-version", 0),
        "owner": "client",
        "since": "2026-11-22T09:30:00.100Z",
    }


def granted(spec: Mapping[str, Any], vid: int = 100) -> dict[str, Any]:
    """The answer of a switch that lets in whoever asks."""
    states = {"associate": "associated", "preassociate": "preassociated", "preassociate-rr": "preassociated-rr"}
    state = states.get(spec["request"], "unassociated")
    vsi = document(spec, state, vid)
    return {"id": spec.get("id"), "result": "granted", "response": "success", "text": f"it is {state}", "vsi": vsi}


def outcome(spec: Mapping[str, Any], result: str, text: str, response: str | None = None) -> dict[str, Any]:
    return {"id": spec.get("id"), "result": result, "response": response, "text": text, "vsi": None}


class Session:
    """Of one client. `later` holds what is not answered yet, for a test to answer by `answer`."""

    def __init__(self, vsis: "FakeVsis", interface: str, answer: Answer) -> None:
        self.interface, self.answer = interface, answer
        self.later: list[dict[str, Any]] = []
        self.closings = 0
        self._vsis = vsis

    def request(self, specs: list[Any]) -> None:
        self._vsis.asked += [(self.interface, spec) for spec in specs]
        answers = []
        for spec in specs:
            answer = self._vsis.switch(spec)
            if answer is None:
                self.later.append(spec)
            else:
                answers.append(answer)
        if answers:
            self.answer(answers)

    def closed(self) -> None:
        self.closings += 1


class FakeVsis:
    """A control.Handler. `switch` answers a request; None: not now."""

    def __init__(self, switch: Callable[[dict[str, Any]], dict[str, Any] | None] = granted) -> None:
        self.switch = switch
        self.asked: list[tuple[str, Any]] = []
        self.sessions: list[Session] = []
        self.held: list[dict[str, Any]] = []
        self.withdrawals: list[tuple[str | None, str | None]] = []
        self.reloads = 0
        self.dcbx: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.changed: list[tuple[str, str]] = []

    @property
    def requests(self) -> list[tuple[str, str]]:
        """What was asked for, and for which instance."""
        return [(spec["request"], spec["instance"]) for _, spec in self.asked]

    def show(self, what: str, glob: str | None) -> Any:
        return {"vsis": self.held, "dcbx": self.dcbx}.get(what, [])

    def holds(self, interface: str, condition: str) -> bool:
        return False

    def open_vsi(self, interface: str, answer: Answer) -> Session:
        if interface == "eth9":
            raise ControlError("eth9 is not served")
        self.sessions.append(Session(self, interface, answer))
        return self.sessions[-1]

    def withdraw(self, interface: str | None, instance: str | None) -> list[dict[str, Any]]:
        if interface == "eth9":
            raise ControlError("eth9 is not served")
        self.withdrawals.append((interface, instance))
        return [entry for entry in self.held if instance in (None, entry["vsi-id"])]

    def reload(self) -> None:
        self.reloads += 1

    def change_dcb(self, interface: str, action: str) -> list[dict[str, Any]]:
        if interface == "eth9":
            raise ControlError("interface: the agent does not serve eth9")
        self.changed.append((interface, action))
        return self.changes


@contextmanager
def served(directory: Path, handler: FakeVsis) -> Any:
    """The handler behind a control socket, in a thread and in the network namespace of the caller's."""
    started, ending = Event(), Event()
    failure: list[BaseException] = []

    async def serve() -> None:
        server = ControlServer(directory / "control.sock", handler)
        await server.start()
        started.set()
        try:
            await asyncio.to_thread(ending.wait)
        finally:
            server.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failure.append(error)
            started.set()

    thread = Thread(target=run)
    thread.start()
    started.wait(10)
    try:
        if failure:
            raise failure[0]
        yield handler
    finally:
        ending.set()
        thread.join(10)


def _filter(text: str, vid: int) -> dict[str, Any]:
    first, _, rest = text.partition("-")
    number, _, pcp = first.partition("/")
    mac, _, group = rest.partition("-")
    return {
        "vid": int(number) or vid,
        **({"pcp": int(pcp)} if pcp else {}),
        **({"mac-address": mac} if mac else {}),
        **({"group-id": int(group)} if group else {}),
    }
