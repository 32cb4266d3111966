"""The hairpin flag of one bridge port: set and cleared for the bridge role, and put back as it was in the end."""

import logging
from typing import Any

from evbagent.netlink import Link, NetlinkError, RouteSocket
from protocols.evb.bridge import SetRelay
from protocols.port import RelaySet

log = logging.getLogger(__name__)

FOREIGN = "the port's hairpin flag was cleared by somebody else"


class HairpinPort:
    """`before` is the flag as it was before any agent of ours touched it."""

    def __init__(self, route: RouteSocket, link: Link, left_behind: bool | None = None) -> None:
        """`left_behind`: what a crashed predecessor recorded as the flag before its time, if it left the flag set."""
        self._route = route
        self.index = link.index
        self.bridge = link.controller or 0
        self.hairpin = bool(link.hairpin)
        self.before = self.hairpin if left_behind is None else left_behind
        self.touched = left_behind is not None

    def start(self) -> None:
        """A flag that a crashed predecessor left set says nothing any more."""
        if self.touched and self.hairpin != self.before:
            self._set(self.before)

    def set(self, relay: SetRelay) -> RelaySet:
        """Do what the bridge machine asks for."""
        try:
            self._set(relay.on)
        except NetlinkError as error:
            return RelaySet(self.hairpin, str(error))
        self.touched = True
        return RelaySet(relay.on)

    def link_changed(self) -> RelaySet | None:
        """The port's link changed: has somebody else cleared the flag that we count on? Asks the kernel, not the news,

        since the news of our own changes arrives late and in between.
        """
        try:
            link = self._route.get_link(index=self.index)
        except NetlinkError:
            return None
        if link is None or link.hairpin is None or link.hairpin == self.hairpin:
            return None
        expected, self.hairpin = self.hairpin, link.hairpin
        return RelaySet(False, FOREIGN) if expected and not link.hairpin else None

    def restore(self) -> None:
        """The agent leaves: the flag as it was."""
        if self.touched and self.hairpin != self.before:
            try:
                self._set(self.before)
            except NetlinkError:
                return  # the port has left the bridge, or is gone: so has its flag
        self.touched = False

    def _set(self, on: bool) -> None:
        self._route.set_hairpin(self.index, on)
        self.hairpin = on


def flags_left_behind(previous: dict[str, Any] | None) -> dict[str, bool]:
    """From the last state file: by name, what the flags were before an agent that ended without putting them back."""
    found: dict[str, bool] = {}
    try:
        for uplink in (previous or {}).get("uplinks", ()):
            bridge_port = uplink.get("bridge-port")
            if bridge_port and bridge_port["hairpin-set-by-agent"]:
                found[uplink["name"]] = bool(bridge_port["hairpin-before"])
    except (AttributeError, KeyError, TypeError) as error:
        log.warning("the state file left behind is not one of ours, nothing is restored from it: %r", error)
    return found
