"""What happens, told to those who watch and to the log."""

import logging
from typing import Any

from evbagent.control import ControlServer
from evbagent.driver import boottime
from evbagent.events import forwarding_event, neighbor_event, neighbor_event_name
from evbagent.fewlines import FewLines
from evbagent.instants import utc
from evbagent.port import Port
from protocols.port import ForwardingChanged, NeighborEvent

log = logging.getLogger(__name__)


class Teller:
    """`control` is there once the agent answers; before that nobody can watch."""

    def __init__(self) -> None:
        self.control: ControlServer | None = None
        self._neighbor_lines = FewLines(log, "neighbors")

    @property
    def is_watched(self) -> bool:
        return self.control is not None and self.control.is_watched

    def publish(self, port: Port | None, event: dict[str, Any]) -> None:
        """An event of a port; None: of the agent."""
        if self.control and self.is_watched:
            self.control.publish({"time": utc(boottime()), "interface": port.link.name if port else None, **event})

    def neighbor(self, port: Port, event: NeighborEvent) -> None:
        self._neighbor_lines.line(lambda: f"{port.link.name}: {neighbor_event_name(event.change)}")
        if self.is_watched:
            self.publish(port, neighbor_event(event.scope, event.change))

    def relay(self, port: Port, event: ForwardingChanged) -> None:
        old, new = event.old, event.new
        log.info("%s: reflective relay %s: %s", port.link.name, new.relay, new.reason)
        self.publish(port, forwarding_event(old, new))

    def warn(self, port: Port, warnings: tuple[str, ...], known: tuple[str, ...]) -> None:
        """Of these warnings the new ones."""
        for warning in warnings:
            if warning not in known:
                log.warning("%s: %s", port.link.name, warning)
                self.publish(port, {"event": "warning", "warning": warning})
