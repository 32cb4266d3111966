"""Guests' devices on VLAN devices: whether it is the VLAN that the switch has assigned to the guest's VSI, also later.

A switch that was replaced may assign another one. The kernel moves no macvlan to another device, and to make it anew
would take it away from the guest that has it open: so it is said, and left to whoever manages the guest.
"""

from asyncio import get_running_loop
from collections.abc import Callable, Iterator

from evbagent.attachments import Attachments
from evbagent.hostmonitor import HostMonitor
from evbagent.netlink import LinkMonitor
from evbagent.port import Port
from evbagent.teller import Teller
from protocols.vdp.status import VsiState
from protocols.vdp.vsi import parse_vsi_id

LOOK_AFTER_S = 0.1


class GuestVlans:
    """`touch` is called when a port's warnings have changed. To be made in a running event loop."""

    def __init__(
        self,
        attachments: Attachments,
        monitor: LinkMonitor,
        host: HostMonitor,
        teller: Teller,
        touch: Callable[[Port], None],
    ) -> None:
        self._attachments = attachments
        self._monitor = monitor
        self._host = host
        self._teller = teller
        self._touch = touch
        self._loop = get_running_loop()
        self._doubtful: dict[int, Port] = {}

    def doubt(self, port: Port) -> None:
        """A VSI or a device of the port is not what it was. Thousands may change at a time, and are looked at once."""
        if not self._doubtful:
            self._loop.call_later(LOOK_AFTER_S, self._look)
        self._doubtful[port.link.index] = port

    def _look(self) -> None:
        doubtful, self._doubtful = self._doubtful, {}
        for port in doubtful.values():
            strayed = tuple(self._strayed(port))
            if strayed != port.strayed:
                self._teller.warn(port, strayed, port.strayed)
                port.strayed = strayed
                self._touch(port)

    def _strayed(self, port: Port) -> Iterator[str]:
        vids = {name: vid for vid, name in self._host.facts.vlan_devices.get(port.link.index, ())}
        for device in self._attachments.of(port.link.index) if vids else ():
            lower = None if device.vlan is None else self._monitor.links.get(device.vlan)
            if lower is None or lower.name not in vids or device.vsi is None:
                continue
            assigned = _assigned(port, device.vsi)
            if assigned and vids[lower.name] not in assigned:
                given = " and ".join(map(str, sorted(assigned)))
                yield f"{device.name}: stands on {lower.name}, but the switch has assigned VID {given}: attach it anew"


def _assigned(port: Port, instance: str) -> frozenset[int]:
    """The VIDs of the VSI that a mark names; none while it is not associated."""
    try:
        vsi = port.stack.edge.vdp.vsis.get(parse_vsi_id(instance))
    except ValueError:  # whoever may make interfaces may write marks
        return frozenset()
    if vsi is None or vsi.vsi_state is not VsiState.ASSOCIATED:
        return frozenset()
    return frozenset(entry.vid for entry in vsi.filters.entries)
