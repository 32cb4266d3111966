"""Followed guest devices: by their mark alone, wherever they are."""

from dataclasses import replace
from typing import Any

import pytest

from evbagent.attachments import AttachmentEvent, Attachments
from evbagent.netlink import Link, LinkChange, NetlinkError
from evbagent.netns import NamespaceError

UPLINK = 2


def guest(index: int, policy: str | None = "prefer-vepa", mode: str = "bridge", kind: str = "macvtap") -> Link:
    alias = f"evbagent:{policy}" if policy else "somebody's"
    return Link(index, f"g{index}", b"", 1, kind=kind, parent=UPLINK, macvlan_mode=mode, alias=alias)


class Route:
    """The kernel's side of one namespace: modes by index, and what it refuses."""

    def __init__(self, **elsewhere: list[Link]) -> None:
        self.modes: dict[int, str] = {}
        self.refuses: set[int] = set()
        self.here: dict[int, Link] = {}
        self.elsewhere = {int(key[1:]): links for key, links in elsewhere.items()}

    def __enter__(self) -> "Route":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_macvlan_mode(self, index: int, kind: str, mode: str) -> None:
        if index in self.refuses:
            raise NetlinkError(19, f"set {kind} {index} to mode {mode}")
        self.modes[index] = mode

    def namespace_ids(self) -> list[int]:
        return sorted(self.elsewhere)

    def dump_links(self, kind: str, nsid: int) -> list[Link]:
        return [link for link in self.elsewhere[nsid] if link.kind == kind]

    def get_link(self, index: int, nsid: int | None = None) -> Link | None:
        if nsid is None:
            link = self.here.get(index)
            return link and replace(link, macvlan_mode=self.modes.get(index, link.macvlan_mode))
        return next((link for link in self.elsewhere[nsid] if link.index == index), None)


class Finder:
    def __init__(self) -> None:
        self.routes: dict[int, Route] = {}
        self.entered: list[int] = []

    def route_socket(self, nsid: int) -> Route:
        self.entered.append(nsid)
        if nsid not in self.routes:
            raise NamespaceError(f"network namespace {nsid} not found")
        return self.routes[nsid]


class Bench:
    def __init__(self, **elsewhere: list[Link]) -> None:
        self.route, self.finder = Route(**elsewhere), Finder()
        self.events: list[AttachmentEvent] = []
        route: Any = self.route
        finder: Any = self.finder
        self.attachments = Attachments(route, finder, self.events.append)

    def appear(self, link: Link) -> None:
        self.attachments.link_changed(LinkChange(None, link))

    def took(self) -> list[tuple[str, str]]:
        taken = [(event.action, event.attachment.name) for event in self.events]
        self.events.clear()
        return taken


def test_only_marked_devices_are_known() -> None:
    bench = Bench()
    bench.appear(guest(5, policy=None))
    bench.appear(guest(6, policy="whatever"))
    bench.appear(Link(7, "eth1", b"", 1, alias="evbagent:prefer-vepa"))
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    assert bench.events == [] and bench.route.modes == {} and bench.attachments.of(UPLINK) == []


def test_prefer_vepa_follows_the_answer_both_ways() -> None:
    bench = Bench()
    bench.attachments.answer(UPLINK, "veb", "nobody")
    bench.appear(guest(5))
    assert bench.took() == [("added", "g5")]
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    assert bench.took() == [("re-moded", "g5")] and bench.route.modes == {5: "vepa"}
    bench.attachments.answer(UPLINK, "vepa", "agreed by another")
    assert bench.took() == []
    bench.attachments.answer(UPLINK, "veb", "gone")
    assert bench.took() == [("re-moded", "g5")] and bench.route.modes == {5: "bridge"}
    assert all(bench.attachments.conforms(device) for device in bench.attachments.of(UPLINK))


def test_a_device_in_the_wrong_mode_is_moved_when_it_is_seen() -> None:
    bench = Bench()
    bench.attachments.answer(UPLINK, "veb", "nobody")
    bench.appear(guest(5, mode="vepa"))
    assert bench.took() == [("added", "g5"), ("re-moded", "g5")] and bench.route.modes == {5: "bridge"}
    bench.route.modes[5] = "vepa"
    bench.attachments.link_changed(LinkChange(guest(5), guest(5, mode="vepa")))
    assert bench.took() == [("re-moded", "g5")], "whoever moved it by hand"


def test_old_news_are_not_believed() -> None:
    """The kernel tells of a guest whose lower link went down after we have set its mode, and in the words of before."""
    bench = Bench()
    bench.route.here[5] = guest(5, mode="vepa")
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    bench.appear(guest(5, mode="vepa"))
    bench.attachments.answer(UPLINK, "veb", "the link is down")
    assert bench.took() == [("added", "g5"), ("re-moded", "g5")]
    bench.attachments.link_changed(LinkChange(None, guest(5, mode="vepa")))
    assert bench.took() == [] and bench.route.modes == {5: "bridge"}
    assert [device.mode for device in bench.attachments.of(UPLINK)] == ["bridge"]


def test_require_vepa_is_reported_once_and_never_moved() -> None:
    bench = Bench()
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    bench.appear(guest(5, "require-vepa", "vepa"))
    bench.attachments.answer(UPLINK, "veb", "withdrawn")
    bench.attachments.answer(UPLINK, "veb", "gone")
    assert bench.took() == [("added", "g5"), ("unmet", "g5")]
    assert not bench.attachments.conforms(bench.attachments.of(UPLINK)[0])
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    assert bench.took() == [("met", "g5")] and bench.route.modes == {}


