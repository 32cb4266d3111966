"""Guests of the real libvirt with <virtualport type='802.1Qbg'>: a host on three uplinks, and what they lead to.

`to-lldpad` to Debian's lldpad in the bridge role, `to-ours` to an agent of ours in that role, `to-nobody` to a machine
that does not speak LLDP. All are TAP devices, which is what libvirt can walk down to.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tests.support.agent import Agent
from tests.support.domains import domain
from tests.support.libvirtd import Libvirtd
from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, wait_until
from tests.support.peers import Lldpad, LldpadPort, RatifiedEvb
from tests.support.tapwire import TapWire
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, MAC_VID, EcpOctets, VsiOctets, ecp_octets, ratified_ulpdu
from tests.support.vsirig import states

LLDPAD, OURS, NOBODY = "to-lldpad", "to-ours", "to-nobody"
REFUSED_TYPE = 8
STATION = "[libvirt]\nenabled = true\n"
SWITCH = f"[[switch.rule]]\ntype = {REFUSED_TYPE}\nanswer = 'insufficient-resources'\n"
BRIDGE = RatifiedEvb(mode="bridge", rr_capable=True)


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest of libvirt's, and its VSI as it is said on the wire."""

    name: str
    mac: bytes
    uuid: str
    uplink: str
    type_id: int = 7

    @property
    def xml(self) -> str:
        parameters = f"managerid='11' typeid='{self.type_id}' typeidversion='1' instanceid='{self.uuid}'"
        source = f"<source dev='{self.uplink}' mode='vepa'/>"
        port = f"<virtualport type='802.1Qbg'><parameters {parameters}/></virtualport>"
        return domain(source + port, name=self.name, mac=self.mac.hex(":"))

    def vsi(self, kind: int = ASSOCIATE) -> VsiOctets:
        manager = bytes([11]).ljust(16, b"\0")
        entry = self.mac + bytes(2)
        return VsiOctets(
            kind=kind,
            vsi_id=UUID(self.uuid).bytes,
            entries=(entry,),
            manager=manager,
            type_id=self.type_id,
            version=1,
            filter_format=MAC_VID,
        )


def guest(number: int, uplink: str, type_id: int = 7) -> Guest:
    uuid = f"09b11c53-8b5c-4eeb-8f00-d84eaa{number:06x}"
    return Guest(f"guest{number}", bytes.fromhex(f"525400{number:06x}"), uuid, uplink, type_id)


class Host:
    """The host with libvirt and its agent, and the switches, which `running` makes and starts."""

    def __init__(
        self, directory: Path, station: Namespace, libvirt: Libvirtd, switches: Mapping[str, Namespace]
    ) -> None:
        self.directory = directory
        self.namespace = station
        self.libvirt = libvirt
        self.switches = switches
        self.agent = Agent(station, directory, [LLDPAD, OURS, NOBODY], config=STATION)
        self.ours = Agent(switches[OURS], directory, ["port"], role="bridge", config=SWITCH)
        self.lldpad = Lldpad(switches[LLDPAD], directory, {"port": LldpadPort(evb=BRIDGE)})
        self._sequence = 30_000

    def create(self, *guests: Guest) -> list[str]:
        """Start guests at the same time; what virsh complains of for each, nothing where it runs."""
        started = []
        for one in guests:
            started.append(self.libvirt.begin("create", str(self.write(one))))
        complaints = []
        for one, process in zip(guests, started, strict=True):
            _, errors = process.communicate(timeout=30)
            assert (process.returncode == 0) == (one.name in self.libvirt.guests()), errors
            complaints.append("" if process.returncode == 0 else errors.strip())
        return complaints

    def write(self, one: Guest) -> Path:
        """Its document as a file."""
        file = self.directory / f"{one.name}.xml"
        file.write_text(one.xml)
        return file

    def destroy(self, *guests: Guest) -> None:
        for one in guests:
            self.libvirt.virsh("destroy", one.name)

    def clear(self) -> None:
        self.libvirt.virsh("list")
        for name in self.libvirt.guests():
            self.libvirt.virsh("destroy", name)

    def withdraw(self, one: Guest) -> None:
        """The switch takes the guest's VSI away. lldpad has no command for it: its words are put on the wire."""
        if one.uplink == OURS:
            self.ours.evbagent("switch", "deassociate", "--instance", one.uuid)
            return
        self._sequence += 1
        switch = self.switches[one.uplink]
        with PacketTap(switch, "port") as wire:
            ecpdu = EcpOctets(False, self._sequence, ratified_ulpdu([one.vsi(DEASSOCIATE)]))
            wire.send(ecpdu.frame(switch.mac_address("port")))

    def seconds_until_back(self, one: Guest) -> float:
        """Withdraw the guest's VSI: from the switch's word on the wire until it has granted the VSI again."""
        station = self.namespace.mac_address(one.uplink)
        with PacketTap(self.namespace, one.uplink) as wire:
            self.withdraw(one)
            taken = wire.wait_for(lambda frame: _says(frame, one, DEASSOCIATE, station, False), "a de-association")
            wire.wait_for(lambda frame: _says(frame, one, ASSOCIATE, station, True), "a request")
            granted = wire.wait_for(lambda frame: _says(frame, one, ASSOCIATE, station, False), "a grant")
        self.wait_for(one, "associated")
        return (granted.timestamp_ns - taken.timestamp_ns) / 1e9

    def wait_for(self, one: Guest, state: str | None, timeout: float = 10.0) -> None:
        """Until the agent, and the switch if it says so, has the guest's VSI in this state; None: not at all."""
        ends = [(self.agent, one.uplink)] + ([(self.ours, "port")] if one.uplink == OURS else [])
        for agent, interface in ends:

            def holds(agent: Agent = agent, interface: str = interface) -> bool:
                return states(agent, interface).get(one.uuid) == state

            wait_until(holds, f"the VSI of {one.name} is {state} on {interface}", timeout)

    def told(self) -> list[int]:
        """The port ids that were told of withdrawals, in order."""
        return [int(found) for found in re.findall(r"libvirt \(port id (\d+)\) is told", self.agent.log.read_text())]

    def macvtaps(self) -> int:
        return len(self.namespace.ip_json("link show type macvtap"))


@contextmanager
def running(directory: Path) -> Iterator[Host]:
    """Everything runs, and the switches have agreed."""
    with ExitStack() as stack:
        station = stack.enter_context(Namespace("host"))
        switches = {name: stack.enter_context(Namespace(name)) for name in (LLDPAD, OURS, NOBODY)}
        for uplink, switch in switches.items():
            stack.enter_context(TapWire(station, uplink, switch, "port"))
        switches[OURS].bridge("br0", ["port"])
        host = Host(directory, station, Libvirtd(station, directory), switches)
        stack.enter_context(host.lldpad)
        stack.enter_context(host.ours)
        stack.enter_context(host.agent)
        stack.enter_context(host.libvirt)
        for uplink in (LLDPAD, OURS):
            host.agent.wait_for_relay(uplink, "active")
        yield host


def _says(frame: CapturedFrame, one: Guest, kind: int, station: bytes, by_station: bool) -> bool:
    ecpdu = ecp_octets(frame.data)
    if ecpdu is None or ecpdu.acknowledgment or (frame.source == station) is not by_station:
        return False
    return any(said.kind == kind and said.uuid == one.uuid for said in ecpdu.vsis)
