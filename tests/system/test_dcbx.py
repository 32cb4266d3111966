"""DCBX and the NIC: what is read, what is written and when, what is put back; malformed settings never get there.

The NIC is a fake (tests/support/fakedcb.c), whose log is all that the agent asks and writes about DCB.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from errno import EBUSY, EINVAL, EIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support import dcbxtlvs as dcbx
from tests.support.agent import Agent
from tests.support.fakedcb import IEEE_DEL, IEEE_GET, IEEE_SET, SDCBX, FakeDcb
from tests.support.lldpdus import NEAREST_BRIDGE, frame, lldpdu
from tests.support.namespaces import PacketTap, wait_until
from tests.support.rig import BRIDGE_MAC, STATION_MAC, Cable

pytestmark = pytest.mark.system

FAST = "[lldp]\nmessage-tx-interval = 1\nmessage-tx-hold-multiplier = 2\n"
SWITCH = f"""
{FAST}
[dcbx]
advertise = true
[dcbx.ets]
prio-tc = "3:1"
tc-bw = "0:40 1:60"
[dcbx.pfc]
prio-pfc = [3]
[dcbx.app]
dgram-port-prio = "4791:3"
dscp-prio = "AF31:3"
"""
APPLY = FAST + "[dcbx]\nmode = 'apply'\nwait-for-peer = 1\n"
AGREED = (
    "tc-bw 0:40 1:60 2:0",
    "tc-tsa 0:ets 1:ets 2:strict",
    "prio-tc 0:0 1:0 2:0 3:1 4:0",
    "prio-pfc 0:off 1:off 2:off 3:on 4:off",
    "dscp-prio 26:3",
    "dgram-port-prio 4791:3",
)


class Rig:
    """Our station, whose NIC is fake, on a cable to a switch: ours, or frames that a test makes."""

    def __init__(self, cable: Cable, directory: Path) -> None:
        self.cable = cable
        self.nic = FakeDcb(directory)
        self.nic.add(cable.uplink)
        self.host = Agent(cable.station, directory, [cable.uplink], config=APPLY, env=self.nic.environment)
        self.switch = Agent(cable.bridge, directory, [cable.port], role="bridge", config=SWITCH)
        self.before, self.in_force_before = self.shown(), self.in_force()

    def shown(self) -> str:
        """The NIC as iproute2 sees it."""
        return self.nic.shown(self.cable.station, self.cable.uplink)

    def in_force(self) -> str:
        """What of it decides how frames are treated: not who is willing, nor what is recommended to whom."""
        return "\n".join(line for line in self.shown().splitlines() if not line.startswith(("willing", "reco-")))

    def dcbx(self) -> dict[str, Any]:
        """What the host's agent says of DCBX."""
        return dict(self.host.uplink(self.cable.uplink)["dcbx"])

    def writes(self) -> list[int]:
        """Commands of all that the agent has written."""
        return [entry.command for entry in self.nic.writes("python")]

    def wait_for_nic(self, *words: str, timeout: float = 10.0) -> str:
        """What iproute2 shows, as soon as all the words are in it."""

        def look() -> str:
            shown = self.shown()
            return shown if all(word in shown for word in words) else ""

        return wait_until(look, f"the NIC has {words}: {self.shown()}", timeout, 0.1)

    def wait_for(self, key: str, value: object) -> dict[str, Any]:
        found = self.host.wait_for(
            self.cable.uplink, lambda uplink: uplink["dcbx"] and uplink["dcbx"][key] == value, f"dcbx {key} is {value}"
        )
        return dict(found["dcbx"])

    def wait_for_warning(self, words: str) -> None:
        def look(uplink: dict[str, Any]) -> bool:
            return any(words in warning for warning in uplink["warnings"])

        self.host.wait_for(self.cable.uplink, look, f"a warning: {words}")


