"""Makes the captures of VSIs in pcaps/vsi/ anew: `python -m tests.system.make_vsi_captures [NAME...]`.

Not a test and not run by one; a sibling of `make_captures`, with which it shares manifest and text. Takes two minutes.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from tests.support import vdpdus
from tests.support.agent import Agent
from tests.support.namespaces import leave_host, wait_until
from tests.support.peers import DraftEvb, Lldpad, RatifiedEvb
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, PREASSOCIATE, PREASSOCIATE_RR, mac_vid, numbered
from tests.support.vdptool import LibvirtMessages, Vdptool, cisco
from tests.support.vsirig import (
    KIND_WORDS,
    Events,
    address,
    ask,
    associated,
    instance,
    spec,
    states,
    wait_for_states,
)
from tests.system.make_captures import Scene, make, program_versions, publish, settle

STATION = RatifiedEvb(mode="station", rr_request=True, group_ids=True, rte=8, rka=17)
BRIDGE = RatifiedEvb(mode="bridge", rr_capable=True, group_ids=True, rte=8, rka=17)
# RKA 17: keep-alives every 1.3 s, and a bridge gives up after 2 s.
PATIENT = "[evb]\ngroup-ids = true\necp-ack-timer-exponent = 8\n"
OURS = PATIENT + "keep-alive-exponent = 17\n"
SLOW = "[evb]\ngroup-ids = true\nkeep-alive-exponent = 17\n"
DRAFT = '[evb]\nedition = "draft"\n'
ASSIGNING = '[switch]\ndefault = { assign = "150-160" }\n'
CODES = (
    "invalid-format",
    "insufficient-resources",
    "unable-to-contact-vsi-manager",
    "other-failure",
    "invalid-vid-group-id-or-mac-address",
)
DRAFT_CODES = ("unused-vtid", "vtid-violation", "vtid-version-violation", "out-of-sync")
HERE, THERE = "veth0", "veth1"
MAC, MAC_2 = address(1), address(2)
VM: Mapping[str, Any] = {"vm-name": "web01", "vm-uuid": instance(77), "vm-address": "192.0.2.77"}
DRAFT_MANAGER = b"\x0c" + bytes(15)


def refusing(codes: Iterable[str]) -> str:
    """Types 101 and on are refused with these codes, ten more hard."""
    return "".join(
        f'[[switch.rule]]\ntype = {number + more}\nanswer = "{code}"\nhard = {str(bool(more)).lower()}\n'
        for number, code in enumerate(codes, 101)
        for more in (0, 10)
    )


class Stage:
    """A scene with agents whose VSIs are watched."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.told: dict[str, dict[str, list[str]]] = {}
        self._watchers: dict[str, tuple[Events, dict[str, list[str]]]] = {}

    def station(self, config: str = OURS) -> Agent:
        return self._agent(HERE, "station", config)

    def bridge(self, config: str = OURS) -> Agent:
        agent = self._agent(THERE, "bridge", config)
        if self.scene.switch.link("br0")["linkinfo"]["info_data"]["stp_state"] == 0:
            self.scene.switch.ip("link set br0 type bridge stp_state 1")
        return agent

    def kill(self, interface: str) -> None:
        self._gather(interface)
        self.scene.kill_agent(interface)

    def ask(self, *specs: Mapping[str, Any]) -> list[str]:
        """Of our station, in one breath; how each came out."""
        found = {answer["id"]: answer for answer in ask(self.scene.agents[HERE], HERE, specs, 30)}
        return [found[its["id"]]["response"] or found[its["id"]]["result"] for its in specs]

    def wait(self, interface: str, wanted: Mapping[str, str]) -> None:
        wait_for_states(self.scene.agents[interface], interface, wanted, 20)

    def lldpad(self, interface: str, evb: RatifiedEvb | DraftEvb) -> Lldpad:
        """Returns when it takes VSIs, which it does from its second LLDPDU on."""
        started = self.scene.start_lldpad(interface, evb)
        self.scene.wait(THERE if interface == HERE else HERE, "active")
        settle(1.5)
        return started

    def close(self) -> None:
        for interface in list(self._watchers):
            self._gather(interface)

    def _agent(self, interface: str, role: str, config: str) -> Agent:
        agent = self.scene.start_agent(interface, role, config)
        seen = self.told.setdefault(interface, defaultdict(list))
        events = Events(agent, self.scene.directory / f"events-{interface}-{len(self.scene.events)}")
        self._watchers[interface] = events, seen
        settle(0.5)
        return agent

    def _gather(self, interface: str) -> None:
        """What the agent has told of each VSI, state by state."""
        settle(0.3)
        events, seen = self._watchers.pop(interface)
        for event in events.seen():
            state = event["vsi"]["state"]
            seen[event["vsi"]["vsi-id"]] += [state] if state != event["was"] else []
        events.__exit__()


