"""Makes the captures in pcaps/ anew, with their manifest: `python -m tests.system.make_captures [NAME...]`.

Not a test and not run by one. Needs what the system tests need (lldpad, lldpd, tcpdump) and takes some minutes. Each
capture is replayed at once, as tests/replay does it, and is made again when the machine was too busy for its times.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.replay.check import check_capture
from tests.replay.player import CAPTURES, MANIFEST, load
from tests.support.agent import Agent
from tests.support.lldpdus import read_pcap
from tests.support.namespaces import Namespace, PacketTap, end, leave_host, link_pair
from tests.support.peers import DraftEvb, Lldpad, LldpadPort, Lldpd, RatifiedEvb, Tcpdump

EXPRESSION = "ether proto 0x88cc or ether proto 0x8940 or ether proto 0x88b7"
MAX_OCTETS = 20_480
ATTEMPTS = 4

CONFIG = """[lldp]
admin-status.nearest-bridge = "rx-only"
system-name = "{name}"
system-description = "evbagent"
management-addresses = ["{address}"]
"""
NAMES = {"host-a": "192.0.2.1", "switch-a": "192.0.2.2"}
LLDPD_OPTIONS = ("-S", "an ordinary switch", "-P", "Linux")


@dataclass(slots=True)
class Scene:
    """One capture in the making: a host with `veth0`, a switch with `veth1`, and a notebook of what is done to them."""

    file: str
    host: Namespace
    switch: Namespace
    directory: Path
    events: list[dict[str, Any]] = field(default_factory=list)
    programs: dict[str, tuple[str, str, bool]] = field(default_factory=dict)  # interface: program, role, bridge port
    agents: dict[str, Agent] = field(default_factory=dict)
    peers: list[Lldpad | Lldpd] = field(default_factory=list)

    def note(self, interface: str, event: str, **settings: Any) -> None:
        entry = {"time": time.time(), "interface": interface, "event": event}
        self.events.append(entry | ({"settings": settings} if settings else {}))

    # Agents of ours.

    def start_agent(self, interface: str, role: str, config: str = "") -> Agent:
        """Start an agent on one end; in the bridge role its port is in a Linux bridge."""
        namespace = self.namespace(interface)
        config = CONFIG.format(name=namespace.name, address=NAMES[namespace.name]) + config
        agent = self.agents.get(interface)
        if agent is None:
            if role == "bridge":
                namespace.bridge("br0", [interface])
            agent = Agent(namespace, self.directory, [interface], role=role, config=config)
            self.agents[interface] = agent
            self.programs[interface] = ("evbagent", role, role == "bridge")
        self.note(interface, "start", config=config)
        agent.start()
        return agent

    def stop_agent(self, interface: str) -> None:
        self.note(interface, "stop")
        self.agents[interface].stop()

    def kill_agent(self, interface: str) -> None:
        self.agents[interface].kill()
        self.note(interface, "kill")

    def reload_agent(self, interface: str, config: str) -> None:
        namespace = self.namespace(interface)
        config = CONFIG.format(name=namespace.name, address=NAMES[namespace.name]) + config
        self.note(interface, "set", config=config)
        self.agents[interface].reload(config)

    def wait(self, interface: str, relay: str) -> None:
        self.agents[interface].wait_for_relay(interface, relay)

    # Others.

    def start_lldpad(self, interface: str, evb: RatifiedEvb | DraftEvb, ttl: int | None = None) -> Lldpad:
        role = evb.mode if isinstance(evb, RatifiedEvb) else evb.role
        lldpad = Lldpad(self.namespace(interface), self.directory, {interface: LldpadPort(evb=evb, ttl=ttl)})
        self.programs[interface] = ("lldpad", role, role == "bridge")
        self.peers.append(lldpad)
        self.note(interface, "start", **lldpad_values(evb))
        lldpad.start()
        return lldpad

    def set_lldpad(self, lldpad: Lldpad, interface: str, values: Mapping[str, str | int], **settings: Any) -> None:
        """Change an lldpad with its own words for `values`, which mean `settings` in the manifest's."""
        self.note(interface, "set", **settings)
        lldpad.set_evb(interface, **values)

    def stop_peer(self, peer: Lldpad | Lldpd, interface: str) -> None:
        self.note(interface, "stop")
        peer.stop()

    def kill_peer(self, peer: Lldpad, interface: str) -> None:
        peer.kill()
        self.note(interface, "kill")

    # The link.

    def link(self, interface: str, state: str) -> None:
        """Both ends notice."""
        for each in self.programs:
            self.note(each, f"link-{state}")
        self.namespace(interface).ip(f"link set {interface} {state}")

    def namespace(self, interface: str) -> Namespace:
        return self.host if interface == "veth0" else self.switch

    def tap(self) -> PacketTap:
        return PacketTap(self.host, "veth0")

    def close(self) -> None:
        for interface, agent in self.agents.items():
            if agent.process is not None:
                self.stop_agent(interface)
        for peer in self.peers:
            if peer.process is not None:
                end(peer.process)

    def answers(self, interface: str) -> list[str]:
        """What the agent has answered, each change once. Its log has them from the first moment on."""
        found = re.findall(r": reflective relay (\w+): ", self.agents[interface].log.read_text())
        return ["unknown", *(new for old, new in pairwise(["unknown", *found]) if new != old)]


