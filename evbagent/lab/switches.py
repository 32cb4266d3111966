"""Who plays the switch: our own agent in the bridge role, or lldpad."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol

from evbagent.lab.agents import Agent, launch, log_end, run
from evbagent.lab.cage import mount
from evbagent.lab.links import Namespace
from evbagent.lab.wire import Journal, LabError, LldpFrame, says_active

BRIDGE, PORT = "br0", "port1"
LLDPAD_PATHS = ("/run", "/dev/shm", "/var/lib/lldpad")
SHORT_TTL = 3
BR_STATE_FORWARDING = 3
START_SECONDS = 10.0


class Switch(Protocol):
    """A Linux bridge with one port, and what speaks for it. `by`: who sets the port's hairpin flag."""

    by: str
    log: Path
    answers_vdp: bool
    assigns_vids: bool
    can_deassociate: bool

    def vsis(self) -> set[str] | None:
        """The IDs of the VSIs that it holds as associated; None: it does not say."""

    def vsis_since(self) -> dict[str, str] | None:
        """Since when it holds each; None: it does not say."""

    def deassociate(self, instance: str) -> None:
        """Take a VSI away, if it can."""

    def dcbx(self) -> dict[str, Any] | None:
        """What it says of DCBX; None: it speaks none."""

    def start(self) -> None:
        """Start to speak, and to offer reflective relay."""

    def open_port(self) -> None:
        """After its link has come up: let the guests' frames through."""

    def withdraw(self) -> None:
        """Offer it no more."""

    def offer(self) -> None:
        """Offer it again."""

    def prepare_to_die(self) -> None:
        """Have the neighbour hold what it knows for no longer than 3 s."""

    def die(self) -> None:
        """Without a word; it reflects no more."""