# Scenes. The docstring is what the manifest says happens.


def station_kinds(stage: Stage) -> None:
    """evbagent station, lldpad bridge: PreAssociate, with resource reservation, Associate, the same again, back to
    PreAssociate, DeAssociate; a VSI of each kind kept alive for three rounds and released"""
    stage.station()
    stage.lldpad(THERE, BRIDGE)
    for request in (*KIND_WORDS[:3], "associate", "preassociate", "deassociate"):
        stage.ask(spec(1, request))
    stage.ask(*(spec(number, request) for number, request in enumerate(KIND_WORDS[:3], 2)))
    settle(4.2)
    stage.ask(*(spec(number, "deassociate") for number in (2, 3, 4)))


def station_forms(stage: Stage) -> None:
    """evbagent station, lldpad bridge: all formats of filters and VSI IDs, priorities, hints, Cisco's TLVs; refused by
    lldpad: VID 1, a UUID that begins with zeros; null VIDs, which lldpad grants and leaves null: released at once"""
    stage.station()
    stage.lldpad(THERE, BRIDGE)
    forms = (["100/3", "101"], [f"100/7-{MAC}", f"101-{MAC_2}"], ["100--7", "101/1--16777215"], [f"100-{MAC}-7"])
    stage.ask(*(spec(number, filter=filters) for number, filters in enumerate(forms, 1)))
    others = ("192.0.2.33", "2001:db8::1", "52:54:00:8e:50:53", "local:000000000000000000000000c0ffee42")
    stage.ask(*(spec(number, instance=text) for number, text in enumerate(others, 10)))
    stage.ask(spec(20, hint="suspend"), spec(21, hint="migrate", manager="blabla"), spec(22, **VM))
    zeros = "00000000-0000-0000-0000-000000000001"
    said = stage.ask(spec(30, vid=1), spec(31, instance=zeros), spec(32, vid=0), spec(33, filter=["0--7"]))
    assert said[:2] == ["insufficient-resources"] * 2 and "success" not in said, said
    wait_until(lambda: "unassociated" not in states(stage.scene.agents[HERE], HERE).values(), "those are released")


def station_other_filters(stage: Stage) -> None:
    """evbagent station, lldpad bridge: other filters for a VSI. lldpad holds it beyond its DeAssociate, so they are
    asked for when lldpad has let go of it, which it says (DeAssociate, status 0)"""
    stage.station()
    stage.lldpad(THERE, BRIDGE)
    assert stage.ask(spec(1)) == stage.ask(spec(1, vid=200)) == ["success"]
    stage.ask(spec(1, "deassociate"))
    assert stage.ask(spec(1, vid=300)) == ["success"]


def station_many(stage: Stage) -> None:
    """evbagent station, lldpad bridge, RTE 8: 60 VSIs, one alone until lldpad is known by its answer, then as many as
    it can take in; it answers one at a time, every 2.6 ms"""
    stage.station(PATIENT)
    stage.lldpad(THERE, replace(BRIDGE, rka=20))
    assert set(stage.ask(*(spec(number) for number in range(60)))) == {"success"}