@pytest.fixture
def rig(cable: Cable, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(cable, tmp_path)
    with made.switch, made.host:
        yield made


@pytest.fixture
def quiet(cable: Cable, tmp_path: Path) -> Rig:
    """Nobody speaks yet."""
    return Rig(cable, tmp_path)


def test_observe_reads_and_shows_and_never_writes(quiet: Rig) -> None:
    """Not one request that would change anything leaves the process, whatever happens on the wire."""
    quiet.host.config.write_text(FAST)
    with quiet.host:
        with quiet.switch:
            found = quiet.wait_for("state", "peer")
            assert (found["mode"], found["advertise"], found["dialect"]) == ("observe", False, "ieee")
            assert found["remote"]["pfc"]["enable"] == [3]
            assert [one["key"] for one in found["differences"]] == [
                "prio-tc",
                "tc-tsa",
                "tc-bw",
                "prio-pfc",
                "dgram-port-prio",
                "dscp-prio",
            ]
            shown = quiet.host.evbagent("dcbx", "show", quiet.cable.uplink).stdout
            assert "would be agreed" in shown and "mode observe writes nothing" in shown
            quiet.host.reload(FAST + "[dcbx]\nadvertise = true\n")
            quiet.wait_for("advertise", True)
            quiet.switch.wait_for(
                quiet.cable.port, lambda uplink: uplink["dcbx"]["state"] == "peer", "the switch hears us", 5
            )
        quiet.wait_for("state", "alone")
        quiet.cable.station.ip("link set", quiet.cable.uplink, "down")
        quiet.cable.station.ip("link set", quiet.cable.uplink, "up")
        quiet.nic.dcb(quiet.cable.station, *f"pfc set dev {quiet.cable.uplink} prio-pfc 7:on".split())
        quiet.host.wait_for(
            quiet.cable.uplink, lambda uplink: uplink["dcbx"]["local"]["pfc"]["enable"] == [7], "somebody's change"
        )
        assert quiet.host.stop() == 0
    requests = [entry for entry in quiet.nic.log("python") if entry.kind == "REQ"]
    assert any(entry.command == IEEE_GET for entry in requests)
    assert not [entry for entry in requests if entry.writes]
    quiet.nic.dcb(quiet.cable.station, *f"pfc set dev {quiet.cable.uplink} prio-pfc 7:off".split())
    assert quiet.shown() == quiet.before


def test_an_agent_that_only_observes_applies_nothing(quiet: Rig) -> None:
    """Whatever is configured, and whoever asks."""
    quiet.host.options = ("--observe",)
    with quiet.switch, quiet.host:
        found = quiet.wait_for("state", "peer")
        assert (found["mode"], found["advertise"]) == ("observe", False)
        for action in ("apply", "restore"):
            refused = quiet.host.evbagent("dcbx", action, quiet.cable.uplink, check=False)
            assert refused.returncode == 1 and "only observes" in refused.stderr
    assert quiet.writes() == []
    assert quiet.shown() == quiet.before


def test_apply_writes_what_differs_and_a_second_run_nothing(rig: Rig) -> None:
    rig.wait_for_nic(*AGREED)
    found = rig.wait_for("differences", [])
    assert (found["nic-state"], found["nic"]["changed-by-agent"]) == ("it has what is agreed, set by evbagent", True)
    assert found["nic"]["dcbx-mode"] == ["host", "cee", "ieee"]
    assert rig.writes() == [IEEE_SET] * 3, "ETS and PFC in one message, two applications"
    log = rig.host.log.read_text()
    assert "DCB: prio-pfc 3:off -> 3:on" in log and "DCB: dgram-port-prio - -> 4791:3" in log
    rig.host.stop()
    rig.host.start()
    rig.wait_for("state", "peer")
    rig.wait_for("differences", [])
    assert rig.host.evbagent("dcbx", "apply", rig.cable.uplink).stdout == "veth0: nothing to write\n"
    assert len(rig.writes()) == 3


def test_what_the_switch_changes_is_the_only_thing_written(rig: Rig) -> None:
    rig.wait_for_nic(*AGREED)
    rig.switch.reload(SWITCH.replace("prio-pfc = [3]", "prio-pfc = [3, 4]"))
    rig.wait_for_nic("prio-pfc 0:off 1:off 2:off 3:on 4:on", *AGREED[:3])
    rig.switch.reload(SWITCH.replace("4791:3", "4791:4").replace("prio-pfc = [3]", "prio-pfc = [3, 4]"))
    rig.wait_for_nic("dgram-port-prio 4791:4")
    assert rig.writes()[3:] == [IEEE_SET, IEEE_SET, IEEE_DEL]
    assert "4791:3" not in rig.shown()


def test_back_to_local_when_the_peer_is_lost(rig: Rig) -> None:
    rig.wait_for_nic(*AGREED)
    rig.switch.kill()
    wait_until(lambda: rig.in_force() == rig.in_force_before, "all is as it was", 10, 0.1)
    rig.wait_for("state", "alone")
    rig.wait_for("nic-state", "it has what is agreed, set by evbagent")  # the file is written after the NIC


def test_nothing_is_written_while_the_link_is_down(rig: Rig) -> None:
    """A driver may reset the port at each change: going back to local settings then would never end."""
    rig.wait_for_nic(*AGREED)
    agreed, writes = rig.in_force(), rig.writes()
    rig.switch.stop()
    wait_until(lambda: rig.in_force() == rig.in_force_before, "local settings", 10, 0.1)
    rig.switch.start()
    wait_until(lambda: rig.in_force() == agreed, "the switch's", 10, 0.1)
    between = rig.writes()
    assert len(between) > len(writes)
    for _ in range(3):
        rig.cable.bridge.ip("link set", rig.cable.port, "down")
        rig.host.wait_for(rig.cable.uplink, lambda uplink: uplink["dcbx"]["state"] == "alone", "the link is down")
        rig.cable.bridge.ip("link set", rig.cable.port, "up")
        rig.wait_for("state", "peer")
    assert rig.in_force() == agreed
    assert rig.writes() == between


def test_restore_and_apply_by_hand(rig: Rig) -> None:
    rig.wait_for_nic(*AGREED)
    done = json.loads(rig.host.evbagent("dcbx", "restore", rig.cable.uplink, "-j").stdout)
    assert done["error"] == "" and {"key": "prio-pfc", "nic": "3:on", "wanted": "3:off"} in done["changes"]
    assert rig.shown() == rig.before
    rig.switch.reload(SWITCH.replace("prio-pfc = [3]", "prio-pfc = [3, 4]"))
    found = rig.host.wait_for(
        rig.cable.uplink, lambda uplink: uplink["dcbx"]["remote"]["pfc"]["enable"] == [3, 4], "the switch's change"
    )
    assert "it has been restored" in found["dcbx"]["nic-state"]
    assert rig.shown() == rig.before, "what an operator has restored is left alone"
    printed = rig.host.evbagent("dcbx", "diff", rig.cable.uplink).stdout
    assert "veth0: prio-pfc 3:off 4:off -> 3:on 4:on\n" in printed
    assert rig.host.evbagent("dcbx", "apply", rig.cable.uplink).stdout == printed
    rig.wait_for_nic("3:on 4:on", *AGREED[:3])


def test_observe_writes_when_told_to_and_only_then(quiet: Rig) -> None:
    quiet.host.config.write_text(FAST + "[dcbx]\nadvertise = true\n")
    with quiet.switch, quiet.host:
        quiet.wait_for("state", "peer")
        assert quiet.writes() == []
        printed = quiet.host.evbagent("dcbx", "apply", quiet.cable.uplink).stdout
        assert "veth0: prio-pfc 3:off -> 3:on\n" in printed
        quiet.wait_for_nic(*AGREED)
        assert len(quiet.writes()) == 3
        quiet.host.evbagent("dcbx", "restore", quiet.cable.uplink)
        assert quiet.shown() == quiet.before
    assert quiet.shown() == quiet.before


def test_the_settings_of_before_survive_a_crash(rig: Rig) -> None:
    rig.wait_for_nic(*AGREED)
    rig.host.kill()
    assert "3:on" in rig.shown()
    rig.host.config.write_text(APPLY + "on-stop = 'restore'\n")
    rig.host.start()
    found = rig.wait_for("differences", [])
    assert found["nic"]["changed-by-agent"] is True
    assert found["local"]["pfc"]["enable"] == [], "what a peer had set is not what was there"
    assert rig.host.stop() == 0
    assert rig.shown() == rig.before


def test_settings_of_our_own(quiet: Rig) -> None:
    """Nobody answers: after its time the configuration is in force, and what is not configured stays."""
    quiet.nic.dcb(quiet.cable.station, *f"app add dev {quiet.cable.uplink} dscp-prio 46:5".split())
    own = "[dcbx.pfc]\nprio-pfc = '4:on'\ndelay = 4096\n[dcbx.app]\nethtype-prio = { 0x8906 = 4 }\n"
    quiet.host.config.write_text(APPLY + own)
    with quiet.host:
        quiet.wait_for("state", "alone")
        quiet.wait_for_nic("4:on", "delay 4096", "ethtype-prio 8906:4", "dscp-prio 46:5")
    assert [entry.command for entry in quiet.nic.writes("python")] == [IEEE_SET] * 2


def test_a_nic_in_another_mode_is_taken_over_and_given_back(quiet: Rig) -> None:
    quiet.nic.dcb(quiet.cable.station, *f"dcbx set dev {quiet.cable.uplink} host cee".split())
    with quiet.switch, quiet.host:
        quiet.wait_for_nic("host ieee", *AGREED)
        assert quiet.writes()[0] == SDCBX and quiet.writes().count(SDCBX) == 1
        quiet.host.evbagent("dcbx", "restore", quiet.cable.uplink)
        assert quiet.shown().split()[-2:] == ["host", "cee"]


def test_a_driver_that_refuses(quiet: Rig) -> None:
    quiet.nic.add(quiet.cable.uplink, f"refuse {IEEE_SET} {EINVAL}")
    with quiet.switch, quiet.host:
        quiet.wait_for_warning("set ETS and PFC: Invalid argument (the driver answers 0xea)")
        quiet.switch.reload(SWITCH.replace("AF31:3", "AF31:4"))
        wait_until(lambda: len(quiet.writes()) == 2, "something else is tried", 5)
        failed = quiet.host.evbagent("dcbx", "apply", quiet.cable.uplink, check=False)
        assert failed.returncode == 1
        assert failed.stderr.startswith("evbagent: veth0: veth0: set ETS and PFC: Invalid argument")
        assert len(quiet.writes()) == 3, "the same is not tried again and again"
        quiet.nic.add(quiet.cable.uplink)
        assert quiet.host.evbagent("dcbx", "apply", quiet.cable.uplink).returncode == 0
        quiet.wait_for_nic(*AGREED[:4])
        assert quiet.host.uplink(quiet.cable.uplink)["warnings"] == []


def test_a_driver_that_is_busy(quiet: Rig) -> None:
    """It is asked again, to write as well as to read; the log says so once."""
    uplink = quiet.cable.uplink
    quiet.nic.add(uplink, f"refuse {IEEE_SET} {EBUSY}")
    with quiet.switch, quiet.host:
        quiet.wait_for_warning("set ETS and PFC: Device or resource busy")
        wait_until(lambda: len(quiet.writes()) >= 2, "it is asked again", 15, 0.1)
        quiet.nic.add(uplink, f"fail {IEEE_GET} {EIO}")
        quiet.wait_for_warning("read DCB settings (IEEE_GET): Input/output error")
        quiet.nic.add(uplink)
        quiet.wait_for_nic(*AGREED, timeout=15)
        wait_until(lambda: quiet.host.uplink(uplink)["warnings"] == [], "all is well", 10, 0.1)
        assert quiet.host.log.read_text().count("DCB settings not written: veth0: set ETS and PFC: Device or") == 1


def test_a_nic_that_cannot_have_it(quiet: Rig) -> None:
    """One traffic class: what the switch recommends is not for this NIC, and said to be so."""
    quiet.nic.add(quiet.cable.uplink, "tcs 1")
    (quiet.nic.directory / f"{quiet.cable.uplink}.state").unlink()
    with quiet.switch, quiet.host:
        found = quiet.wait_for("state", "peer")
        assert found["errors"] == ["ets"]
        assert "priority 3 is in traffic class 1, and there are 1" in found["reasons"]["ets"]
        quiet.wait_for_nic("prio-pfc 0:off 1:off 2:off 3:on", "tc-bw 0:0 1:0")


def test_firmware_that_runs_dcbx_is_left_alone(quiet: Rig) -> None:
    """Nothing is written, and no DCBX TLV sent: the switch would see two neighbors."""
    quiet.nic.add(quiet.cable.uplink, "managed")
    with PacketTap(quiet.cable.bridge, quiet.cable.port) as tap, quiet.host:
        quiet.wait_for_warning("the NIC's firmware runs DCBX")
        found = quiet.dcbx()
        assert (found["state"], found["local"], found["nic"]["dcbx-mode"]) == (
            "off",
            None,
            ["lld-managed", "cee", "ieee"],
        )
        assert found["nic"]["firmware-peer"]["pfc"]["enable"] == [3]
        shown = quiet.host.evbagent("dcbx", "show").stdout
        assert "firmware's peer" in shown and "NIC: the NIC's firmware runs DCBX" in shown
        failed = quiet.host.evbagent("dcbx", "apply", quiet.cable.uplink, check=False)
        assert failed.returncode == 1 and "firmware runs DCBX" in failed.stderr
        # It is turned off at run time, and on again.
        quiet.nic.add(quiet.cable.uplink)
        bounce(quiet.cable)
        assert quiet.wait_for("state", "alone")["advertise"] is True
        tap.wait_for(lambda seen: bool(dcbx.dcbx_tlvs(seen.payload)), "we speak DCBX now")
        quiet.nic.add(quiet.cable.uplink, "managed")
        bounce(quiet.cable)
        quiet.wait_for("state", "off")
        tap.drain()
        seen = [tap.wait_for(lambda seen: seen.source == STATION_MAC, "we speak in other scopes") for _ in range(4)]
        assert not [one for one in seen if one.destination == NEAREST_BRIDGE]
    assert quiet.writes() == []


def bounce(cable: Cable) -> None:
    cable.station.ip("link set", cable.uplink, "down")
    cable.station.ip("link set", cable.uplink, "up")


def test_a_nic_without_dcb_says_so_once(quiet: Rig) -> None:
    """The kernel's own EOPNOTSUPP; both ends agree all the same."""
    quiet.nic.remove(quiet.cable.uplink)
    with quiet.switch, quiet.host:
        found = quiet.wait_for("state", "peer")
        assert (found["nic"]["settings"], found["nic-state"]) == (None, "the NIC has no DCB")
        assert found["operational"]["pfc"]["enable"] == [3]
        bounce(quiet.cable)
        quiet.wait_for("state", "peer")
        assert quiet.host.log.read_text().count("the NIC has no DCB") == 1
        failed = quiet.host.evbagent("dcbx", "apply", quiet.cable.uplink, check=False)
        assert (failed.returncode, failed.stderr) == (1, "evbagent: veth0: the NIC has no DCB\n")
    assert quiet.writes() == []


def test_others_changes_are_named_and_not_fought(rig: Rig) -> None:
    rig.wait_for_nic(*AGREED)
    rig.wait_for("differences", [])
    writes = len(rig.writes())
    rig.nic.dcb(rig.cable.station, *f"pfc set dev {rig.cable.uplink} prio-pfc 3:off".split())
    rig.wait_for_warning("somebody else has changed the NIC's DCB settings")
    rig.wait_for("differences", [{"key": "prio-pfc", "nic": "3:off", "wanted": "3:on"}])
    assert len(rig.writes()) == writes
    assert rig.host.evbagent("dcbx", "apply", rig.cable.uplink).stdout == "veth0: prio-pfc 3:off -> 3:on\n"
    rig.wait_for_nic(*AGREED)
    wait_until(lambda: rig.host.uplink(rig.cable.uplink)["warnings"] == [], "there is nothing to warn of any more")


def test_events_and_words(rig: Rig) -> None:
    rig.wait_for_nic(*AGREED)
    watch = rig.cable.station.popen(
        [*rig.host.command[:3], "watch", "-j", "--state-dir", str(rig.host.state_dir)],
        stdout=-1,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert watch.stdout is not None
    wait_until(lambda: rig.host.evbagent("show", "interfaces").returncode == 0, "it answers")
    os.set_blocking(watch.stdout.fileno(), False)
    said = bytearray()
    rounds = count()

    def events(name: str) -> list[dict[str, Any]]:
        with suppress(BlockingIOError):
            said.extend(os.read(watch.stdout.fileno(), 1 << 20))
        whole = [json.loads(line) for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
        return [event for event in whole if event["event"] == name]

    def change() -> bool:
        rig.switch.reload(SWITCH.replace("prio-pfc = [3]", f"prio-pfc = [3, {4 + next(rounds) % 2}]"))
        return bool(events("dcb-written") and events("dcbx"))

    wait_until(change, "a change, and its events", 10, 0.5)
    (first, *_) = events("dcb-written")
    assert first["changes"][0]["key"] == "prio-pfc" and first["error"] == ""
    (changed, *_) = events("dcbx")
    assert changed["state"] == "peer" and 3 in changed["operational"]["pfc"]["enable"]


MALFORMED = {
    "bandwidth-200": (dcbx.ets_recommendation(tc_bw=(100, 100, 0, 0, 0, 0, 0, 0)), "the bandwidths of the ETS classes"),
    "class-9": (dcbx.ets_recommendation(prio_tc=(0, 0, 0, 9, 0, 0, 0, 0)), "priority 3 is in traffic class 9"),
    "reserved-tsa": (dcbx.ets_recommendation(tc_tsa=(2, 2, 77, 0, 0, 0, 0, 0)), "transmission selection 77"),
    "short-ets": (dcbx.ieee(10, bytes(7)), "ETS_RECOMMENDATION"),
    "short-pfc": (dcbx.ieee(11, b"\x08"), "PFC_CONFIGURATION"),
    "half-an-application": (dcbx.ieee(12, bytes(6)), "APPLICATION_PRIORITY"),
    "many-applications": (dcbx.applications(*((3, 2, port) for port in range(1, 160))), "159 applications"),
    "reserved-selector": (dcbx.applications((3, 7, 4791)), "reserved selector"),
    "no-dscp": (dcbx.applications((3, 5, 200)), "no DSCP"),
    "two-priorities": (dcbx.applications((3, 3, 4791), (4, 3, 4791)), "priorities 3, 4 at a time"),
}


def test_malformed_settings_never_reach_the_nic(quiet: Rig) -> None:
    """Named in a warning; nothing of it is written, and the agent goes on: what is sound afterwards is taken."""
    with PacketTap(quiet.cable.bridge, quiet.cable.port) as tap, quiet.host:
        wait_until(lambda: quiet.host.uplink("veth0")["oper-status"] == "up", "the link is up")
        for bad, words in MALFORMED.values():
            tap.send(lldp_frame(bad))
            quiet.wait_for_warning(words)
            assert quiet.dcbx()["state"] == "peer"
            done = quiet.host.evbagent("dcbx", "apply", quiet.cable.uplink)
            assert done.stdout == "veth0: nothing to write\n", words
            assert [one["hex"] for one in quiet.dcbx()["remote-tlvs"]], "for a bug report"
        assert quiet.shown() == quiet.before
        assert quiet.writes() == []
        tap.send(lldp_frame(dcbx.ets_recommendation() + dcbx.pfc() + dcbx.applications((3, 3, 4791))))
        quiet.wait_for_nic("tc-bw 0:50 1:50", "3:on", "dgram-port-prio 4791:3")
        assert quiet.host.uplink(quiet.cable.uplink)["warnings"] == []


def lldp_frame(*tlvs: bytes, mac: bytes = BRIDGE_MAC, ttl: int = 120) -> bytes:
    return frame(mac, lldpdu(mac, *tlvs, ttl=ttl), NEAREST_BRIDGE)


def test_the_first_of_two_counts(quiet: Rig) -> None:
    with PacketTap(quiet.cable.bridge, quiet.cable.port) as tap, quiet.host:
        wait_until(lambda: quiet.host.uplink("veth0")["oper-status"] == "up", "the link is up")
        tap.send(lldp_frame(dcbx.ets_recommendation(), dcbx.ets_recommendation(tc_bw=(1, 99, 0, 0, 0, 0, 0, 0))))
        quiet.wait_for_warning("twice")
        quiet.wait_for_nic("tc-bw 0:50 1:50")


def test_several_peers_and_none_counts(quiet: Rig) -> None:
    """lldpad lets the last one win, so that PFC flaps between them."""
    other = bytes.fromhex("02000000000c")
    with PacketTap(quiet.cable.bridge, quiet.cable.port) as tap, quiet.host:
        wait_until(lambda: quiet.host.uplink("veth0")["oper-status"] == "up", "the link is up")
        tap.send(lldp_frame(dcbx.pfc(1 << 3)))
        quiet.wait_for_nic("3:on")
        writes = len(quiet.writes())
        tap.send(lldp_frame(dcbx.pfc(1 << 5), mac=other))
        quiet.wait_for("state", "suspended")
        quiet.wait_for_warning("DCBX is suspended: 2 neighbors speak it")
        heard = {one["chassis-id"]: one["hex"] for one in quiet.dcbx()["remote-tlvs"]}
        for mac, bits in ((BRIDGE_MAC, 1 << 3), (other, 1 << 5)):
            assert dcbx.pfc(bits).hex().endswith(heard[mac.hex(":")]), "of each what it has said"
        wait_until(lambda: quiet.in_force() == quiet.in_force_before, "local settings", 10, 0.1)
        for _ in range(5):
            for mac, bits in ((BRIDGE_MAC, 1 << 3), (other, 1 << 5)):
                tap.send(lldp_frame(dcbx.pfc(bits), mac=mac))
        assert quiet.dcbx()["state"] == "suspended"
        assert len(quiet.writes()) == writes + 1
        tap.send(lldp_frame(mac=other, ttl=0))
        quiet.wait_for_nic("3:on")
        assert quiet.host.uplink(quiet.cable.uplink)["warnings"] == []


def cee(seq_no: int, ack_no: int, enable: int) -> bytes:
    tlvs = dcbx.control(seq_no, ack_no) + dcbx.cee_groups() + dcbx.cee_pfc(enable)
    return lldp_frame(dcbx.legacy(dcbx.CEE, tlvs, dcbx.cee_applications((0x8906, 0, 1 << 3))))


def test_sequence_numbers_that_go_back(quiet: Rig) -> None:
    """CEE: settings count once our own have been acknowledged, and a number that is no acknowledgement is none."""
    with PacketTap(quiet.cable.bridge, quiet.cable.port) as tap, quiet.host:
        wait_until(lambda: quiet.host.uplink("veth0")["oper-status"] == "up", "the link is up")
        tap.send(cee(5, 0, 1 << 3))
        found = quiet.wait_for("dialect", "cee")
        ours = wait_until(lambda: (quiet.dcbx()["sequence"] or {}).get("seq-no"), "we have said something")
        assert quiet.shown() == quiet.before and found["differences"] == []
        tap.send(cee(5, ours, 1 << 3))
        quiet.wait_for_nic("3:on", "tc-bw 0:50 1:50", "ethtype-prio 8906:3")
        for seq_no, ack_no in ((4, 0), (1, 99), (0, 0xFFFFFFFF), (0xFFFFFFFF, 7)):
            tap.send(cee(seq_no, ack_no, 1 << 6))
        wait_until(lambda: quiet.dcbx()["sequence"]["ack-no"] is not None, "it goes on")
        assert "6:on" not in quiet.shown()
