"""DCBX of all ports: between the configuration, the ports' machines, and the NICs' settings in the kernel.

A driver may reset its port at each change, and a port that was down has no peer: to go back to local settings at once
would bring it down again, for ever. So nothing is written while a link is down, nor after it has come up before the
peer has been heard or has had its time.
"""

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path

from msgspec import structs

from evbagent.config import UplinkSettings
from evbagent.dcbmonitor import DcbMonitor
from evbagent.dcbnic import DcbNic, Outcome
from evbagent.dcbsocket import DcbSocket
from evbagent.dcbstore import DcbStore
from evbagent.dcbxconfig import dcbx_wishes
from evbagent.dcbxlocal import local_settings
from evbagent.dcbxuplink import DcbUplink, describe_peer
from evbagent.dcbxview import Json, difference_document
from evbagent.exchange import ControlError
from evbagent.lldpconfig import AdminStatusName, LldpConfig
from evbagent.netlink import Link
from evbagent.observe import ONLY_OBSERVES
from evbagent.port import Port
from protocols.dcbx.settings import DcbxSettings, Dialect
from protocols.evb.status import Role
from protocols.frame import Scope

log = logging.getLogger(__name__)

NEAREST_S = 1.0
"""Between two changes of a NIC's settings; what is agreed meanwhile is written together."""
AGAIN_S = 5.0
"""Until a driver is asked again that was busy, or could not be read."""
NEGOTIATION_S = 3.0
"""In CEE and CIN a peer acknowledges first, and takes a second for each step; until then local settings stand."""
SLACK_S = 0.125
"""Links that come up together share a wake-up."""