def lldpad_values(evb: RatifiedEvb | DraftEvb) -> dict[str, Any]:
    """lldpad's configuration in the manifest's words."""
    if isinstance(evb, DraftEvb):
        return {"edition": "draft", "relay": evb.forwarding == "reflectiverelay", "rte": evb.rte}
    relay = evb.rr_capable if evb.mode == "bridge" else evb.rr_request
    values = {"retries": evb.retries, "rte": evb.rte, "rwd": evb.rwd, "rka": evb.rka, "group_ids": evb.group_ids}
    return {"edition": "ratified", "relay": relay, **values}


# Scenes. The docstring is what the manifest says happens.

BRIDGE = RatifiedEvb(mode="bridge", rr_capable=True, group_ids=True, retries=4, rte=13, rwd=21, rka=19)
STATION = RatifiedEvb(mode="station", rr_request=True, retries=2, rte=15, rwd=19, rka=22)


def ours_lldpad_ratified(scene: Scene) -> None:
    """evbagent station first, lldpad bridge a moment later: agreement, then more than 60 s of regular LLDPDUs, the
    bridge's RWD raised and lowered again at run time (no ratchet), its shutdown, our shutdown"""
    scene.start_agent("veth0", "station")
    lldpad = scene.start_lldpad("veth1", BRIDGE)
    scene.wait("veth0", "active")
    settle(62)
    scene.set_lldpad(lldpad, "veth1", {"vdprwd": 24}, rwd=24)
    settle(7)
    scene.set_lldpad(lldpad, "veth1", {"vdprwd": 21}, rwd=21)
    settle(7)
    scene.stop_peer(lldpad, "veth1")
    scene.wait("veth0", "unknown")


def ours_lldpad_rrcap_withdrawn(scene: Scene) -> None:
    """evbagent station, lldpad bridge: agreement, RRCAP withdrawn at run time (evbrrcap=no) and given again"""
    lldpad = scene.start_lldpad("veth1", BRIDGE)
    scene.start_agent("veth0", "station")
    scene.wait("veth0", "active")
    settle(3)
    scene.set_lldpad(lldpad, "veth1", {"evbrrcap": "no"}, relay=False)
    scene.wait("veth0", "inactive")
    settle(3)
    scene.set_lldpad(lldpad, "veth1", {"evbrrcap": "yes"}, relay=True)
    scene.wait("veth0", "active")
    settle(3)


def ours_lldpad_no_rrcap(scene: Scene) -> None:
    """evbagent station, lldpad bridge without RRCAP: RRCTR stays 0, the answer is `inactive`"""
    scene.start_agent("veth0", "station")
    scene.start_lldpad("veth1", RatifiedEvb(mode="bridge"))
    scene.wait("veth0", "inactive")
    settle(6)


def ours_lldpad_killed_replaced(scene: Scene) -> None:
    """evbagent station, lldpad bridge with a TTL of 3 s: killed, another lldpad with another MAC address in its place
    before the TTL is over (two claim to be the bridge), then that one killed for good (ageing)"""
    scene.start_agent("veth0", "station")
    lldpad = scene.start_lldpad("veth1", BRIDGE, ttl=3)
    scene.wait("veth0", "active")
    scene.kill_peer(lldpad, "veth1")
    scene.note("veth1", "set", mac="02:00:00:00:00:2b")
    scene.switch.ip("link set veth1 address 02:00:00:00:00:2b")
    another = scene.start_lldpad("veth1", BRIDGE, ttl=3)
    scene.wait("veth0", "inactive")
    scene.wait("veth0", "active")
    settle(3)
    scene.kill_peer(another, "veth1")
    scene.wait("veth0", "unknown")


