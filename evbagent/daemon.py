"""The agent: starts and ends ports as links come and go, tells readers and clients what the ports know."""

import asyncio
import logging
import os
import signal
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import count
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from evbagent.answers import Answers
from evbagent.attachments import AttachmentEvent, Attachments
from evbagent.awake import Awake
from evbagent.config import Config, ConfigError, load
from evbagent.control import ControlServer
from evbagent.counters import AgentCounters
from evbagent.dcbxservice import DcbxService
from evbagent.driver import PortDriver, boottime
from evbagent.events import attachment_event
from evbagent.guestvlans import GuestVlans
from evbagent.hairpin import flags_left_behind
from evbagent.hostmonitor import HostMonitor
from evbagent.later import load_the_rest
from evbagent.link import check_permission
from evbagent.localtlvs import announces_medium
from evbagent.netlink import Link, LinkChange, LinkMonitor, RouteSocket
from evbagent.netns import NamespaceFinder
from evbagent.notify import notify, ready
from evbagent.observe import capabilities, restrictions
from evbagent.options import Options
from evbagent.port import Port, withdraw_relay
from evbagent.state import Pieces, StateWriter
from evbagent.teller import Teller
from evbagent.uplinks import first_sequence, goes_on, is_uplink, port_settings
from evbagent.version import VERSION
from evbagent.view import PortView, forwarding_mode
from evbagent.vsiservice import VsiService
from evbagent.watchdog import Watchdog
from protocols.evb.status import Role
from protocols.port import (
    DcbxChanged,
    Event,
    ForwardingChanged,
    LinkState,
    NeighborEvent,
    NewSettings,
    PortSettings,
    WarningsChanged,
)
from protocols.stack import PortStack
from protocols.vdp.status import VsiChanged

if TYPE_CHECKING:
    from evbagent.others import Surroundings

log = logging.getLogger(__name__)

VALIDITY_US = 60_000_000
PENDING_US = 5_000
LOOK_AROUND_INTERVAL_S = 60
STATISTICS_EVERY_LOOKS = 5