class DcbxService:
    """`publish` gives an event of a port to those who watch, `touch` has its documents made anew.

    `renew` has the machines of a port told their settings again, from `prepare`.
    """

    def __init__(
        self,
        ports: Mapping[int, Port],
        state_dir: Path,
        publish: Callable[[Port, Json], None],
        touch: Callable[[Port], None],
        renew: Callable[[Port], None],
        observes: bool = False,
    ) -> None:
        self._ports = ports
        self._observes = observes
        self._uplinks: dict[int, DcbUplink] = {}
        self._loop: AbstractEventLoop | None = None
        self._socket = DcbSocket()
        self._store = DcbStore(state_dir)
        self._monitor = DcbMonitor(self._nics_changed)
        self._publish = publish
        self._touch = touch
        self._renew = renew

    def start(self, loop: AbstractEventLoop) -> None:
        """Take up what a predecessor has changed, and listen to what others change."""
        self._loop = loop
        self._store.load()
        self._monitor.start(loop)

    def close(self) -> None:
        """The agent ends: NICs get their settings back where that is configured."""
        for index, one in self._uplinks.items():
            self._stop(one)
            if one.config.on_stop == "restore":
                self._report(index, one, one.nic.restore())
        self._monitor.close()
        self._socket.close()

    # Ports.

    def prepare(self, link: Link, uplink: UplinkSettings) -> tuple[UplinkSettings, DcbxSettings | None]:
        """What the port's machines are to know of DCB; None: they have no part in it.

        DCBX TLVs are of the nearest bridge scope. Unless `lldp.admin-status` says otherwise, who says them sends there;
        where firmware does, we do not: the switch would see two neighbors.
        """
        if self._observes and uplink.dcbx.mode != "off":
            looking = structs.replace(uplink.dcbx, mode="observe", advertise=False, on_stop="keep")
            uplink = structs.replace(uplink, dcbx=looking)
        one = self._uplinks.get(link.index)
        if one is None:
            nic = DcbNic(self._socket, self._store, link.index, link.name)
            one = self._uplinks[link.index] = DcbUplink(nic, uplink.dcbx, dcbx_wishes(uplink.dcbx))
            if not one.is_off:
                nic.look()
        if one.nic.name != link.name:
            one.nic.renamed(link.name)
        if one.config != uplink.dcbx:
            one.config, one.wishes, one.held, one.in_vain = uplink.dcbx, dcbx_wishes(uplink.dcbx), False, None
            one.nic.look()
        one.settings = local_settings(one.config, one.wishes, one.nic, Role(uplink.role))
        if one.nic.is_managed:
            uplink = structs.replace(uplink, lldp=_in_nearest_bridge(uplink.lldp, "rx-only"))
        elif one.settings is not None and one.settings.advertise:
            uplink = structs.replace(uplink, lldp=_in_nearest_bridge(uplink.lldp, "tx-and-rx"))
        return uplink, one.settings

    def port_ready(self, port: Port) -> None:
        """A port is served from now on."""
        one = port.dcb = self._uplinks[port.link.index]
        if one.is_off:
            return
        if one.nic.settings is None and not one.nic.error:
            log.info("%s: the NIC has no DCB: DCBX is shown, and nothing can be applied", port.link.name)
        if port.link.enabled:
            self._link_up(port, one)
        self._reconcile(port, one)

    def link_changed(self, port: Port) -> None:
        """The link has come up, or gone down; the machines have been told."""
        one = self._uplinks[port.link.index]
        if one.is_off:
            return
        if port.link.enabled:
            self._look(port, one)
            self._link_up(port, one)
            self._reconcile(port, one)
        else:
            self._stop(one)

    def changed(self, port: Port) -> None:
        """The machines have come to another result, or the peer says something else."""
        one = port.dcb
        if one is None:
            return  # it is not ready yet, and then looks for itself
        if not one.settled and port.link.enabled:
            self._await_peer(port, one)
        if (spoken := _spoken(port)) != one.spoken:
            one.spoken = spoken
            log.info("%s: DCBX: %s", port.link.name, spoken)
        self._reconcile(port, one)
        self._publish(port, {"event": "dcbx", **(one.document(port.stack) or {})})

    def configured(self, port: Port) -> None:
        """The port's machines have been told their settings."""
        if port.dcb is not None:
            self._reconcile(port, port.dcb)

    def forget(self, index: int, is_there: bool = True) -> None:
        """A port is not served any more; `is_there`: the interface still exists."""
        one = self._uplinks.pop(index, None)
        if one is not None:
            self._stop(one)
            if not is_there:
                one.nic.gone()

    # Clients.

    def change(self, interface: str, action: str) -> list[Json]:
        """Write what is agreed, or what was before; ControlError when that cannot be asked for."""
        port = next((port for port in self._ports.values() if port.link.name == interface), None)
        if port is None or port.dcb is None:
            raise ControlError(f"interface: the agent does not serve {interface}")
        if self._observes:
            raise ControlError(f"interface: {ONLY_OBSERVES}")
        one = port.dcb
        if action == "apply":
            if one.is_off:
                raise ControlError(f"interface: dcbx.mode is off on {interface}: it has to be observe or apply")
            self._look(port, one)
            one.held = False
            one.compare(port.stack)
            outcome = self._write(port, one)
        else:
            one.held = one.config.mode == "apply"
            outcome = one.nic.restore()
            self._report(port.link.index, one, outcome)
            self._renew(port)
            self._reconcile(port, one)
        changes = [difference_document(difference) for difference in outcome.changed]
        return [{"interface": interface, "changes": changes, "error": outcome.error}]

    # What is written, and when.

    def _link_up(self, port: Port, one: DcbUplink) -> None:
        one.settled = False
        one.in_vain = None
        self._await_peer(port, one)

    def _await_peer(self, port: Port, one: DcbUplink) -> None:
        """Settings are written when the peer has been heard, when it had time to answer, or when nobody has spoken."""
        assert self._loop is not None
        result = port.stack.dcbx.result
        wait = float(one.config.wait_for_peer)
        if result is not None and result.peer is not None:
            wait = 0.0 if result.dialect is Dialect.IEEE else NEGOTIATION_S
        due = ceil((self._loop.time() + wait) / SLACK_S) * SLACK_S
        if wait == 0.0:
            self._settle(one)
        elif one.timer is None or due < one.timer.when():
            self._settle(one, False)
            one.timer = self._loop.call_at(due, self._time_is_up, port, one)

    def _time_is_up(self, port: Port, one: DcbUplink) -> None:
        self._settle(one)
        if one.config.mode == "apply":  # nobody else sees a difference
            self._reconcile(port, one)

    def _settle(self, one: DcbUplink, settled: bool = True) -> None:
        one.settled = settled
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None

    def _stop(self, one: DcbUplink) -> None:
        one.settled = False
        for timer in (one.timer, one.writer):
            if timer is not None:
                timer.cancel()
        one.timer = one.writer = None

    def _look(self, port: Port, one: DcbUplink) -> bool:
        """Read the NIC's settings; when they have changed, so may have what the machines start from."""
        changed = one.nic.look()
        if changed:
            self._renew(port)
        return changed

    def _reconcile(self, port: Port, one: DcbUplink) -> None:
        """See what differs from what has been agreed, and have it written if that is ours to do."""
        one.compare(port.stack)
        self._schedule(port, one)
        self._warn(port, one)
        self._touch(port)

    def _schedule(self, port: Port, one: DcbUplink) -> None:
        if not port.link.enabled or one.writer is not None or self._loop is None:
            return
        if one.may_write:
            wait = max(0.0, one.next_write - self._loop.time())
            one.writer = self._loop.call_later(wait, self._write, port, one)
        elif one.nic.error:
            one.writer = self._loop.call_later(AGAIN_S, self._look_again, port, one)

    def _write(self, port: Port, one: DcbUplink) -> Outcome:
        if one.writer is not None:
            one.writer.cancel()
            one.writer = None
        outcome = one.nic.apply(one.wanted)
        pause = AGAIN_S if outcome.is_passing else NEAREST_S
        one.next_write = self._loop.time() + pause if self._loop is not None else 0.0
        one.in_vain = (one.wanted, one.nic.settings) if outcome.error and not outcome.is_passing else None
        self._report(port.link.index, one, outcome)
        one.compare(port.stack)
        if outcome.is_passing or one.nic.error:
            self._schedule(port, one)
        self._warn(port, one)
        self._touch(port)
        return outcome

    def _look_again(self, port: Port, one: DcbUplink) -> None:
        one.writer = None
        self._look(port, one)
        self._reconcile(port, one)

    def _report(self, index: int, one: DcbUplink, outcome: Outcome) -> None:
        """To the log, before and after of each, and to those who watch."""
        former, one.outcome = one.outcome, outcome
        for difference in outcome.changed:
            log.info("%s: DCB: %s", one.nic.name, difference)
        if outcome.error and not (outcome.is_passing and outcome == former):
            log.warning("%s: DCB settings not written: %s", one.nic.name, outcome.error)
        port = self._ports.get(index)
        if port is not None and outcome != Outcome():
            changes = [difference_document(difference) for difference in outcome.changed]
            self._publish(port, {"event": "dcb-written", "changes": changes, "error": outcome.error})

    def _nics_changed(self, names: frozenset[str] | None) -> None:
        """Somebody has changed settings: it may have been us, and then they are known."""
        for port in list(self._ports.values()):
            one = port.dcb
            if one is None or one.is_off or (names is not None and one.nic.name not in names):
                continue
            if self._look(port, one):
                log.info("%s: DCB settings have been changed by somebody else", one.nic.name)
                one.compare(port.stack)
                if one.nic.is_changed:
                    # To set them again would be a quarrel, and each change may reset the port.
                    one.in_vain = (one.wanted, one.nic.settings)
                self._reconcile(port, one)

    def _warn(self, port: Port, one: DcbUplink) -> None:
        known, one.warnings = one.warnings, one.complaints()
        for warning in one.warnings:
            if warning not in known:
                log.warning("%s: %s", one.nic.name, warning)
                self._publish(port, {"event": "warning", "warning": warning})


def _spoken(port: Port) -> str:
    """With whom, and how, for the log."""
    result = port.stack.dcbx.result
    if result is None:
        return "off"
    peer = describe_peer(port.stack)
    return f"{result.reason} ({peer})" if peer else result.reason


def _in_nearest_bridge(lldp: LldpConfig, admin_status: AdminStatusName) -> LldpConfig:
    """Unless it is configured."""
    return structs.replace(lldp, admin_status={Scope.NEAREST_BRIDGE: admin_status, **lldp.admin_status})