def station_peer_restarted(stage: Stage) -> None:
    """evbagent station, lldpad bridge, RTE 14: three VSIs; lldpad killed, another started a moment later, which is
    asked for all of them; that one says goodbye, and the next is asked again"""
    stage.station(SLOW)
    slow = replace(BRIDGE, rte=14)
    lldpad = stage.lldpad(THERE, slow)
    stage.ask(*(spec(number) for number in (1, 2, 3)))
    settle(1)
    stage.scene.kill_peer(lldpad, THERE)
    lldpad = stage.lldpad(THERE, slow)
    stage.wait(HERE, associated([1, 2, 3]))
    settle(1)
    stage.scene.stop_peer(lldpad, THERE)
    stage.lldpad(THERE, slow)
    stage.wait(HERE, associated([1, 2, 3]))
    settle(1)


def station_link(stage: Stage) -> None:
    """evbagent station, lldpad bridge: three VSIs; the switch's link down for a second and up again, the VSIs come
    back"""
    stage.station()
    stage.lldpad(THERE, BRIDGE)
    stage.ask(*(spec(number) for number in (1, 2, 3)))
    settle(0.5)
    stage.scene.link(THERE, "down")
    stage.wait(HERE, dict.fromkeys(associated([1, 2, 3]), "unassociated"))
    settle(1)
    stage.scene.link(THERE, "up")
    stage.wait(HERE, associated([1, 2, 3]))
    settle(1)


def bridge_kinds(stage: Stage) -> None:
    """lldpad station (vdptool), evbagent bridge: PreAssociate, with resource reservation, Associate, DeAssociate; all
    formats of filters, priorities, null VIDs that are assigned, a hint, Cisco's TLVs; a round of keep-alives; four of
    them taken away by the switch in one ECPDU"""
    bridge = stage.bridge(OURS + ASSIGNING)
    tool = Vdptool(stage.lldpad(HERE, STATION), HERE)
    for kind in (PREASSOCIATE, PREASSOCIATE_RR, ASSOCIATE):
        tool.ask_and_wait(numbered(1), kind)
    tool.ask(numbered(1), DEASSOCIATE)
    stage.wait(THERE, {})
    group = (7).to_bytes(4, "big")
    two = (mac_vid(bytes.fromhex("525400000021"), 100), mac_vid(bytes.fromhex("525400000022"), 0xD064))
    forms = (
        replace(numbered(2), filter_format=vdpdus.VID, entries=(b"\0\x64", b"\xb0\x65")),
        replace(numbered(3), entries=two, status=vdpdus.MIGRATE),
        replace(numbered(4), filter_format=vdpdus.GROUP_VID, entries=(group + b"\0\0",)),
        replace(numbered(5), filter_format=vdpdus.GROUP_MAC_VID, entries=(group + mac_vid(two[0][:6], 100),)),
    )
    for vsi in (*forms, numbered(6, vid=0)):
        tool.ask_and_wait(vsi)
    tool.ask_and_wait(numbered(7), ASSOCIATE, *cisco(name="web01", uuid=numbered(77).uuid, address="192.0.2.77"))
    settle(1.5)
    bridge.evbagent("switch", "deassociate", "--instance", numbered(7).uuid)
    bridge.evbagent("switch", "deassociate", "--all")
    settle(0.5)


def bridge_refusals(stage: Stage) -> None:
    """lldpad station (vdptool), evbagent bridge: refused with each code, softly and hard"""
    stage.bridge(OURS + refusing(CODES))
    tool = Vdptool(stage.lldpad(HERE, STATION), HERE)
    for number in range(len(CODES)):
        for more in (101, 111):
            tool.ask_and_wait(replace(numbered(number), type_id=number + more))


def bridge_many(stage: Stage) -> None:
    """lldpad station (vdptool), evbagent bridge, RTE 8: 60 VSIs, which lldpad asks for one by one; several answers in
    an ECPDU, and a pause of 20 ms after each, since lldpad loses what comes sooner"""
    stage.bridge(PATIENT)
    tool = Vdptool(stage.lldpad(HERE, replace(STATION, rka=20)), HERE)
    mine = [numbered(number) for number in range(60)]
    tool.ask_all(mine)
    stage.wait(THERE, {vsi.uuid: "associated" for vsi in mine})
    settle(0.3)
    assert len(tool.confirmed(mine)) == len(mine)