def ours_lldpad_link_down_up(scene: Scene) -> None:
    """evbagent station, lldpad bridge: agreement, the switch's link down for a second and up again, agreement"""
    scene.start_agent("veth0", "station")
    scene.start_lldpad("veth1", BRIDGE)
    scene.wait("veth0", "active")
    settle(3)
    scene.link("veth1", "down")
    scene.wait("veth0", "unknown")
    settle(1)
    scene.link("veth1", "up")
    scene.wait("veth0", "active")
    settle(3)


def ours_lldpad_readdressed(scene: Scene) -> None:
    """evbagent station, lldpad bridge: agreement; the uplink gets another MAC address while it is up: the old MSAP says
    goodbye, the new one is announced"""
    scene.start_agent("veth0", "station")
    scene.start_lldpad("veth1", BRIDGE)
    scene.wait("veth0", "active")
    settle(5)
    scene.note("veth0", "set", mac="02:00:00:00:00:1a")
    scene.host.ip("link set veth0 address 02:00:00:00:00:1a")
    settle(6)


def ours_lldpad_draft(scene: Scene) -> None:
    """evbagent station that may speak both editions (auto), lldpad bridge with the draft 0.2 alone: ratified TLV first,
    draft from the bridge's first LLDPDU on"""
    scene.start_agent("veth0", "station")
    scene.start_lldpad("veth1", DraftEvb(role="bridge"))
    scene.wait("veth0", "active")
    settle(7)


def lldpad_ours_ratified(scene: Scene) -> None:
    """lldpad station, evbagent bridge on a Linux bridge's port: agreement, RRREQ withdrawn at run time and made again,
    our goodbye (withdrawal, answer, shutdown)"""
    lldpad = scene.start_lldpad("veth0", STATION)
    scene.start_agent("veth1", "bridge")
    scene.wait("veth1", "active")
    settle(4)
    scene.set_lldpad(lldpad, "veth0", {"evbrrreq": "no"}, relay=False)
    scene.wait("veth1", "inactive")
    settle(3)
    scene.set_lldpad(lldpad, "veth0", {"evbrrreq": "yes"}, relay=True)
    scene.wait("veth1", "active")
    settle(7)
    scene.stop_agent("veth1")
    settle(2)


def lldpad_ours_draft(scene: Scene) -> None:
    """lldpad station with the draft 0.2, evbagent bridge (auto)"""
    scene.start_agent("veth1", "bridge")
    scene.start_lldpad("veth0", DraftEvb(role="station"))
    scene.wait("veth1", "active")
    settle(7)


def lldpad_lldpad_ratified(scene: Scene) -> None:
    """lldpad station and lldpad bridge, each with values that the other has lower"""
    scene.start_lldpad("veth0", STATION)
    scene.start_lldpad("veth1", BRIDGE)
    settle(9)


def lldpad_lldpad_draft(scene: Scene) -> None:
    """lldpad station and lldpad bridge with the draft 0.2, VDP off"""
    scene.start_lldpad("veth0", DraftEvb(role="station", vdp=False))
    scene.start_lldpad("veth1", DraftEvb(role="bridge", vdp=False))
    settle(7)


def ours_lldpd(scene: Scene) -> None:
    """evbagent station, lldpd alone on the switch, in all three scopes in turn, then under another port ID"""
    lldpd = Lldpd(scene.switch, scene.directory, ["veth1"], LLDPD_OPTIONS)
    scene.programs["veth1"] = ("lldpd", "none", False)
    scene.peers.append(lldpd)
    scene.start_agent("veth0", "station")
    lldpd.start()
    scene.wait("veth0", "inactive")
    for scope in ("nearest-customer-bridge", "nearest-non-tpmr-bridge"):
        lldpd.cli("configure", "lldp", "agent-type", scope)
        lldpd.cli("update")
        settle(1.2)
    lldpd.cli("configure", "lldp", "portidsubtype", "ifname")
    lldpd.cli("update")
    settle(2)


def ours_lldpad_and_lldpd(scene: Scene) -> None:
    """evbagent station; on the switch lldpad as EVB bridge and lldpd, which then moves into the same scope under
    another port ID; lldpad leaves, lldpd leaves"""
    lldpd = Lldpd(scene.switch, scene.directory, ["veth1"], LLDPD_OPTIONS)
    scene.start_agent("veth0", "station")
    lldpad = scene.start_lldpad("veth1", BRIDGE)
    scene.peers.append(lldpd)
    lldpd.start()
    scene.wait("veth0", "active")
    lldpd.cli("configure", "lldp", "portidsubtype", "ifname")
    lldpd.cli("configure", "lldp", "agent-type", "nearest-customer-bridge")
    lldpd.cli("update")
    settle(4)
    scene.stop_peer(lldpad, "veth1")
    scene.wait("veth0", "inactive")
    lldpd.stop()
    settle(0.5)


