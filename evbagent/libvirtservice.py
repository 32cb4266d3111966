"""The agent in lldpad's place: libvirt's 802.1Qbg requests, by netlink (sheet `lldpad-interfaces.md` 2).

Every request is answered at once, whatever is wrong with it: libvirt waits for an answer in a way that nothing ends.
"""

import asyncio
import logging
from collections.abc import Mapping
from errno import EADDRINUSE, ENODEV, EOPNOTSUPP, EPERM
from pathlib import Path
from time import monotonic

from evbagent.libvirtconfig import LibvirtConfig
from evbagent.libvirtnl import (
    BrokenMessage,
    Header,
    MessageError,
    Query,
    VsiQuery,
    decode,
    encode_error,
    encode_list,
    encode_notification,
    messages,
)
from evbagent.libvirtpid import PidFile
from evbagent.libvirtsocket import LibvirtSocket
from evbagent.libvirtvsis import LibvirtVsis
from evbagent.port import Port
from evbagent.vsis import VsiBook
from protocols.evb.status import Role
from protocols.lldp.tlvs import printable
from protocols.vdp.station import VdpStation
from protocols.vdp.status import VsiChanged
from protocols.vdp.vsi import Mode, VsiId, VsiIdFormat

LOOK_AFTER_S = 2.0
MOST_COMPLAINTS = 64
COMPLAINTS_EVERY_S = 3600.0

log = logging.getLogger(__name__)


