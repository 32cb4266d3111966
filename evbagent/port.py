"""An uplink that is served: its link, its machines and, in the bridge role, the hairpin flag under it."""

import logging
from asyncio import get_running_loop, sleep
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec.json import encode

from evbagent.attachments import Attachments
from evbagent.dcbxuplink import DcbUplink
from evbagent.driver import PortDriver
from evbagent.hairpin import HairpinPort
from evbagent.netlink import Link, NetlinkError, RouteSocket
from evbagent.view import BridgePortView, PortView, uplink_document
from protocols.evb.bridge import SetRelay
from protocols.evb.status import Role
from protocols.port import RelayAble, RelaySet, Shutdown
from protocols.stack import PortStack
from protocols.timers import Instant

log = logging.getLogger(__name__)

NOT_A_BRIDGE_PORT = "it is not a port of a bridge"
WITHDRAWAL_S = 0.3


@dataclass(slots=True)
class Port:
    """`since` is when the answer last changed, `fragment` its JSON for the state file, as far as the VSIs (None: to be
    made anew).

    `warnings` are its machines', `surroundings` those about others on the same NIC, `strayed` about guests
    that are in another VLAN than the switch assigns. `may_change`: the host's settings.
    """

    route: RouteSocket
    link: Link
    role: Role
    stack: PortStack
    since: Instant
    may_change: bool = True
    driver: PortDriver | None = None
    hairpin: HairpinPort | None = None
    warnings: tuple[str, ...] = ()
    surroundings: tuple[str, ...] = ()
    strayed: tuple[str, ...] = ()
    dcb: DcbUplink | None = None
    fragment: bytes | None = None

    def take_charge(self, left_behind: dict[str, bool]) -> None:
        """Bridge role: the hairpin flag is ours while the link is a port of a bridge.

        `left_behind`: by name, the flags that a crashed predecessor found before it set them; taken out when used.
        """
        if self.role is not Role.BRIDGE or self.driver is None or not self.may_change:
            return
        bound = self.hairpin
        if bound and bound.bridge != self.link.controller:
            self.hairpin = None
        if self.hairpin is None and self.link.is_bridge_port:
            self.hairpin = HairpinPort(self.route, self.link, left_behind.pop(self.link.name, None))
            try:
                self.hairpin.start()
            except NetlinkError as error:
                log.warning("%s: %s", self.link.name, error)
        if self.hairpin is not bound:
            self.driver.request(RelayAble(self.hairpin is not None, NOT_A_BRIDGE_PORT))

    def configure(self, setting: SetRelay) -> RelaySet:
        """Do what the bridge machine asks of the port; how it came out."""
        if self.hairpin is None:
            return RelaySet(False, NOT_A_BRIDGE_PORT if setting.on else None)
        outcome = self.hairpin.set(setting)
        if outcome.error:
            log.warning("%s: %s", self.link.name, outcome.error)
        else:
            log.info("%s: hairpin %s", self.link.name, "on" if outcome.on else "off")
        return outcome

    def view(self, links: Mapping[int, Link], attachments: Attachments) -> PortView:
        bridge_port = None
        if self.hairpin and self.link.controller is not None:
            bridge = links.get(self.link.controller)
            bridge_port = BridgePortView(
                bridge.name if bridge else "", self.hairpin.hairpin, self.hairpin.before, self.hairpin.touched
            )
        unmet = [
            f"{device.name}: {device.policy} is not met"
            for device in attachments.of(self.link.index)
            if not attachments.conforms(device)
        ]
        warnings = (*self.warnings, *self.surroundings, *self.strayed, *(self.dcb.warnings if self.dcb else ()), *unmet)
        dcbx = self.dcb.document(self.stack) if self.dcb else None
        return PortView(self.link, self.role, self.stack, self.since, bridge_port, warnings, dcbx)

    def pieces(self, links: Mapping[int, Link], attachments: Attachments, vsis: list[bytes]) -> list[bytes]:
        """Its JSON for the state file, `vsis` being that of its VSIs."""
        if self.fragment is None:
            self.fragment = encode(uplink_document(self.view(links, attachments), attachments))[:-1] + b',"vsis":'
        return [self.fragment, *vsis, b"}"]

    def say_goodbye(self) -> None:
        """Guests, neighbours and the bridge port, in this order."""
        if self.driver:
            self.driver.request(Shutdown())
        if self.hairpin:
            self.hairpin.restore()


async def withdraw_relay(ports: Iterable[Port]) -> None:
    """Bridge role, as the agent ends: tell the stations, and reflect until they have answered."""
    reflecting = [port for port in ports if port.role is Role.BRIDGE and port.stack.evb.relay_active]
    for port in reflecting:
        if port.driver:
            port.driver.request(RelayAble(False, "the agent is ending"))
    deadline = get_running_loop().time() + WITHDRAWAL_S
    while get_running_loop().time() < deadline:
        if not any(port.hairpin and port.hairpin.hairpin for port in reflecting):
            return
        await sleep(0.005)