class BuiltinSwitch:
    """`evbagent run --role bridge`."""

    by = "by the switch's agent"
    answers_vdp = True
    can_deassociate = True

    def __init__(self, namespace: Namespace, directory: Path, edition: str, journal: Journal) -> None:
        self._namespace = namespace
        self._journal = journal
        self._agent = Agent(namespace, directory, PORT, "bridge", edition)
        self.assigns_vids = edition == "ratified"  # the draft knows no null VID
        self.log = self._agent.log

    def vsis(self) -> set[str] | None:
        return set(self.vsis_since())

    def vsis_since(self) -> dict[str, str]:
        vsis = self._agent.uplink().get("vsis", ())
        return {vsi["vsi-id"]: vsi["since"] for vsi in vsis if vsi["state"] == "associated"}

    def dcbx(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._agent.uplink().get("dcbx")
        return found or {}

    def deassociate(self, instance: str) -> None:
        done = self._agent.command("switch", "deassociate", "--instance", instance)
        if done.returncode != 0:
            raise LabError(done.stderr.strip())

    def start(self) -> None:
        self._agent.start(self._journal)

    def open_port(self) -> None:
        """It is open."""

    def withdraw(self) -> None:
        self._agent.set_relay(False)

    def offer(self) -> None:
        self._agent.set_relay(True)

    def prepare_to_die(self) -> None:
        """Its TTL is that short anyway."""

    def die(self) -> None:
        """Its bridge would go on reflecting: nobody is left who would stop it, so the lab does."""
        self._agent.kill()
        set_hairpin(self._namespace, False)


class LldpadSwitch:
    """lldpad as EVB bridge, which leaves two things to its operators, and so to the lab.

    It says that the port reflects but never sets the flag. And it hears the nearest customer bridge address on a port
    of a bridge only when the bridge runs STP; without, the bridge takes such frames for its own to forward. /run,
    /dev/shm and /var/lib/lldpad are private to the lab, as are its network and IPC namespaces.
    """

    by = "by the lab, since lldpad never does it"
    assigns_vids = False
    can_deassociate = False

    def __init__(self, namespace: Namespace, directory: Path, edition: str, journal: Journal) -> None:
        self._lldpad, self._lldptool = find_lldpad()
        self._namespace = namespace
        self._journal = journal
        self._edition = edition
        self.answers_vdp = edition == "ratified"
        self._config = directory / "lldpad.conf"
        self.log = directory / "lldpad.log"
        self._process: subprocess.Popen[bytes] | None = None
        for path in LLDPAD_PATHS:
            if os.path.isdir(path) and not directory.is_relative_to(path):
                mount("tmpfs", path, "tmpfs", 0, "mode=755")
        from pyroute2 import IPRoute  # takes longer to import than the lab's other steps take

        with namespace.entered():
            self._route: Any = IPRoute()

    def vsis(self) -> set[str] | None:
        """lldpad's bridge shows its VSIs to nobody."""
        return None

    def vsis_since(self) -> dict[str, str] | None:
        return None

    def deassociate(self, instance: str) -> None:
        """lldpad has no such command."""

    def dcbx(self) -> dict[str, Any] | None:
        """It speaks none over a veth."""
        return None

    def open_port(self) -> None:
        """STP keeps a port that comes up closed to guests, not to lldpad, for seconds: without it one can be opened."""
        self._set_stp(False)
        port = self._namespace.link(PORT).index
        self._route.link("set", index=port, kind="bridge_slave", IFLA_BRPORT_STATE=BR_STATE_FORWARDING)
        self._set_stp(True)

    def start(self) -> None:
        self._config.write_text(lldpad_config(self._edition))
        set_hairpin(self._namespace, True)
        self._set_stp(True)
        process = self._process = launch(self._namespace, [self._lldpad, "-t", "-f", str(self._config)], self.log)

        def answers() -> bool:
            if process.poll() is not None:
                raise LabError(f"lldpad ended with exit status {process.returncode}: {log_end(self.log, 200)}")
            ping = run(self._namespace, [self._lldptool, "-p"])
            query = [self._lldptool, "-l", "-i", PORT, "-g", "ncb", "adminStatus"]
            return ping.stdout.strip() == str(process.pid) and run(self._namespace, query).returncode == 0

        self._journal.wait_for(answers, "lldpad has started", START_SECONDS)

    def withdraw(self) -> None:
        heard = len(self._journal.lldp)
        self._set_relay(False)
        self._journal.wait_for(lambda: any(map(_withdraws, self._said(heard))), "lldpad's LLDPDU that withdraws")
        set_hairpin(self._namespace, False)

    def offer(self) -> None:
        set_hairpin(self._namespace, True)
        self._set_relay(True)

    def prepare_to_die(self) -> None:
        """Its own TTL is 120 s; its interval cannot be set."""
        heard = len(self._journal.lldp)
        self._tool("TTL", f"value={SHORT_TTL}")
        self._journal.wait_for(lambda: any(map(_is_short, self._said(heard))), "lldpad's LLDPDU with a short TTL")

    def die(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        set_hairpin(self._namespace, False)

    def _set_stp(self, on: bool) -> None:
        bridge = self._namespace.link(BRIDGE).index
        self._route.link("set", index=bridge, kind="bridge", br_stp_state=int(on))

    def _set_relay(self, on: bool) -> None:
        if self._edition == "ratified":
            self._tool("evb", f"evbrrcap={'yes' if on else 'no'}")
        else:
            self._tool("evbcfg", f"fmode={'reflectiverelay' if on else 'bridge'}")

    def _tool(self, tlv: str, setting: str) -> None:
        done = run(self._namespace, [self._lldptool, "-T", "-i", PORT, "-g", "ncb", "-V", tlv, setting])
        if done.returncode != 0:
            raise LabError(f"lldptool {tlv} {setting}: {(done.stdout + done.stderr).strip()}")

    def _said(self, since: int) -> list[LldpFrame]:
        return [frame for frame in self._journal.lldp[since:] if frame.to_host]


def find_lldpad() -> tuple[str, str]:
    """Paths of lldpad and lldptool. LabError when they are not installed."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = [shutil.which(program, path=path) for program in ("lldpad", "lldptool")]
    if not all(found):
        raise LabError("lldpad is not installed: install Debian's package lldpad, or use --switch builtin")
    return str(found[0]), str(found[1])


def set_hairpin(namespace: Namespace, on: bool) -> None:
    """What an operator does by `bridge link set`."""
    namespace.route.set_hairpin(namespace.link(PORT).index, on)


def lldpad_config(edition: str) -> str:
    """lldpad's configuration file: an EVB bridge that offers reflective relay."""
    if edition == "ratified":
        tlv = (
            'tlvid0080c20d : { enableTx = true; evbmode = "bridge"; evbrrcap = true; evbrrreq = false; evbgpid = false;'
            " ecpretries = 3; ecprte = 14; vdprwd = 20; vdprka = 20; };"
        )
    else:
        tlv = (
            'tlvid001b3f00 : { enableTx = true; fmode = "reflectiverelay"; capabilities = "rte ecp vdp"; rte = 15;'
            ' vsis = 3295; }; vdp : { enableTx = true; role = "bridge"; };'
        )
    return f"nearest_customer_bridge : {{ {PORT} : {{ adminStatus = 3; {tlv} }}; }};\n"


def _withdraws(frame: LldpFrame) -> bool:
    found = frame.evb()
    return found is not None and not says_active(found[1], by_bridge=True)


def _is_short(frame: LldpFrame) -> bool:
    pdu = frame.pdu()
    return pdu is not None and 0 < pdu.ttl <= SHORT_TTL