class LibvirtService:
    """Serves while it is configured to. `ports`: those of the agent, by index."""

    def __init__(self, book: VsiBook, ports: Mapping[int, Port]) -> None:
        loop = asyncio.get_running_loop()
        self._ports = ports
        self._book = book
        self._vsis = LibvirtVsis(book, self, self._notify, loop.call_later, monotonic)
        self._socket: LibvirtSocket | None = None
        self._pid_file: PidFile | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._complaints = Complaints()
        self._problem = ""

    def configure(self, config: LibvirtConfig) -> None:
        """Begin, go on, or end."""
        path = Path(config.pid_file)
        if self._socket and (not config.enabled or self._pid_file is None or self._pid_file.path != path):
            self.close()
        if config.enabled and self._socket is None:
            self._open(path)

    def close(self) -> None:
        """Serve no longer. What libvirt has asked for stays."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._pid_file:
            self._pid_file.withdraw()
            self._pid_file = None
        if self._socket:
            self._socket.close()
            self._socket = None

    def changed(self, interface: str, change: VsiChanged) -> None:
        self._vsis.changed(interface, change)

    def port_renamed(self, old: str, new: str) -> None:
        self._vsis.renamed(old, new)

    # What has to be known of ports.

    def is_open(self, interface: str) -> bool:
        port = self._named(interface)
        return port is not None and isinstance(port.stack.edge.vdp, VdpStation) and port.stack.edge.vdp.is_open

    def is_up(self, interface: str) -> bool:
        port = self._named(interface)
        return port is not None and port.link.enabled

    # Being found.

    def _open(self, path: Path) -> None:
        opened = LibvirtSocket(self._received, self._complaints.say)
        try:
            opened.open(asyncio.get_running_loop())
        except OSError as error:
            why = "every port id is taken" if error.errno == EADDRINUSE else error.strerror
            log.error("libvirt is not served: %s", why)
            return
        self._socket, self._pid_file = opened, PidFile(path)
        self._problem = ""
        self._look_after()

    def _look_after(self) -> None:
        """The pid file may be somebody else's now, or no longer, or gone."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_AFTER_S, self._look_after)
        if self._pid_file is None or self._socket is None or self._pid_file.is_ours:
            return
        try:
            self._pid_file.publish(self._socket.port_id)
        except OSError as error:
            problem = error.strerror or str(error)
            if problem != self._problem:
                log.error("libvirt is not served: %s: %s; it is looked at again", self._pid_file.path, problem)
            self._problem = problem
        else:
            self._problem = ""
            log.info("libvirt is served: port id %d in %s", self._socket.port_id, self._pid_file.path)

    # Requests.

    def _received(self, datagram: bytes, sender: int, may_ask: bool) -> None:
        if sender == 0:  # the kernel, which is not asked for anything on this socket
            return
        try:
            for header, body in messages(datagram):
                if not header.wants_an_answer:
                    self._complaints.say(f"message type {header.kind} is no request", sender)
                    continue
                if answer := self._answered(header, body, sender, may_ask):
                    self._send(sender, answer)
        except BrokenMessage as error:
            self._complaints.say(str(error), sender)
            if error.header.wants_an_answer:
                self._send(sender, encode_error(error.header, error.errno))
        except MessageError as error:
            self._complaints.say(str(error), sender)

    def _answered(self, header: Header, body: bytes, sender: int, may_ask: bool) -> bytes | None:
        """The answer to one message, whatever it is. None: it comes within `libvirtvsis.HOLD_S`."""
        if not may_ask:
            self._complaints.say("a process without CAP_NET_ADMIN asks", sender)
            return encode_error(header, EPERM)
        try:
            query = decode(header, body)
            port = self._port(query)
            if isinstance(query, VsiQuery):
                name = query.interface or "" if port is None else port.link.name
                return encode_error(header, self._vsis.ask(name, query, header.port_id, header.sequence))
            if port is None:
                raise MessageError(ENODEV, f"no interface {_which(query)} is served")
            served = port
            if self._vsis.hold(
                port.link.name, header.port_id, lambda: self._send(sender, self._listed(header, served))
            ):
                return None
            return self._listed(header, port)
        except MessageError as error:
            self._complaints.say(str(error), sender)
            return encode_error(header, error.errno)

    def _listed(self, header: Header, port: Port) -> bytes:
        return encode_list(header, port.link.index, self._vsis.entries(port.link.name))

    def _port(self, query: Query) -> Port | None:
        """The port that is meant. None: there is none, which does not matter to give up what was wanted of it."""
        port = self._ports.get(query.index) if query.interface is None else self._named(query.interface)
        if port is not None and port.driver is not None:
            if port.role is not Role.STATION:
                raise MessageError(EOPNOTSUPP, f"{port.link.name} is served in the bridge role")
            return port
        if isinstance(query, VsiQuery):
            vsi_id = VsiId(VsiIdFormat.UUID, query.profile.uuid)
            known = query.interface is not None and self._book.find(query.interface, vsi_id)
            if query.mode is not Mode.DEASSOCIATE or not known:
                raise MessageError(ENODEV, f"no interface {_which(query)} is served")
        return None

    def _named(self, interface: str) -> Port | None:
        return next((port for port in self._ports.values() if port.link.name == interface), None)

    # Answers.

    def _notify(self, interface: str, query: VsiQuery, sequence: int, port_id: int) -> None:
        if self._socket is None:
            return
        port = self._named(interface)
        index = 0 if port is None else port.link.index
        self._send(port_id, encode_notification(query, index, interface, sequence, self._socket.port_id))

    def _send(self, port_id: int, message: bytes) -> None:
        if self._socket and (error := self._socket.send(port_id, message)):
            self._complaints.say(f"not told: {error.strerror}", port_id)


class Complaints:
    """Each is logged once an hour, and only so many: whoever sends nonsense must not fill the log."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._since = monotonic()

    def say(self, text: str, port_id: int = 0) -> None:
        """`port_id`: of whom it is about. libvirt has another one for each request."""
        if monotonic() - self._since >= COMPLAINTS_EVERY_S:
            self._said.clear()
            self._since = monotonic()
        if text in self._said or len(self._said) > MOST_COMPLAINTS:
            return
        self._said.add(text)
        if len(self._said) > MOST_COMPLAINTS:
            log.warning("libvirt's socket: there is more to complain of, which is not logged for now")
        else:
            log.warning("libvirt's socket: %s%s", f"port id {port_id}: " if port_id else "", printable(text))


def _which(query: Query) -> str:
    return query.interface or f"of index {query.index}"