def ours_ours_ratified(scene: Scene) -> None:
    """evbagent on both sides: agreement in milliseconds, the bridge's offer withdrawn and made again by SIGHUP, the
    station's goodbye"""
    scene.start_agent("veth1", "bridge")
    scene.start_agent("veth0", "station")
    scene.wait("veth0", "active")
    settle(6)
    scene.reload_agent("veth1", '[evb]\nreflective-relay = "off"\n')
    scene.wait("veth0", "inactive")
    settle(4)
    scene.reload_agent("veth1", "")
    scene.wait("veth0", "active")
    settle(5)
    scene.stop_agent("veth0")
    scene.wait("veth1", "unknown")


def ours_ours_killed_restarted(scene: Scene) -> None:
    """evbagent on both sides; the station is killed and started again before its TTL is over, then the bridge"""
    scene.start_agent("veth1", "bridge")
    scene.start_agent("veth0", "station")
    scene.wait("veth0", "active")
    settle(4)
    for interface, role in (("veth0", "station"), ("veth1", "bridge")):
        scene.kill_agent(interface)
        scene.start_agent(interface, role)
        scene.wait("veth0", "active")
        scene.wait("veth1", "active")
        settle(4)


def ours_ours_draft(scene: Scene) -> None:
    """evbagent on both sides, the station with both editions (auto), the bridge with the draft alone"""
    scene.start_agent("veth0", "station")
    scene.start_agent("veth1", "bridge", '[evb]\nedition = "draft"\n')
    scene.wait("veth0", "active")
    settle(5)
    scene.stop_agent("veth1")
    scene.wait("veth0", "unknown")


SCENES: Mapping[str, Callable[[Scene], None]] = {
    "evbagent-lldpad-ratified": ours_lldpad_ratified,
    "evbagent-lldpad-rrcap-withdrawn": ours_lldpad_rrcap_withdrawn,
    "evbagent-lldpad-no-rrcap": ours_lldpad_no_rrcap,
    "evbagent-lldpad-killed-replaced": ours_lldpad_killed_replaced,
    "evbagent-lldpad-link-down-up": ours_lldpad_link_down_up,
    "evbagent-lldpad-readdressed": ours_lldpad_readdressed,
    "evbagent-lldpad-draft": ours_lldpad_draft,
    "lldpad-evbagent-ratified": lldpad_ours_ratified,
    "lldpad-evbagent-draft": lldpad_ours_draft,
    "lldpad-lldpad-ratified": lldpad_lldpad_ratified,
    "lldpad-lldpad-draft": lldpad_lldpad_draft,
    "evbagent-lldpd": ours_lldpd,
    "evbagent-lldpad-and-lldpd": ours_lldpad_and_lldpd,
    "evbagent-evbagent-ratified": ours_ours_ratified,
    "evbagent-evbagent-killed-restarted": ours_ours_killed_restarted,
    "evbagent-evbagent-draft": ours_ours_draft,
}


def main() -> None:
    names = sys.argv[1:] or list(SCENES)
    leave_host()
    versions = program_versions()
    for name in names:
        for attempt in range(ATTEMPTS):
            entry = make(f"{name}.pcap", SCENES[name], versions)
            try:
                check_capture(load(entry))
                break
            except AssertionError as error:
                if attempt == ATTEMPTS - 1:
                    raise
                print(f"{name}: does not replay ({error}), once more")
        print(name)
        publish("captures", entry, [f"{each}.pcap" for each in SCENES])


def publish(kind: str, entry: dict[str, Any], order: Sequence[str]) -> None:
    """Put a capture into the manifest, among those of its kind in the order of their files, and into the text."""
    manifest: dict[str, list[dict[str, Any]]] = {key: [] for key in KINDS} | (
        json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    )
    entries = {each["file"]: each for each in [*manifest[kind], entry]}
    manifest[kind] = [entries[file] for file in order if file in entries]
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n")
    (CAPTURES / "README.md").write_text(readme(manifest))