@pytest.mark.parametrize(("policy", "mode"), [("veb", "bridge"), ("private", "private")])
def test_the_other_policies_do_not_depend_on_the_answer(policy: str, mode: str) -> None:
    bench = Bench()
    bench.appear(guest(5, policy, mode))
    for answer in ("vepa", "veb", "vepa"):
        bench.attachments.answer(UPLINK, answer, answer)
    assert bench.took() == [("added", "g5")] and bench.route.modes == {}


def test_a_moved_device_is_followed_into_its_namespace() -> None:
    bench = Bench()
    bench.finder.routes[3] = Route()
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    bench.appear(guest(5, mode="vepa"))
    bench.appear(guest(6, mode="vepa"))
    for index in (5, 6):
        bench.attachments.link_changed(LinkChange(guest(index, mode="vepa"), None, (3, index + 10)))
    assert bench.took() == [("added", "g5"), ("added", "g6"), ("moved", "g5"), ("moved", "g6")]
    bench.attachments.answer(UPLINK, "veb", "withdrawn")
    assert bench.took() == [("re-moded", "g5"), ("re-moded", "g6")]
    assert bench.finder.routes[3].modes == {15: "bridge", 16: "bridge"}
    assert bench.finder.entered == [3], "one visit for all that is there"


def test_what_fails_is_said_once_and_the_others_are_moved() -> None:
    bench = Bench()
    bench.finder.routes[4] = Route()
    bench.attachments.answer(UPLINK, "veb", "nobody")
    for index in (5, 6, 7, 8):
        bench.appear(guest(index))
    bench.attachments.link_changed(LinkChange(guest(7), None, (3, 7)))
    bench.attachments.link_changed(LinkChange(guest(8), None, (4, 8)))
    bench.route.refuses.add(5)
    bench.took()
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    assert sorted(bench.took()) == [("failed", "g5"), ("failed", "g7"), ("re-moded", "g6"), ("re-moded", "g8")]
    bench.attachments.answer(UPLINK, "vepa", "agreed with another")
    assert bench.took() == []
    errors = {device.name: device.error for device in bench.attachments.of(UPLINK)}
    assert "No such device" in str(errors["g5"]) and "namespace 3 not found" in str(errors["g7"])
    bench.route.refuses.clear()
    bench.attachments.answer(UPLINK, "vepa", "agreed with a third")
    assert bench.took() == [("re-moded", "g5")]


def test_a_device_that_is_gone_or_has_lost_its_mark_is_let_go() -> None:
    bench = Bench()
    bench.attachments.answer(UPLINK, "veb", "nobody")
    bench.appear(guest(5))
    bench.appear(guest(6))
    bench.attachments.link_changed(LinkChange(guest(5), None))
    bench.attachments.link_changed(LinkChange(guest(6), guest(6, policy=None)))
    assert bench.took() == [("added", "g5"), ("added", "g6"), ("removed", "g5"), ("removed", "g6")]
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    assert bench.route.modes == {}


def test_a_scan_finds_those_here_and_elsewhere_that_are_ours() -> None:
    stranger = Link(9, "g9", b"", 1, kind="macvlan", parent=None, macvlan_mode="vepa", alias="evbagent:prefer-vepa")
    bench = Bench(_3=[guest(7, kind="macvlan"), guest(8, policy=None), stranger])
    bench.attachments.scan({5: guest(5)})
    assert sorted(bench.took()) == [("added", "g5"), ("added", "g7")]
    assert [device.key for device in bench.attachments.of(UPLINK)] == [(None, 5), (3, 7)]
    bench.route.elsewhere[3] = []
    bench.attachments.verify_moved()
    assert bench.took() == [("removed", "g7")]


VLAN = Link(4, "eth0.100", b"", 1, kind="vlan", parent=UPLINK)


def on_vlan(index: int, policy: str = "prefer-vepa vsi=a0b1c2d3", mode: str = "bridge") -> Link:
    return replace(guest(index, policy, mode), parent=VLAN.index)


def test_a_device_with_a_vsi_is_followed_like_others() -> None:
    bench = Bench()
    bench.attachments.answer(UPLINK, "veb", "nobody")
    bench.appear(guest(5, "prefer-vepa vsi=a0b1c2d3"))
    bench.appear(guest(6, "prefer-vepa vsi="))
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    assert bench.took() == [("added", "g5"), ("re-moded", "g5")] and bench.route.modes == {5: "vepa"}
    assert bench.attachments.of(UPLINK)[0].policy == "prefer-vepa"


def test_a_device_on_a_vlan_device_belongs_to_the_uplink_below() -> None:
    bench = Bench()
    bench.finder.routes[3] = Route()
    bench.attachments.answer(UPLINK, "veb", "nobody")
    bench.appear(VLAN)
    bench.appear(on_vlan(5))
    bench.appear(on_vlan(6))
    bench.attachments.link_changed(LinkChange(on_vlan(6), None, (3, 16)))
    bench.attachments.answer(UPLINK, "vepa", "agreed")
    assert bench.route.modes == {5: "vepa"} and bench.finder.routes[3].modes == {16: "vepa"}
    assert [device.name for device in bench.attachments.of(UPLINK)] == ["g5", "g6"]
    bench.attachments.link_changed(LinkChange(VLAN, None))
    bench.appear(on_vlan(7))
    assert [device.name for device in bench.attachments.of(VLAN.index)] == ["g7"], "the index is another interface's"


def test_a_scan_knows_the_vlan_devices_first() -> None:
    bench = Bench(_3=[on_vlan(8)])
    late = replace(VLAN, index=9)
    bench.attachments.scan({5: replace(on_vlan(5), parent=9), VLAN.index: VLAN, 9: late})
    assert [device.key for device in bench.attachments.of(UPLINK)] == [(None, 5), (3, 8)]