def bridge_peer_restarted(stage: Stage) -> None:
    """lldpad station (vdptool), evbagent bridge: two VSIs; lldpad killed, the bridge gives up on them and says so to
    nobody (DeAssociates, repeated, never acknowledged); lldpad again, whose first ECPDU has number 1 once more"""
    stage.bridge()
    lldpad = stage.lldpad(HERE, STATION)
    Vdptool(lldpad, HERE).ask_all([numbered(1), numbered(2)])
    stage.wait(THERE, {numbered(number).uuid: "associated" for number in (1, 2)})
    settle(1)
    stage.scene.kill_peer(lldpad, HERE)
    stage.wait(THERE, {})
    settle(1)
    lldpad = stage.lldpad(HERE, STATION)
    Vdptool(lldpad, HERE).ask(numbered(1))
    stage.wait(THERE, {numbered(1).uuid: "associated"})
    settle(0.5)


def ours_kinds(stage: Stage) -> None:
    """evbagent on both sides: every kind of request, all formats of filters, null VIDs assigned, Cisco's TLVs; refused
    with each code, softly and hard; one VSI taken away by the switch, which the station asks for again; 50 VSIs in two
    ECPDUs, and their keep-alives"""
    bridge = stage.bridge(OURS + ASSIGNING + refusing(CODES))
    stage.station()
    stage.scene.wait(HERE, "active")
    for request in KIND_WORDS:
        stage.ask(spec(1, request))
    forms = (["0/3"], ["100", "101"], [f"0-{MAC}", f"0/1-{MAC_2}"], ["0--7", "0--8"], [f"0-{MAC}-9"])
    stage.ask(*(spec(number, filter=filters, hint="migrate") for number, filters in enumerate(forms, 10)))
    stage.ask(spec(20, **VM))
    for number in range(len(CODES)):
        stage.ask(spec(30 + number, type=101 + number), spec(40 + number, type=111 + number))
    bridge.evbagent("switch", "deassociate", "--instance", instance(20))
    wait_until(lambda: states(bridge, THERE).get(instance(20)) is None, "it is gone")
    wait_until(lambda: states(bridge, THERE).get(instance(20)) == "associated", "it is back")
    stage.ask(*(spec(number) for number in range(100, 150)))
    settle(1.5)


def ours_restarted(stage: Stage) -> None:
    """evbagent on both sides: three VSIs; the station's agent killed and started again, the switch does not notice; the
    switch's agent killed and started again, it is asked for all of them; the link down and up; the station deassociates
    when it ends, as configured"""
    stage.bridge()
    leaving = OURS + '[vdp]\non-stop = "deassociate"\n'
    stage.station(leaving)
    stage.scene.wait(HERE, "active")
    stage.ask(*(spec(number) for number in (1, 2, 3)))
    settle(0.5)
    stage.kill(HERE)
    stage.station(leaving)
    stage.wait(HERE, associated([1, 2, 3]))
    stage.kill(THERE)
    stage.bridge()
    stage.wait(THERE, associated([1, 2, 3]))
    stage.wait(HERE, associated([1, 2, 3]))
    stage.scene.link(THERE, "down")
    stage.wait(HERE, dict.fromkeys(associated([1, 2, 3]), "unassociated"))
    settle(0.5)
    stage.scene.link(THERE, "up")
    stage.wait(HERE, associated([1, 2, 3]))
    settle(0.5)


def draft_station_unanswered(stage: Stage) -> None:
    """evbagent station, lldpad bridge with the draft 0.2: two VSIs. lldpad acknowledges the request each time that it
    is repeated and never answers; the station gives up after 8 s and says DeAssociate in case"""
    stage.station(DRAFT)
    stage.lldpad(THERE, DraftEvb(role="bridge"))
    assert stage.ask(*(spec(number, manager="0c") for number in (1, 2))) == ["timed-out"] * 2
    settle(1)