class Daemon:
    """One run of the agent in one network namespace."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._config = self._load()
        self._ports: dict[int, Port] = {}
        self._teller = Teller()
        self._host = HostMonitor(self._host_changed)
        self._route = RouteSocket()
        self._monitor = LinkMonitor(self._link_changed)
        self._restrictions = restrictions(options.observe, capabilities())
        self._attachments = Attachments(self._route, NamespaceFinder(), self._attachment_news, not options.observe)
        self._state = StateWriter(options.state_dir, self._document, boottime, validity_us=VALIDITY_US)
        self._vsis = VsiService(
            self._ports, self._config, options.config, options.state_dir, self._teller, options.observe
        )
        self._counters = AgentCounters(
            self._teller, self._vsis, self._state, (self._monitor, self._host), options.log_limit
        )
        self._dcbx = DcbxService(
            self._ports, options.state_dir, self._teller.publish, self._touch, self._apply_settings, options.observe
        )
        self._guest_vlans = GuestVlans(self._attachments, self._monitor, self._host, self._teller, self._touch)
        self._surroundings: Surroundings | None = None
        self._awake: Awake | None = None
        self._left_behind: dict[str, bool] = {}
        self._overflows = 0
        self._unserved: set[int] = set()
        self._stopping = asyncio.Event()
        self._watchdog = Watchdog(asyncio.get_running_loop(), self._lateness)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises StateError, ConfigError or OSError when it cannot start."""
        loop = asyncio.get_running_loop()
        check_permission()
        self._state.open()
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        try:
            self._left_behind = flags_left_behind(self._state.previous())
            self._monitor.start(loop)
            self._host.start(loop)
            self._dcbx.start(loop)
            self._vsis.start(self._config)
            for link in list(self._monitor.links.values()):
                self._consider(link)
            self._report_absent()
            self._attachments.scan(self._monitor.links)
            for port in self._ports.values():
                self._attachments.answer(port.link.index, forwarding_mode(port.stack), port.stack.forwarding.reason)
            self._state.write()
            answers = Answers(
                self._ports,
                self._view,
                self._attachments,
                self._vsis,
                self._dcbx,
                lambda: self._config,
                self._reload,
                self._counters,
            )
            self._teller.control = ControlServer(self._options.state_dir / "control.sock", answers)
            await self._teller.control.start()
            self._say_ready()
            log.info("%s", "; ".join(self._restrictions) or "all functions are permitted")
            self._watchdog.start()
            self._surroundings = load_the_rest()
            self._awake = Awake(loop, lambda: [port.driver for port in self._ports.values()], self._state.write)
            await self._housekeeping()
        finally:
            notify("STOPPING=1")
            self._watchdog.close()
            await self._end()

    # Links.

    def _link_changed(self, change: LinkChange) -> None:
        old, new = change.old, change.new
        if new is not None and new.index not in self._ports:
            self._consider(new)
        elif new is not None:
            self._update(self._ports[new.index], new)
        elif old is not None and old.index in self._ports:
            self._remove(self._ports[old.index])
        self._attachments.link_changed(change)
        if self._monitor.overflows != self._overflows:
            # A move to another namespace may be among the news that were lost: it then looked like an end.
            self._overflows = self._monitor.overflows
            asyncio.get_running_loop().call_soon(self._attachments.scan, self._monitor.links)

    def _consider(self, link: Link) -> None:
        """Serve the link if it is an uplink."""
        self._unserved.discard(link.index)
        if not is_uplink(link, self._globs):
            return
        role, made = self._port_settings(link)
        recorder = self._options.recorder(link.name, role, made, self._config)
        sequences = recorder.sequence(first_sequence) if recorder else first_sequence
        stack = PortStack(role, made, sequences, self._vsis.policy, link.index)
        try:
            socket = self._options.open_socket(link.index)
        except OSError as error:
            log.warning("%s: cannot be served: %s", link.name, error)
            self._unserved.add(link.index)
            self._host.forget(link.index)
            self._dcbx.forget(link.index)
            return
        port = Port(self._route, link, role, stack, boottime(), may_change=not self._options.observe)
        self._ports[link.index] = port
        port.driver = PortDriver(
            asyncio.get_running_loop(),
            link.name,
            stack,
            socket,
            port.configure,
            lambda event: self._indicate(port, event),
            lambda confirm: self._vsis.confirm(port, confirm),
            lambda: self._monitor.look_again(link.index),
            record=recorder,
        )
        log.info("%s: serving as %s", link.name, role)
        if role is Role.BRIDGE:
            log.info("%s: VSIs are granted and shown; of the bridge's filtering only hairpin follows them", link.name)
        port.take_charge(self._left_behind)
        port.driver.request(LinkState(link.enabled))
        self._attachments.answer(link.index, forwarding_mode(stack), stack.forwarding.reason)
        self._vsis.port_ready(port)
        self._dcbx.port_ready(port)
        self._touch(port)

    def _update(self, port: Port, link: Link) -> None:
        if not goes_on(port.role, link, self._globs, self._config):
            # As what it was: under another name its VSIs would not be found any more.
            self._give_up(port)
            self._consider(link)
            return
        old, port.link = port.link, link
        assert port.driver is not None
        port.driver.name = link.name
        if old.name != link.name:
            self._vsis.port_renamed(old.name, link.name)
        self._apply_settings(port)
        port.take_charge(self._left_behind)
        if port.hairpin and old.hairpin != link.hairpin:
            foreign = port.hairpin.link_changed()
            if foreign:
                port.driver.request(foreign)
        if old.enabled != link.enabled:
            log.info("%s: link %s", link.name, "up" if link.enabled else "down")
            self._teller.publish(port, {"event": "link", "oper-status": link.oper_status})
            port.driver.request(LinkState(link.enabled))
            self._dcbx.link_changed(port)
        self._touch(port)

    def _give_up(self, port: Port) -> None:
        port.say_goodbye()
        self._remove(port)

    def _remove(self, port: Port) -> None:
        log.info("%s: no longer served", port.link.name)
        self._teller.publish(port, {"event": "link", "oper-status": "not-present"})
        if port.driver:
            port.driver.request(LinkState(False))
            port.driver.close()
        self._host.forget(port.link.index)
        self._vsis.port_gone(port)
        self._dcbx.forget(port.link.index, port.link.index in self._monitor.links)
        self._attachments.uplink_gone(port.link.index)
        del self._ports[port.link.index]
        self._state.mark_dirty()

    # Events.

    def _indicate(self, port: Port, event: Event) -> None:
        match event:
            case ForwardingChanged(_, new):
                port.since = boottime()
                self._attachments.answer(port.link.index, forwarding_mode(port.stack), new.reason)
                self._teller.relay(port, event)
            case NeighborEvent():
                self._teller.neighbor(port, event)
            case VsiChanged(_, status, was):
                self._vsis.changed(port, event)
                # What is asked for is answered at once, most of the time, and that is what readers want to know.
                self._state.mark_dirty(PENDING_US if status.pending and status.state is was else 0)
                if status.state is not was:
                    self._guest_vlans.doubt(port)
                return
            case DcbxChanged():
                self._dcbx.changed(port)
            case WarningsChanged(warnings):
                self._teller.warn(port, warnings, port.warnings)
                port.warnings = warnings
        self._touch(port)

    def _attachment_news(self, event: AttachmentEvent) -> None:
        port = self._ports.get(event.attachment.uplink)
        level = logging.WARNING if event.action in ("unmet", "failed") else logging.INFO
        log.log(level, "guest device %s: %s: %s", event.attachment.name, event.action, event.reason)
        if port:
            self._teller.publish(port, attachment_event(event))
            self._guest_vlans.doubt(port)
            self._touch(port)

    def _touch(self, port: Port) -> None:
        port.fragment = None
        self._state.mark_dirty()

    # The state file.

    def _document(self) -> dict[str, Any]:
        agent = {"version": VERSION, "pid": os.getpid(), "role": self._options.role or self._config.role}
        agent |= {"observes": self._options.observe, "restrictions": self._restrictions, "counters": self._counters()}
        uplinks = Pieces()
        for port in self._ports.values():
            uplinks += [b"," if uplinks else b"["]
            uplinks += port.pieces(self._monitor.links, self._attachments, self._vsis.pieces(port))
        return {"agent": agent, "uplinks": Pieces([*uplinks, b"]"]) if uplinks else []}

    def _view(self, port: Port) -> PortView:
        return port.view(self._monitor.links, self._attachments)

    # Configuration.

    @property
    def _globs(self) -> tuple[str, ...] | None:
        return self._options.interfaces or self._config.interfaces

    def _load(self) -> Config:
        config = load(self._options.config)
        return config.with_role(self._options.role) if self._options.role else config

    def _reload(self) -> str | None:
        """A bad file leaves the running configuration in force; returns what is wrong with it."""
        notify(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}")
        fault = None
        try:
            self._config = self._load()
        except ConfigError as error:
            fault = str(error)
            log.error("configuration not reloaded, the running one stays in force: %s", fault)
            self._teller.publish(None, {"event": "configuration", "ok": False, "error": fault})
        else:
            for port in list(self._ports.values()):
                if goes_on(port.role, port.link, self._globs, self._config):
                    self._apply_settings(port)
                else:
                    self._give_up(port)
            for link in list(self._monitor.links.values()):
                if link.index not in self._ports:
                    self._consider(link)
            self._vsis.configure(self._config)
            self._report_absent()
            log.info("configuration reloaded")
            self._teller.publish(None, {"event": "configuration", "ok": True})
        self._say_ready()
        return fault

    def _apply_settings(self, port: Port) -> None:
        """Tells the machines if there is anything new."""
        assert port.driver is not None
        _, settings = self._port_settings(port.link)
        if settings != port.stack.settings:
            port.driver.request(NewSettings(settings))
            self._touch(port)
        self._dcbx.configured(port)

    def _port_settings(self, link: Link) -> tuple[Role, PortSettings]:
        configured, dcbx = self._dcbx.prepare(link, self._config.for_uplink(link.name))
        self._host.serve(link, announces_medium(configured.lldp))
        made = self._options.permitted(port_settings(link, configured, self._host.facts))
        return Role(configured.role), replace(made, dcbx=dcbx)

    def _host_changed(self) -> None:
        for port in list(self._ports.values()):
            self._apply_settings(port)

    def _report_absent(self) -> None:
        names = {port.link.name for port in self._ports.values()}
        for glob in self._globs or ():
            if not any(fnmatchcase(name, glob) for name in names):
                log.warning("no interface %s now: it is served as soon as it appears", glob)

    # Life.

    def _say_ready(self) -> None:
        notify(ready([port.link.name for port in self._ports.values()], self._options.observe))

    def _lateness(self) -> float:
        return max((port.driver.lateness() for port in self._ports.values() if port.driver), default=0.0)

    async def _housekeeping(self) -> None:
        """Wait for the end; now and then look around, and bring the statistics in the file up to date."""
        for looks in count(1):
            try:
                await asyncio.wait_for(self._stopping.wait(), LOOK_AROUND_INTERVAL_S)
                return
            except TimeoutError:
                self._look_around()
            for index in self._unserved & self._monitor.links.keys():
                self._consider(self._monitor.links[index])
            if looks % STATISTICS_EVERY_LOOKS == 0:
                self._attachments.verify_moved()
                for port in self._ports.values():
                    self._touch(port)

    def _look_around(self) -> None:
        assert self._surroundings is not None
        for index, texts in self._surroundings.look(self._monitor.links, self._ports).items():
            port = self._ports.get(index)
            if port and port.surroundings != texts:
                self._teller.warn(port, texts, port.surroundings)
                port.surroundings = texts
                self._touch(port)

    async def _end(self) -> None:
        """Withdraw in an order that cuts nobody off: relay, guests, neighbours, bridge ports, files."""
        await self._vsis.release_all(lambda port: self._config.for_uplink(port.link.name).vdp.on_stop == "keep")
        await withdraw_relay(self._ports.values())
        for port in self._ports.values():
            port.say_goodbye()
        self._dcbx.close()
        for helper in (self._teller.control, self._awake, self._surroundings):
            if helper:
                helper.close()
        self._monitor.close()
        self._host.close()
        self._state.close()
        # The kernel takes some 10 ms to close a packet socket: all the rest is done by then.
        for port in self._ports.values():
            if port.driver:
                port.driver.close()
        self._route.close()
