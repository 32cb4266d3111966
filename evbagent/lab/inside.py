"""The program inside the lab's namespaces: builds the network, runs the whole job, prints a JSON object a line."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import clock_gettime_ns, monotonic
from typing import Any

from evbagent.lab.namespaces import CLOCK_REALTIME, LabError, Namespace, Seen, Tap, wait_for
from evbagent.lab.switches import PORT, BuiltinSwitch, LldpadSwitch, Switch, agent_config
from evbagent.netlink import Link, RouteSocket
from protocols.evb.status import EvbTlv, RelayStatus, Role
from protocols.frame import ETHERTYPE_LLDP, EthernetFrame, decode_frame
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import OrganizationalTlv
from protocols.stack import EDITIONS

DIRECTORY = Path("/run/evbagent-lab")
UPLINK, BRIDGE = "eth0", "br0"
HOST_MAC, SWITCH_MAC = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
GUESTS: Mapping[str, tuple[str, bytes]] = {
    "guest-a": ("macvlan", bytes.fromhex("0200000000a1")),
    "guest-b": ("macvtap", bytes.fromhex("0200000000b1")),
}
ETHERTYPE_TEST = 0x88B5  # IEEE 802 local experimental
COUNT = 100
GAP_SECONDS = 0.002
BR_STATE_FORWARDING = 3


class Lab:
    """The network and who lives in it."""

    def __init__(self, switch: str, edition: str) -> None:
        self.edition = edition
        self.state_dir = DIRECTORY / "host"
        self.host = Namespace("host", new=False)
        self.switch_side = Namespace("switch")
        self.guests = {name: Namespace(name) for name in GUESTS}
        self.taps: dict[str, Tap] = {}
        self._sequence = 0
        self._agent: subprocess.Popen[bytes] | None = None
        kind = BuiltinSwitch if switch == "builtin" else LldpadSwitch
        self.switch: Switch = kind(self.switch_side, DIRECTORY, edition)
        self._build(self.switch.bridge_settings)
        self.wire = Tap(self.switch_side, PORT)

    def _build(self, bridge_settings: Mapping[str, int]) -> None:
        def host(route: Any) -> None:
            peer = {"ifname": PORT, "net_ns_pid": self.switch_side.pid, "address": SWITCH_MAC.hex(":")}
            route.link("add", ifname=UPLINK, kind="veth", peer=peer, address=HOST_MAC.hex(":"))

        def switch(route: Any) -> None:
            route.link("add", ifname=BRIDGE, kind="bridge", **bridge_settings)
            bridge, port = (route.link_lookup(ifname=name)[0] for name in (BRIDGE, PORT))
            route.link("set", index=port, master=bridge, state="up")
            route.link("set", index=bridge, state="up")

        self.host.links(host)
        self.switch_side.links(switch)

    # The host's side.

    def start_agent(self) -> None:
        config = DIRECTORY / "host.toml"
        config.write_text(agent_config(self.edition, "request", "host"))
        command = [sys.executable, "-m", "evbagent", "run", "--interface", UPLINK, "--config", str(config)]
        with (DIRECTORY / "host.log").open("ab") as log:
            self._agent = self.host.popen([*command, "--state-dir", str(self.state_dir)], log)
        wait_for((self.state_dir / "control.sock").exists, "the host's agent starts")

    def kill_agent(self) -> None:
        assert self._agent is not None
        self._agent.kill()
        self._agent.wait()

    def evbagent(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command of ours on the host."""
        return self.host.run([sys.executable, "-m", "evbagent", *words])

    def mode(self) -> str:
        return self.evbagent("mode", UPLINK, "--state-dir", str(self.state_dir)).stdout.strip()

    def make_forced_guests(self) -> None:
        """What people do today: VEPA on a guess. These devices are not evbagent's."""

        def make(route: Any) -> None:
            uplink = route.link_lookup(ifname=UPLINK)[0]
            for name, (kind, mac) in GUESTS.items():
                route.link("add", ifname=name, kind=kind, link=uplink, macvlan_mode="vepa", address=mac.hex(":"))

        self.host.links(make)
        self._move_guests()

    def attach_guests(self) -> None:
        """`evbagent attach`."""
        for name, (kind, mac) in GUESTS.items():
            made = self.evbagent(
                *("attach", UPLINK, "--name", name, "--kind", kind, "--mac", mac.hex(":")),
                *("--state-dir", str(self.state_dir), "--json"),
            )
            if made.returncode != 0:
                raise LabError(made.stderr.strip())
        self._move_guests()

    def remove_guests(self) -> None:
        def remove(route: Any) -> None:
            for name in GUESTS:
                for index in route.link_lookup(ifname=name):
                    route.link("del", index=index)

        for name, namespace in self.guests.items():
            self.taps.pop(name).close()
            namespace.links(remove)

    def guest_mode(self, name: str) -> str | None:
        """The macvlan mode of a guest's device, from the kernel."""
        link = self.guests[name].call(lambda: look_up(name))
        return link.macvlan_mode

    def _move_guests(self) -> None:
        for name, namespace in self.guests.items():
            self.host.set_link(name, net_ns_pid=namespace.pid)
            namespace.set_link(name, state="up")
            self.taps[name] = Tap(namespace, name)

    # The switch's side.

    def forwards(self) -> bool:
        """Whether the port is in the forwarding state."""

        def read(route: Any) -> bool:
            port = route.get_links(route.link_lookup(ifname=PORT)[0])[0]
            state = port.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_STATE")
            return bool(state == BR_STATE_FORWARDING)

        return self.switch_side.links(read)

    def hairpin(self) -> bool:
        """The port's hairpin flag, from the kernel."""
        return bool(self.switch_side.call(lambda: look_up(PORT)).hairpin)

    def set_hairpin(self, on: bool) -> None:
        """What a switch without an agent that does it needs an operator for."""

        def switch() -> None:
            with RouteSocket() as route:
                route.set_hairpin(look_up(PORT).index, on)

        self.switch_side.call(switch)

    # Traffic.

    def send(self) -> int:
        """One frame from guest A to guest B; its number."""
        self._sequence += 1
        frame = EthernetFrame(
            GUESTS["guest-b"][1], GUESTS["guest-a"][1], ETHERTYPE_TEST, self._sequence.to_bytes(8, "big")
        )
        self.taps["guest-a"].send(frame.encode())
        return self._sequence

    def received(self) -> dict[int, int]:
        """The numbers of the frames that reached guest B, with the times (ns)."""
        self.taps["guest-b"].read()
        return {number(seen): seen.time for seen in self.taps["guest-b"].seen if is_test(seen)}

    def crossed(self, sent: set[int]) -> tuple[int, int]:
        """How many of these frames came over the uplink to the switch, and back."""
        self.wire.read()
        seen = [frame for frame in self.wire.seen if is_test(frame) and number(frame) in sent]
        up = {number(frame) for frame in seen if not frame.outgoing}
        back = {number(frame) for frame in seen if frame.outgoing}
        return len(up), len(back)

    def stream(self, until: Callable[[], bool], timeout: float) -> list[tuple[int, int]]:
        """Send a frame every 2 ms until `until` holds: (number, time sent in ns) of each. LabError when it does not."""
        sent: list[tuple[int, int]] = []
        deadline = monotonic() + timeout
        due = monotonic()
        while not until():
            if monotonic() > deadline:
                raise LabError(f"traffic from guest to guest did not come back within {timeout:g} s")
            if monotonic() >= due:
                at = clock_gettime_ns(CLOCK_REALTIME)
                sent.append((self.send(), at))
                due += GAP_SECONDS
        return sent

    # The wire.

    def lldp(self) -> list[Seen]:
        """The LLDP frames of the uplink, each once: a port in hairpin mode sends the host its own back."""
        self.wire.read()
        return [
            seen
            for seen in self.wire.seen
            if seen.data[12:14] == ETHERTYPE_LLDP.to_bytes(2, "big")
            and seen.outgoing == (seen.data[6:12] == SWITCH_MAC)
        ]

    def agreed_at(self, since: int) -> int | None:
        """When (ns) the wire showed both ends to agree on reflective relay, for the first time after `since`."""
        bridge = station = None
        edition = EDITIONS[self.edition]
        for seen in self.lldp():
            tlv = evb_tlv(seen.data, edition.name)
            if seen.time < since or tlv is None:
                continue
            if seen.outgoing and tlv.relay_control and (tlv.role is Role.BRIDGE or tlv.agreed_capabilities):
                bridge = bridge or seen.time
            if not seen.outgoing and tlv.relay_status is RelayStatus.TRUE:
                station = station or seen.time
        return max(bridge, station) if bridge and station else None