def draft_bridge(stage: Stage) -> None:
    """lldpad station with the draft 0.2 (libvirt's messages), evbagent bridge: PreAssociate and Associate, PreAssociate
    with resource reservation, 8 VSIs at once; each refusal of the draft, and the DeAssociates of those that were
    refused, which lldpad adds to what it says next; a round of keep-alives; one VSI taken away by the switch, one
    released"""
    bridge = stage.bridge(refusing(DRAFT_CODES))
    lldpad = stage.lldpad(HERE, DraftEvb(role="station"))
    mine = [replace(numbered(number, vid=3), manager=DRAFT_MANAGER, version=1) for number in range(18)]
    with LibvirtMessages(lldpad.namespace, HERE) as libvirt:
        for vsi, kind in ((mine[1], PREASSOCIATE), (mine[1], ASSOCIATE), (mine[2], PREASSOCIATE_RR)):
            libvirt.ask(vsi, kind)
            settle(0.2)
        for vsi in mine[10:]:
            libvirt.ask(vsi)
        settle(0.5)
        for number in range(4):
            libvirt.ask(replace(mine[3 + number], type_id=101 + number))
        settle(10.5)
        bridge.evbagent("switch", "deassociate", "--instance", mine[10].uuid)
        settle(2)
        libvirt.ask(mine[1], DEASSOCIATE)
        settle(0.5)


def draft_ours(stage: Stage) -> None:
    """evbagent on both sides with the draft 0.2: every kind of request, each refusal of the draft, 40 VSIs in two
    ECPDUs, one of them taken away by the switch and asked for again; a round of keep-alives"""
    bridge = stage.bridge(DRAFT + refusing(DRAFT_CODES))
    stage.station(DRAFT)
    stage.scene.wait(HERE, "active")
    for request in KIND_WORDS:
        stage.ask(spec(1, request, manager="0c"))
    for number in range(len(DRAFT_CODES)):
        stage.ask(spec(2 + number, manager="0c", type=101 + number))
    stage.ask(*(spec(number, manager="0c") for number in range(100, 140)))
    bridge.evbagent("switch", "deassociate", "--instance", instance(100))
    settle(11)


SCENES: Mapping[str, Callable[[Stage], None]] = {
    "evbagent-lldpad-kinds": station_kinds,
    "evbagent-lldpad-forms": station_forms,
    "evbagent-lldpad-other-filters": station_other_filters,
    "evbagent-lldpad-many": station_many,
    "evbagent-lldpad-restarted": station_peer_restarted,
    "evbagent-lldpad-link-down-up": station_link,
    "lldpad-evbagent-kinds": bridge_kinds,
    "lldpad-evbagent-refusals": bridge_refusals,
    "lldpad-evbagent-many": bridge_many,
    "lldpad-evbagent-restarted": bridge_peer_restarted,
    "evbagent-evbagent-kinds": ours_kinds,
    "evbagent-evbagent-restarted": ours_restarted,
    "evbagent-lldpad-draft-unanswered": draft_station_unanswered,
    "lldpad-evbagent-draft": draft_bridge,
    "evbagent-evbagent-draft": draft_ours,
}


def main() -> None:
    leave_host()
    versions = program_versions()
    for name in sys.argv[1:] or SCENES:
        told: dict[str, dict[str, list[str]]] = {}

        def play(scene: Scene, name: str = name, told: dict[str, dict[str, list[str]]] = told) -> None:
            stage = Stage(scene)
            SCENES[name](stage)
            stage.close()
            told |= stage.told

        play.__doc__ = SCENES[name].__doc__
        entry = make(f"vsi/{name}.pcap", play, versions)
        entry["vsis"] = {end: {vsi_id: " ".join(said) for vsi_id, said in its.items()} for end, its in told.items()}
        publish("vsi-captures", entry, [f"vsi/{each}.pcap" for each in SCENES])
        print(name)


if __name__ == "__main__":
    main()
