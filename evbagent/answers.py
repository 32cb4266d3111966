"""What clients are answered (control.Handler): the JSON behind `show` and the conditions of `wait`."""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import to_builtins

from evbagent.attachments import Attachments
from evbagent.config import Config
from evbagent.control import ControlError
from evbagent.counters import port_counters
from evbagent.dcbxservice import DcbxService
from evbagent.neighborview import neighbor_rows
from evbagent.port import Port
from evbagent.view import (
    PortView,
    edge_statistics_document,
    evb_document,
    forwarding_document,
    interface_document,
    statistics_document,
)
from evbagent.vsis import Answer, Session
from evbagent.vsiservice import VsiService
from protocols.vdp.vsi import VsiId, parse_vsi_id

VSI_CONDITION = "vsi="


class Answers:
    """Reads the daemon's ports; what changes something is handed on."""

    def __init__(
        self,
        ports: Mapping[int, Port],
        view: Callable[[Port], PortView],
        attachments: Attachments,
        vsis: VsiService,
        dcbx: DcbxService,
        config: Callable[[], Config],
        reload: Callable[[], str | None],
        counters: Callable[[], Mapping[str, int]],
    ) -> None:
        self._ports = ports
        self._view = view
        self._attachments = attachments
        self._vsis = vsis
        self._dcbx = dcbx
        self._config = config
        self._reload = reload
        self._counters = counters

    def show(self, what: str, glob: str | None) -> Any:
        """The answer to `show`; raises ControlError for something that there is not."""
        if what == "config":
            return to_builtins(self._config())
        if what == "vsis":
            return self._vsis.rows(self._matching(glob))
        if what == "statistics":
            agent = [] if glob else [{"interface": None, "scope": "agent", **self._counters()}]
            return [*agent, *(row for port in self._matching(glob) for row in _statistics(port))]
        views = [self._view(port) for port in self._matching(glob)]
        match what:
            case "neighbors":
                return neighbor_rows((view.link.name, view.stack.agents) for view in views)
            case "interfaces":
                return [interface_document(view, self._attachments) for view in views]
            case "evb":
                return [
                    {"interface": view.link.name, "forwarding": forwarding_document(view), **evb_document(view.stack)}
                    for view in views
                ]
            case "dcbx":
                return [{"interface": view.link.name, **view.dcbx} for view in views if view.dcbx is not None]
        raise ControlError(f"there is no {what!r} to show")

    def holds(self, interface: str, condition: str) -> bool:
        """Whether what a client waits for is so now. An interface that is not served yet may be later."""
        vsi_id: VsiId | None = None
        if condition.startswith(VSI_CONDITION):
            try:
                vsi_id = parse_vsi_id(condition.removeprefix(VSI_CONDITION))
            except ValueError as error:
                raise ControlError(f"for: {error}") from error
        elif condition not in ("neighbor", "reflective-relay"):
            raise ControlError(
                f"cannot wait for {condition!r}: it is neither `neighbor` nor `reflective-relay` nor `vsi=ID`"
            )
        port = next((port for port in self._ports.values() if port.link.name == interface), None)
        if port is None:
            return False
        if vsi_id is not None:
            return self._vsis.is_associated(interface, vsi_id)
        if condition == "neighbor":
            return any(len(agent.rx.remotes) for agent in port.stack.agents.values())
        return port.stack.forwarding.relay == "active"

    def open_vsi(self, interface: str, answer: Answer) -> Session:
        """What a client asks for the VSIs of one interface goes through a session."""
        return self._vsis.open_session(interface, answer)

    def withdraw(self, interface: str | None, instance: str | None) -> list[dict[str, Any]]:
        """Take VSIs away from stations (bridge role)."""
        return self._vsis.withdraw(interface, instance)

    def reload(self) -> None:
        """Read the configuration again. ControlError says what is wrong with it."""
        if fault := self._reload():
            raise ControlError(f"configuration not reloaded, the running one stays in force: {fault}")

    def change_dcb(self, interface: str, action: str) -> list[dict[str, Any]]:
        """Write DCB settings that have been agreed, or those of before."""
        return self._dcbx.change(interface, action)

    def _matching(self, glob: str | None) -> Iterator[Port]:
        ports = sorted(self._ports.values(), key=lambda port: port.link.index)
        return (port for port in ports if glob is None or fnmatchcase(port.link.name, glob))


def _statistics(port: Port) -> Iterator[dict[str, Any]]:
    name, stack = port.link.name, port.stack
    yield {"interface": name, "scope": "port", **port_counters(port)}
    for scope, agent in stack.agents.items():
        yield {"interface": name, "scope": str(scope), **statistics_document(agent)}
    yield {"interface": name, "scope": "vdp", **edge_statistics_document(stack.edge)}