def look_up(name: str) -> Link:
    """The link of this name in the calling thread's namespace."""
    with RouteSocket() as route:
        link = route.get_link(name=name)
    if link is None:
        raise LabError(f"{name} is gone")
    return link


def evb_tlv(frame: bytes, edition_name: str) -> EvbTlv | None:
    """The EVB TLV in an LLDP frame."""
    edition = EDITIONS[edition_name]
    try:
        for tlv in decode_lldpdu(decode_frame(frame).payload).pdu.optional:
            if isinstance(tlv, OrganizationalTlv) and (tlv.oui, tlv.subtype) == (edition.oui, edition.subtype):
                return edition.decode(tlv.value)
    except ValueError:
        return None
    return None


def is_test(seen: Seen) -> bool:
    return seen.data[12:14] == ETHERTYPE_TEST.to_bytes(2, "big")


def number(seen: Seen) -> int:
    return int.from_bytes(seen.data[14:22], "big")


def say(**document: Any) -> None:
    """One line for whoever watches."""
    print(json.dumps(document), flush=True)


def main(switch: str, edition: str) -> int:
    """Build, run every step, report. 0 when every step came out as it must, 1 otherwise."""
    from evbagent.lab.steps import run_steps

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.basicConfig(level=logging.WARNING)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    DIRECTORY.mkdir()
    try:
        lab = Lab(switch, edition)
        ok = run_steps(lab, say)
    except LabError as error:
        say(error=str(error), logs=_logs())
        return 1
    except KeyboardInterrupt:
        return 130
    if not ok:
        say(logs=_logs())
    say(frames=[[seen.time, seen.data.hex()] for seen in lab.lldp()])
    return 0 if ok else 1


def _logs() -> dict[str, str]:
    return {log.name: log.read_text(errors="replace")[-4000:] for log in sorted(DIRECTORY.glob("*.log"))}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