def make(name: str, play: Callable[[Scene], None], versions: Mapping[str, str]) -> dict[str, Any]:
    """Play one scene; its capture is in its place afterwards. Returns its entry in the manifest."""
    file = CAPTURES / name
    file.parent.mkdir(exist_ok=True)
    begun = datetime.now(UTC)
    with stage(file.name) as scene, Tcpdump(scene.host, "veth0", file, EXPRESSION):
        indexes = {"veth0": scene.host.interface_index("veth0"), "veth1": scene.switch.interface_index("veth1")}
        play(scene)
        scene.close()
        settle(0.3)
        answers = {interface: scene.answers(interface) for interface in scene.agents}
    frames = read_pcap(file)
    assert file.stat().st_size <= MAX_OCTETS, f"{file} has {file.stat().st_size} octets"
    macs = {"veth0": "02:00:00:00:00:0a", "veth1": "02:00:00:00:00:0b"}
    for event in scene.events:
        event["time"] = round(event["time"] - frames[0].time / 1e6, 6)
    programs = sorted(
        {program for program, _, _ in scene.programs.values()} | ({"lldpd"} if "lldpd" in name else set())
    )
    return {
        "file": name,
        "what": " ".join((play.__doc__ or "").split()),
        "when": begun.strftime("%Y-%m-%d"),
        "frames": len(frames),
        "programs": [f"{program} {versions[program]}" for program in programs],
        "ends": [
            {
                "interface": interface,
                "mac": macs[interface],
                "program": program,
                "role": role,
                "ifindex": indexes[interface],
                "bridge-port": bridge_port,
            }
            for interface, (program, role, bridge_port) in sorted(scene.programs.items())
        ],
        "events": scene.events,
        "answers": answers,
    }


@contextmanager
def stage(file: str) -> Iterator[Scene]:
    with (
        Namespace("host-a") as host,
        Namespace("switch-a") as switch,
        tempfile.TemporaryDirectory(prefix="captures-") as directory,
    ):
        macs = {"left_mac": "02:00:00:00:00:0a", "right_mac": "02:00:00:00:00:0b"}
        link_pair(host, "veth0", switch, "veth1", **macs)
        yield Scene(file, host, switch, Path(directory))


def settle(seconds: float) -> None:
    """Let the programs talk on: here time is what is to be captured."""
    time.sleep(seconds)


def program_versions() -> dict[str, str]:
    from evbagent.version import VERSION

    versions = {"evbagent": VERSION}
    for package in ("lldpad", "lldpd"):
        asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
        versions[package] = asked.stdout.strip() or "of unknown version"
    return versions


def readme(manifest: Mapping[str, list[dict[str, Any]]]) -> str:
    """The manifest for people."""
    text = README
    for kind, introduction in KINDS.items():
        text += introduction + TABLE
        for entry in manifest[kind]:
            name, programs = entry["file"], ", ".join(entry["programs"])
            shown = f"[`{name}`]({name})" if "/" in name else f"`{name}`"
            text += f"| {shown} | {entry['frames']} | {entry['what']} | {programs} | {entry['when']} |\n"
    return text


README = """# Captures

Frames of this agent's runs against real programs, and of those among themselves.

Who: `veth0` on `host-a` (02:00:00:00:00:0a) is the station's side, `veth1` on `switch-a` (02:00:00:00:00:0b) the
switch's. Files are named after the programs on the two sides, the station's first.

How: two network namespaces with host names of their own, joined by a veth pair, IPv6 off; tcpdump on `veth0`, full
length, `ether proto 0x88cc or ether proto 0x8940 or ether proto 0x88b7`. lldpad with a configuration file made for the
scene (`-t -V 7 -f FILE`), lldpd with `-d -S "an ordinary switch" -P Linux`. `python -m tests.system.make_captures
[NAME...]` makes those of LLDP and EVB anew, `python -m tests.system.make_vsi_captures [NAME...]` those of VSIs.
`manifest.json` says the same for programs: the ends, their settings, what was done to them and when (seconds since the
first frame), and what our agent said.

Nobody else's traffic is in them, and no address that belongs to a device. They may be used under the project's licence.
"""

KINDS: Mapping[str, str] = {
    "captures": """
## LLDP and EVB

`tests/replay` plays each of them again, frame by frame at the captured times: where `evbagent` was an end, its frames
must come out as they were captured; where `lldpad` was, our machines in its place must come to the same result.

""",
    "vsi-captures": """
## VSIs

ECP and VDP, in `vsi/`. `tests/replay` reads every ECPDU and writes it again, compares that with what tshark reads, and
lets our machines hear what `evbagent` heard: they must take the VSIs through the same states. A bridge beside a lldpad
runs STP: what is reflected to it, lldpad takes for the bridge's.

""",
}

TABLE = """| file | frames | what | programs | made |
|---|---|---|---|---|
"""


if __name__ == "__main__":
    main()
