"""Follows the guest devices that `evbagent attach` made: each in the mode that the answer and its policy ask for.

A device is known by its mark, the interface alias `evbagent:POLICY`, followed by ` vsi=INSTANCE` where the guest has a
VSI. Nothing without it is ever touched. A device may stand on a VLAN device of the uplink's instead of the uplink.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

from evbagent.netlink import Link, LinkChange, NetlinkError, RouteSocket
from evbagent.netns import NamespaceError, NamespaceFinder
from evbagent.observe import ONLY_OBSERVES
from evbagent.policy import MACVLAN_MODES, POLICIES, marked_policy, marked_vsi

log = logging.getLogger(__name__)

DeviceKey = tuple[int | None, int]
"""Network namespace id (None: our own) and interface index there."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One followed device. `mode` is the macvlan mode that it is in.

    `vsi` is its guest's, `vlan` the index of the VLAN device that it stands on; None: there is none.
    """

    key: DeviceKey
    name: str
    kind: str
    policy: str
    uplink: int
    mode: str
    vsi: str | None = None
    vlan: int | None = None
    error: str | None = None
    unmet: bool = False


@dataclass(frozen=True, slots=True)
class AttachmentEvent:
    """News of a followed device; `action` is added, removed, moved, re-moded, failed, unmet or met."""

    action: str
    attachment: Attachment
    reason: str


class Attachments:
    """All followed devices of the namespace's uplinks, wherever they were moved to."""

    def __init__(
        self,
        route: RouteSocket,
        finder: NamespaceFinder,
        notify: Callable[[AttachmentEvent], None],
        may_move: bool = True,
    ) -> None:
        self._route = route
        self._finder = finder
        self._notify = notify
        self._may_move = may_move
        self._devices: dict[DeviceKey, Attachment] = {}
        self._answers: dict[int, tuple[str, str]] = {}
        self._vlans: dict[int, int] = {}
        """The interface that each VLAN device stands on, by index."""

    def of(self, uplink: int) -> list[Attachment]:
        """The devices on the uplink with this index, by name."""
        found = [device for device in self._devices.values() if device.uplink == uplink]
        return sorted(found, key=lambda device: device.name)

    def conforms(self, device: Attachment) -> bool:
        """Whether the device is where its policy wants it."""
        answer = self._answers.get(device.uplink, ("veb", ""))[0]
        if device.policy == "require-vepa" and answer != "vepa":
            return False
        return device.mode == self.wanted_mode(device)

    def wanted_mode(self, device: Attachment) -> str:
        """The macvlan mode that the policy asks for under the present answer."""
        match device.policy:
            case "prefer-vepa":
                return MACVLAN_MODES[self._answers.get(device.uplink, ("veb", ""))[0]]
            case "require-vepa":
                return MACVLAN_MODES["vepa"]
            case other:
                return MACVLAN_MODES[other]

    def scan(self, links: Mapping[int, Link]) -> None:
        """Find the marked devices here, and those of our uplinks in the namespaces that have an id here."""
        # Where a device belongs can only be told once the VLAN devices are known.
        for link in sorted(links.values(), key=lambda link: link.kind != "vlan"):
            self.link_changed(LinkChange(None, link, None))
        for nsid in self._route.namespace_ids():
            for kind in ("macvlan", "macvtap"):
                try:
                    found = self._route.dump_links(kind=kind, nsid=nsid)
                except NetlinkError as error:
                    log.debug("namespace %d: %s", nsid, error)
                    continue
                for link in found:
                    if link.parent is not None:
                        self._see((nsid, link.index), link)

    def link_changed(self, change: LinkChange) -> None:
        """News of a link in our namespace."""
        old, new = change.old, change.new
        if new is not None:
            if new.kind == "vlan" and new.parent is not None:
                self._vlans[new.index] = new.parent
            if new.kind in ("macvlan", "macvtap"):
                self._see((None, new.index), new)
            return
        if old is None:
            return
        self._vlans.pop(old.index, None)
        device = self._devices.pop((None, old.index), None)
        if device is None:
            return
        if change.moved_to is None:
            self._notify(AttachmentEvent("removed", device, "the device is gone"))
            return
        moved = replace(device, key=change.moved_to)
        self._devices[moved.key] = moved
        self._notify(AttachmentEvent("moved", moved, "the device was moved to another network namespace"))
        self._bring_in_line(moved)

    def answer(self, uplink: int, mode: str, reason: str) -> None:
        """The answer for an uplink (`vepa` or `veb`) as it is now: devices under prefer-vepa follow at once."""
        if self._answers.get(uplink) == (mode, reason):
            return
        self._answers[uplink] = (mode, reason)
        self._bring_in_line(*self.of(uplink))

    def uplink_gone(self, uplink: int) -> None:
        """The uplink is not served any more; its devices keep the mode that they have."""
        self._answers.pop(uplink, None)

    def verify_moved(self) -> None:
        """Look after the devices in other namespaces, of which the kernel sends us no news."""
        for device in [device for device in self._devices.values() if device.key[0] is not None]:
            nsid, index = device.key
            try:
                link = self._route.get_link(index=index, nsid=nsid)
            except NetlinkError:
                link = None
            if link is None or marked_policy(link.alias) is None:
                del self._devices[device.key]
                self._notify(AttachmentEvent("removed", device, "the device is gone"))
            else:
                self._see(device.key, link)

    def _see(self, key: DeviceKey, link: Link) -> None:
        """A macvlan or macvtap as it is now: followed if it carries our mark, let go if it does not any more."""
        known = self._devices.get(key)
        if known and known.mode != link.macvlan_mode and key[0] is None:
            link = self._now(link)
        policy = marked_policy(link.alias)
        uplink = known.uplink if known else self._uplink(link)
        if policy not in POLICIES or uplink is None:
            if known:
                del self._devices[key]
                self._notify(AttachmentEvent("removed", known, "the device has lost its mark"))
            return
        vlan = known.vlan if known else link.parent if link.parent in self._vlans else None
        mode, vsi = link.macvlan_mode or "", marked_vsi(link.alias)
        device = Attachment(key, link.name, link.kind or "", policy, uplink, mode, vsi, vlan)
        if known and replace(known, error=None, unmet=False) == device:
            return
        if known:
            device = replace(device, unmet=known.unmet)
        self._devices[key] = device
        if known is None:
            self._notify(AttachmentEvent("added", device, f"marked {policy}"))
        self._bring_in_line(device)

    def _now(self, link: Link) -> Link:
        """News that were on their way when we set a mode tell of the one before."""
        try:
            return self._route.get_link(index=link.index) or link
        except NetlinkError:
            return link

    def _uplink(self, link: Link) -> int | None:
        return None if link.parent is None else self._vlans.get(link.parent, link.parent)

    def _bring_in_line(self, *devices: Attachment) -> None:
        """Move the devices, or say that they are not where they should be. Only prefer-vepa devices are moved.

        All are moved before anything is said, those at hand first: guests are cut off until then.
        """
        judged = [device for device in devices if device.uplink in self._answers]
        misplaced = [device for device in judged if device.policy == "prefer-vepa" and not self.conforms(device)]
        outcomes = self._move(misplaced)
        for device in judged:
            if device.policy != "prefer-vepa" and device.unmet is self.conforms(device):
                unmet = not device.unmet
                outcomes.append(AttachmentEvent("unmet" if unmet else "met", replace(device, unmet=unmet), ""))
        for outcome in outcomes:
            device = outcome.attachment
            self._devices[device.key] = device
            self._notify(replace(outcome, reason=device.error or self._answers[device.uplink][1]))

    def _move(self, devices: list[Attachment]) -> list[AttachmentEvent]:
        """Put each into the mode that it should be in, namespace by namespace. What is known to fail is not news."""
        by_namespace: dict[int | None, list[Attachment]] = {}
        for device in sorted(devices, key=lambda device: device.key[0] is not None):
            by_namespace.setdefault(device.key[0], []).append(device)
        outcomes: list[AttachmentEvent] = []
        for nsid, group in by_namespace.items():
            try:
                if not self._may_move:
                    raise NamespaceError(ONLY_OBSERVES)
                with nullcontext(self._route) if nsid is None else self._finder.route_socket(nsid) as route:
                    moved = [self._set_mode(route, device) for device in group]
            except NamespaceError as error:
                moved = [replace(device, error=str(error)) for device in group]
            for before, after in zip(group, moved, strict=True):
                if after.error is None:
                    outcomes.append(AttachmentEvent("re-moded", after, ""))
                elif after.error != before.error:
                    outcomes.append(AttachmentEvent("failed", after, ""))
        return outcomes

    def _set_mode(self, route: RouteSocket, device: Attachment) -> Attachment:
        wanted = self.wanted_mode(device)
        try:
            route.set_macvlan_mode(device.key[1], device.kind, wanted)
        except NetlinkError as error:
            return replace(device, error=str(error))
        return replace(device, mode=wanted, error=None)
