"""The VSIs of all ports: between the book of what is wanted, the ports' machines, and the switch's policy."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from time import monotonic
from typing import Any

from msgspec import Raw

from evbagent.config import Config
from evbagent.events import vsi_event
from evbagent.exchange import ControlError
from evbagent.fewlines import FewLines
from evbagent.journal import Journal
from evbagent.libvirtservice import LibvirtService
from evbagent.observe import ONLY_OBSERVES
from evbagent.port import Port
from evbagent.switchconfig import switch_rules
from evbagent.teller import Teller
from evbagent.vsiconfig import load_vsis, vsi_directory
from evbagent.vsis import Answer, Session, VsiBook
from protocols.evb.status import Role
from protocols.port import PolicyChanged, RequestVsis, WithdrawVsis
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.status import Confirm, VsiChanged, VsiRequest
from protocols.vdp.vsi import Mode, VsiId, VsiTlv, parse_vsi_id

log = logging.getLogger(__name__)

RELEASE_S = 2.0


class VsiService:
    """Between the agent's ports and those who want VSIs; what happens goes to `teller`."""

    def __init__(
        self,
        ports: Mapping[int, Port],
        config: Config,
        config_file: Path | None,
        state_dir: Path,
        teller: Teller,
        observes: bool = False,
    ) -> None:
        self.policy = BridgePolicy(switch_rules(config.switch))
        loop = asyncio.get_running_loop()
        self.book = VsiBook(Journal(state_dir), self._send, loop.call_later)
        self._ports = ports
        self._directory = vsi_directory(config_file)
        self._teller = teller
        self._observes = observes
        self._log = FewLines(log, "VSIs", soon=loop.call_soon)
        self._libvirt = LibvirtService(self.book, ports)

    # What is wanted.

    def start(self, config: Config) -> None:
        """Take up what a predecessor left, and what is declared."""
        if not self._observes:
            self.book.recover()
        self._declare()
        if not self._observes:
            self._libvirt.configure(config.libvirt)

    def configure(self, config: Config) -> None:
        """The configuration has been read again."""
        self.policy.replace(switch_rules(config.switch))
        if not self._observes:
            self._libvirt.configure(config.libvirt)
        for port in self._ports.values():
            if port.role is Role.BRIDGE and port.driver:
                port.driver.request(PolicyChanged())
        self._declare()

    def port_ready(self, port: Port) -> None:
        """A port is served from now on."""
        if port.role is Role.STATION:
            self.book.port_ready(port.link.name)

    def port_gone(self, port: Port) -> None:
        self.book.port_gone(port.link.name)

    def port_renamed(self, old: str, new: str) -> None:
        self.book.port_renamed(old, new)
        self._libvirt.port_renamed(old, new)

    def open_session(self, interface: str, answer: Answer) -> Session:
        """What a client asks for the VSIs of one interface goes through a session."""
        self._check_active()
        return self.book.open_session(interface, answer)

    def withdraw(self, glob: str | None, instance: str | None) -> list[dict[str, Any]]:
        """Bridge role: take VSIs away from stations; None: all. ControlError when there is none of that description."""
        self._check_active()
        try:
            wanted = None if instance is None else parse_vsi_id(instance)
        except ValueError as error:
            raise ControlError(f"instance: {error}") from error
        ports = [port for port in self._ports.values() if glob is None or fnmatchcase(port.link.name, glob)]
        bridges = [port for port in ports if port.role is Role.BRIDGE]
        if not bridges:
            raise ControlError(f"interface: {f'no {glob}' if glob else 'none'} is served in the bridge role")
        withdrawn: list[dict[str, Any]] = []
        for port in bridges:
            held = port.stack.edge.vdp.vsis
            vsi_ids = tuple(held) if wanted is None else (wanted,) if wanted in held else ()
            if vsi_ids and port.driver:
                port.driver.request(WithdrawVsis(vsi_ids))
                withdrawn += [{"interface": port.link.name, "vsi-id": vsi_id.text} for vsi_id in vsi_ids]
        if not withdrawn and instance is not None:
            raise ControlError(f"instance: no station has a VSI {instance} associated here")
        return withdrawn

    async def release_all(self, keeps: Callable[[Port], bool]) -> None:
        """The agent ends: DeAssociate the VSIs of ports that do not keep them, and give the switches time to answer."""
        self.book.close()
        self._libvirt.close()
        leaving = [port for port in self._ports.values() if port.role is Role.STATION and not keeps(port)]
        for port in leaving:
            requests = tuple(VsiRequest(_farewell(vsi.request), 0) for vsi in port.stack.edge.vdp.vsis.values())
            if requests and port.driver:
                port.driver.request(RequestVsis(requests))
        deadline = monotonic() + RELEASE_S
        while monotonic() < deadline and any(port.link.enabled and port.stack.edge.vdp.vsis for port in leaving):
            await asyncio.sleep(0.005)

    # What the machines say.

    def changed(self, port: Port, change: VsiChanged) -> None:
        name, status = port.link.name, change.status
        self.book.changed(name, change.vsi_id, status, change.gone)
        self._libvirt.changed(name, change)
        if status.state is not change.was or change.gone:
            self._log.line(lambda: f"{name}: {_line(change)}")
        if self._teller.is_watched:
            document = self.book.document(name, status)
            self._teller.publish(port, vsi_event(document, change.was, change.gone))

    def confirm(self, port: Port, confirm: Confirm) -> None:
        self.book.confirm(port.link.name, confirm.ticket, confirm.outcome, confirm.status)

    # What is known.

    def pieces(self, port: Port) -> list[bytes]:
        """`vsis` of the state file."""
        return self.book.pieces(port.link.name)

    def rows(self, ports: Iterator[Port]) -> Raw:
        """`show vsis`."""
        return self.book.rows(port.link.name for port in ports)

    def is_associated(self, interface: str, vsi_id: VsiId) -> bool:
        return self.book.is_associated(interface, vsi_id)

    def _check_active(self) -> None:
        if self._observes:
            raise ControlError(ONLY_OBSERVES)

    def _declare(self) -> None:
        if self._observes:
            return
        declared, errors = load_vsis(self._directory)
        for error in errors:
            log.error("%s", error)
        self.book.declare(declared, complete=not errors)

    def _send(self, interface: str, requests: tuple[VsiRequest, ...]) -> str | None:
        port = next((port for port in self._ports.values() if port.link.name == interface), None)
        if port is None or port.driver is None:
            return f"interface: the agent does not serve {interface}"
        if port.role is not Role.STATION:
            return f"interface: {interface} is served in the bridge role, which answers requests and makes none"
        port.driver.request(RequestVsis(requests))
        return None


def _line(change: VsiChanged) -> str:
    because = f": {change.status.reason}" if change.status.reason else ""
    return f"VSI {change.vsi_id.text} {change.status.state}{because}"


def _farewell(tlv: VsiTlv) -> VsiTlv:
    return VsiTlv(Mode.DEASSOCIATE, tlv.vsi_id, tlv.manager, tlv.type_id, tlv.version, tlv.filters)
