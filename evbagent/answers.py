"""What clients are answered (control.Handler): the JSON behind `show` and the conditions of `wait`."""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import to_builtins

from evbagent.attachments import Attachments
from evbagent.config import Config
from evbagent.control import ControlError
from evbagent.port import Port
from evbagent.view import (
    PortView,
    evb_document,
    forwarding_document,
    interface_document,
    neighbor_document,
    statistics_document,
)


class Answers:
    """Reads the daemon's ports; changes nothing."""

    def __init__(
        self,
        ports: Mapping[int, Port],
        view: Callable[[Port], PortView],
        attachments: Attachments,
        config: Callable[[], Config],
    ) -> None:
        self._ports = ports
        self._view = view
        self._attachments = attachments
        self._config = config

    def show(self, what: str, glob: str | None) -> Any:
        """The answer to `show`; raises ControlError for something that there is not."""
        if what == "config":
            return to_builtins(self._config())
        views = [self._view(port) for port in self._matching(glob)]
        match what:
            case "neighbors":
                return [
                    {"interface": view.link.name, "scope": str(scope), **neighbor_document(remote)}
                    for view in views
                    for scope, agent in view.stack.agents.items()
                    for remote in agent.rx.remotes.systems()
                ]
            case "interfaces":
                return [interface_document(view, self._attachments) for view in views]
            case "evb":
                return [
                    {"interface": view.link.name, "forwarding": forwarding_document(view), **evb_document(view.stack)}
                    for view in views
                ]
            case "statistics":
                return [
                    {"interface": view.link.name, "scope": str(scope), **statistics_document(agent)}
                    for view in views
                    for scope, agent in view.stack.agents.items()
                ]
            case "vsis" | "dcbx":
                return []
        raise ControlError(f"there is no {what!r} to show")

    def holds(self, interface: str, condition: str) -> bool:
        """Whether what a client waits for is so now. An interface that is not served yet may be later."""
        if condition not in ("neighbor", "reflective-relay"):
            raise ControlError(f"cannot wait for {condition!r}: it is neither `neighbor` nor `reflective-relay`")
        port = next((port for port in self._ports.values() if port.link.name == interface), None)
        if port is None:
            return False
        if condition == "neighbor":
            return any(len(agent.rx.remotes) for agent in port.stack.agents.values())
        return port.stack.forwarding.relay == "active"

    def _matching(self, glob: str | None) -> Iterator[Port]:
        ports = sorted(self._ports.values(), key=lambda port: port.link.index)
        return (port for port in ports if glob is None or fnmatchcase(port.link.name, glob))
