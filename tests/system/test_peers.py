"""The rig itself: the real peers run in private namespaces and do on the wire what other tests build upon."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.namespaces import CapturedFrame, Namespace, PacketTap, wait_until
from tests.support.peers import DraftEvb, Lldpad, LldpadPort, Lldpd, RatifiedEvb, Tcpdump, tshark
from tests.support.require import require_link_kind, require_peer
from tests.support.rig import BRIDGE_MAC, STATION_MAC, Cable

pytestmark = pytest.mark.system

NEAREST_CUSTOMER_BRIDGE = bytes.fromhex("0180c2000000")
RATIFIED = bytes.fromhex("0080c20d")
DRAFT = bytes.fromhex("001b3f00")


def test_ratified_negotiation_of_two_lldpads(cable: Cable, tmp_path: Path) -> None:
    """RRREQ and RRCAP lead to RRCTR on the wire; RRCAP withdrawn at run time takes RRCTR away."""
    station = LldpadPort(evb=RatifiedEvb(mode="station", rr_request=True, group_ids=True))
    bridge = LldpadPort(evb=RatifiedEvb(mode="bridge", rr_capable=True), ttl=77)
    with pair(cable, tmp_path, station, bridge) as (_, bridge_lldpad), PacketTap(cable.station, cable.uplink) as tap:
        agreed = tap.wait_for(lambda frame: bridge_status(frame) == 0x03, "RRCAP and RRCTR of the bridge")
        assert agreed.destination == NEAREST_CUSTOMER_BRIDGE
        assert tlvs(agreed.payload)[3] == (77).to_bytes(2, "big")
        tap.wait_for(lambda frame: station_status(frame) == 0x0D, "RRREQ, RRSTAT 1 and SGID of the station")
        assert evb(bridge_lldpad.neighbor_lldpdu(cable.port), RATIFIED)[1] == 0x0D

        bridge_lldpad.set_evb(cable.port, evbrrcap="no")
        tap.drain()
        tap.wait_for(lambda frame: bridge_status(frame) == 0x00, "neither RRCAP nor RRCTR", timeout=3)
        tap.wait_for(lambda frame: station_status(frame) == 0x0C, "RRSTAT 0", timeout=5)

        bridge_lldpad.set_ttl(cable.port, 8)
        tap.wait_for(
            lambda frame: frame.source == BRIDGE_MAC and tlvs(frame.payload)[3] == b"\0\x08", "TTL 8", timeout=3
        )
        assert bridge_lldpad.statistics(cable.port)["Total Frames Transmitted"] > 2


def test_draft_negotiation_of_two_lldpads(cable: Cable, tmp_path: Path) -> None:
    station = LldpadPort(evb=DraftEvb(role="station"))
    bridge = LldpadPort(evb=DraftEvb(role="bridge"))
    with pair(cable, tmp_path, station, bridge), PacketTap(cable.station, cable.uplink) as tap:
        # Supported and configured alike: reflective relay (0x40); RTE, ECP and VDP (7).
        agreed = bytes.fromhex("40074007")
        for source in (BRIDGE_MAC, STATION_MAC):
            tap.wait_for(
                lambda frame, source=source: frame.source == source and evb(frame.payload, DRAFT)[:4] == agreed,
                "a draft EVB TLV with reflective relay agreed",
            )


@pytest.mark.parametrize("farewell", ["stop", "kill"])
def test_lldpad_ends_and_starts_again(farewell: str, cable: Cable, tmp_path: Path) -> None:
    """SIGTERM is heard as TTL 0; SIGKILL is not heard, and does not hinder the next start."""
    port = LldpadPort(evb=RatifiedEvb(mode="bridge", rr_capable=True))
    with Lldpad(cable.bridge, tmp_path, {cable.port: port}) as bridge, PacketTap(cable.station, cable.uplink) as tap:
        tap.wait_for(from_bridge, "a first LLDPDU")
        first = bridge.pid
        getattr(bridge, farewell)()
        goodbyes = [frame for frame in tap.drain() if from_bridge(frame) and tlvs(frame.payload)[3] == b"\0\0"]
        assert len(goodbyes) == (1 if farewell == "stop" else 0)
        bridge.start()
        assert bridge.pid != first
        tap.wait_for(from_bridge, "an LLDPDU of the second lldpad")


def test_lldpd_sees_lldpad(cable: Cable, tmp_path: Path) -> None:
    port = LldpadPort(scopes=frozenset({"nb"}), tlvs=frozenset({4}))
    with (
        Lldpd(cable.station, tmp_path, [cable.uplink]) as lldpd,
        Lldpad(cable.bridge, tmp_path, {cable.port: port}) as bridge,
    ):
        [neighbor] = wait_until(lambda: lldpd.neighbors(cable.uplink), "lldpd knows lldpad")
        assert neighbor["chassis"][0]["id"][0] == {"type": "mac", "value": BRIDGE_MAC.hex(":")}
        lldpd.cli("update")
        wait_until(lambda: bridge.neighbor_lldpdu(cable.port, "nb"), "lldpad knows lldpd")
        assert lldpd.stop() == 0
        wait_until(lambda: not bridge.neighbor_lldpdu(cable.port, "nb"), "lldpad forgot lldpd")


def test_tcpdump_and_tshark(cable: Cable, tmp_path: Path) -> None:
    file = tmp_path / "lldp.pcap"
    lldpdu = bytes.fromhex("0207040200000000 0a 0407030200000000 0a 06020078 0000".replace(" ", ""))
    with Tcpdump(cable.bridge, cable.port, file, "ether proto 0x88cc"), PacketTap(cable.station, cable.uplink) as tap:
        with PacketTap(cable.bridge, cable.port) as other:
            tap.send(NEAREST_CUSTOMER_BRIDGE + STATION_MAC + b"\x88\xcc" + lldpdu)
            tap.send(NEAREST_CUSTOMER_BRIDGE + STATION_MAC + b"\x08\x00")
            other.wait_for(lambda frame: frame.ethertype == 0x0800, "both frames")
    [frame] = tshark(file)
    assert frame["eth"]["eth.dst"] == NEAREST_CUSTOMER_BRIDGE.hex(":")
    assert tshark(file, show="lldp.time_to_live == 120")
    assert not tshark(file, show="lldp.time_to_live == 121")


def test_vlan_tags_are_seen_where_they_were(cable: Cable) -> None:
    with PacketTap(cable.station, cable.uplink) as tap, PacketTap(cable.bridge, cable.port) as other:
        sent = (NEAREST_CUSTOMER_BRIDGE + STATION_MAC + bytes.fromhex("8100600588cc")).ljust(60, b"x")
        tap.send(sent)
        received = other.wait_for(lambda frame: not frame.outgoing, "the frame")
        assert received.data == sent
        assert received.timestamp_ns > 0


def test_a_bridge_in_a_namespace(namespace: Namespace) -> None:
    namespace.ip("link add veth0 type veth peer name veth1")
    namespace.bridge("br0", ["veth1"])
    assert namespace.link("veth1")["master"] == "br0"


def test_code_and_commands_run_inside(namespace: Namespace) -> None:
    namespace.ip("link add dummy7 type veth peer name dummy8")
    index = namespace.interface_index("dummy7")
    assert (index, "dummy7") in namespace.call(socket.if_nameindex)
    assert "dummy7" in namespace.run("ls /sys/class/net").stdout
    with pytest.raises(RuntimeError, match="exit status 3"):
        namespace.run(["sh", "-c", "exit 3"])


def test_nothing_survives_a_killed_test(tmp_path: Path) -> None:
    """The holder and what runs inside die with the process that made them, however it ends."""
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from tests.support.namespaces import Namespace, wait_until\n"
        "namespace = Namespace()\n"
        "command = namespace.popen('sleep 1000')\n"
        "wait_until(lambda: Path(f'/proc/{command.pid}/comm').read_text() == 'sleep\\n', 'it runs')\n"
        "print(namespace.pid, command.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).parents[2])
    killed = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root}
    )
    pids = killed.stdout.split()
    assert len(pids) == 2
    wait_until(lambda: not any(is_running(pid) for pid in pids), "the holder and the command are gone")


@contextmanager
def pair(cable: Cable, directory: Path, station: LldpadPort, bridge: LldpadPort) -> Iterator[tuple[Lldpad, Lldpad]]:
    with (
        Lldpad(cable.station, directory, {cable.uplink: station}) as first,
        Lldpad(cable.bridge, directory, {cable.port: bridge}) as second,
    ):
        yield first, second


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_peer_is_told(ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    require_peer("sh")
    with pytest.raises(outcome, match="no-such-peer not installed: run `make peers`"):
        require_peer("sh", "no-such-peer")


def test_a_kind_of_link_no_kernel_has(namespace: Namespace) -> None:
    require_link_kind(namespace, "bridge")
    assert namespace.link("lo")["ifname"] == "lo"
    with pytest.raises(pytest.skip.Exception, match="no links of kind nosuchkind"):
        require_link_kind(namespace, "nosuchkind")


def is_running(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path("/proc", pid, "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def from_bridge(frame: CapturedFrame) -> bool:
    return frame.source == BRIDGE_MAC and frame.ethertype == 0x88CC


def bridge_status(frame: CapturedFrame) -> int | None:
    """The "EVB bridge status" octet of the ratified TLV the bridge sends: 1 RRCTR, 2 RRCAP, 4 BGID."""
    body = evb(frame.payload, RATIFIED) if from_bridge(frame) else b""
    return body[0] if body else None


def station_status(frame: CapturedFrame) -> int | None:
    """The "EVB station status" octet of the ratified TLV the station sends: 3 RRSTAT, 4 RRREQ, 8 SGID."""
    body = evb(frame.payload, RATIFIED) if frame.source == STATION_MAC else b""
    return body[1] if body else None


def evb(lldpdu: bytes, identifier: bytes) -> bytes:
    """What follows OUI and subtype; empty when there is no such TLV."""
    found = [value[4:] for kind, value in walk(lldpdu) if kind == 127 and value[:4] == identifier]
    return found[0] if found else b""


def tlvs(lldpdu: bytes) -> dict[int, bytes]:
    return dict(walk(lldpdu))


def walk(lldpdu: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 2 <= len(lldpdu) and (header := int.from_bytes(lldpdu[offset : offset + 2], "big")):
        yield header >> 9, lldpdu[offset + 2 : offset + 2 + (header & 0x1FF)]
        offset += 2 + (header & 0x1FF)
