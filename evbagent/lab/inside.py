"""The lab itself, run inside its namespaces: builds host, cable, switch and guests, has the steps done, and reports."""

import json
import os
import stat
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from evbagent.client import AgentNotRunning, Client, ClientError
from evbagent.lab.agents import Agent, answer, log_end
from evbagent.lab.guests import Guest, GuestError
from evbagent.lab.links import Namespace
from evbagent.lab.switches import BRIDGE, PORT, BuiltinSwitch, LldpadSwitch, Switch
from evbagent.lab.wire import Journal, LabError, LldpFrame
from evbagent.netlink import Link

UPLINK = "eth0"
HOST_MAC, SWITCH_MAC = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
MAC_A, MAC_B = bytes.fromhex("0200000000a1"), bytes.fromhex("0200000000b1")

DONE, FAILED = 0, 1


class Reporter:
    """Lines of JSON to whoever made the lab, from any thread."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = Lock()

    def say(self, **document: object) -> None:
        line = json.dumps(document).encode() + b"\n"
        with self._lock:
            self._output.write(line)
            self._output.flush()

    def frame(self, frame: LldpFrame) -> None:
        self.say(frame=[frame.time, frame.to_host, frame.data.hex()])


class Lab:
    """Host, cable, switch and guests. The namespace of the process is the host's."""

    def __init__(self, switch: str, edition: str, directory: Path, reporter: Reporter) -> None:
        self.edition = edition
        self.directory = directory
        # The guests are forks: they come before any thread.
        self.a = Guest("guest-a", MAC_A)
        self.b = Guest("guest-b", MAC_B)
        self.host = Namespace(new=False)
        self.switch_side = Namespace()
        self.journal = Journal(reporter.frame)
        kind = BuiltinSwitch if switch == "builtin" else LldpadSwitch
        self.switch: Switch = kind(self.switch_side, directory, edition, self.journal)
        self.agent = Agent(self.host, directory, UPLINK, "station", edition)
        self._places: dict[str, Namespace] = {}
        self.host.add_cable(UPLINK, HOST_MAC, self.switch_side, PORT, SWITCH_MAC)
        self.switch_side.add_bridge(BRIDGE, PORT)
        with self.switch_side.entered():
            self.journal.watch_wire(PORT, HOST_MAC)
        self.host.set_up(UPLINK)
        self.switch_side.set_up(PORT)

    def start_agent(self) -> None:
        self.agent.start(self.journal)
        self.journal.watch_events(self.journal.wait_for(self._client, "the agent answers"))

    def force_vepa(self) -> None:
        """Guests in VEPA on a guess, by hand: these devices are not evbagent's."""
        parent = self.host.link(UPLINK).index
        for guest, kind in self._guests():
            self._plug(guest, self.host.route.create_macvlan(guest.name, parent, kind, "vepa", guest.mac, "by hand"))

    def attach(self) -> None:
        """Guests by `evbagent attach`."""
        for guest, kind in self._guests():
            words = ("attach", UPLINK, "--name", guest.name, "--kind", kind, "--mac", guest.mac.hex(":"), "--json")
            made = answer(self.agent.command(*words))
            self._plug(guest, self.host.link(made["name"]))

    def detach(self) -> None:
        """The guests' devices are gone."""
        for guest, _ in self._guests():
            guest.leave_device()
            self._places.pop(guest.name).delete(guest.name)

    def modes(self) -> set[str | None]:
        """The macvlan modes of the guests' devices, from the kernel."""
        return {place.link(name).macvlan_mode for name, place in self._places.items()}

    def places(self) -> str:
        """Where the guests' devices are, in words."""
        if self._places["guest-b"] is self.host:
            return "A macvlan in a namespace, B macvtap held by a process like a VM"
        return "A macvlan, B macvtap, both as interfaces in namespaces"

    def hairpin(self) -> bool:
        """The flag of the switch's port, from the kernel."""
        return bool(self.switch_side.link(PORT).hairpin)

    def _client(self) -> Client | None:
        try:
            return Client(self.agent.state_dir)
        except AgentNotRunning:  # its state file comes first
            return None

    def _guests(self) -> tuple[tuple[Guest, str], tuple[Guest, str]]:
        return (self.a, "macvlan"), (self.b, "macvtap")

    def _plug(self, guest: Guest, link: Link) -> None:
        """A macvtap stays on the host and the guest holds its character device; else the guest gets the interface."""
        if link.kind == "macvtap" and (path := self._character_device(link)) is not None:
            guest.use_tap(str(path))
            self._places[guest.name] = self.host
            return
        self.host.move(link.name, guest.namespace)
        guest.namespace.set_up(link.name)
        guest.use_interface(link.name)
        self._places[guest.name] = guest.namespace

    def _character_device(self, link: Link) -> Path | None:
        """A node of the macvtap's own; None where we may not make one, as in a user namespace."""
        device = Path("/sys/class/net", link.name)
        numbers = [*device.glob(f"macvtap/tap{link.index}/dev"), *device.glob(f"tap{link.index}/dev")]
        path = self.directory / f"tap{link.index}"
        try:
            major, minor = map(int, numbers[0].read_text().split(":"))
            path.unlink(missing_ok=True)
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(major, minor))
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        except (OSError, IndexError):
            return None
        return path


def run_inside(switch: str, edition: str, output: BinaryIO, directory: Path) -> int:
    """Build the lab and do every step; the exit status: 0 when each came out as it must."""
    from evbagent.lab.steps import run_steps

    reporter = Reporter(output)
    logs: list[Path] = []
    try:
        lab = Lab(switch, edition, directory, reporter)
        logs = [lab.agent.log, lab.switch.log]
        ok = run_steps(lab, lambda step: reporter.say(step=step))
        reporter.say(events=lab.journal.events, vsis=lab.agent.uplink().get("vsis", []))
        reporter.say(dcbx=lab.agent.uplink().get("dcbx"))
    except (LabError, GuestError, ClientError) as error:
        ok = False
        reporter.say(error=str(error))
    except OSError as error:  # a kernel without veth, bridge, macvlan or macvtap
        ok = False
        reporter.say(error=f"the lab cannot be built: {error}")
    reporter.say(logs={log.name: log_end(log) for log in logs})
    return DONE if ok else FAILED
