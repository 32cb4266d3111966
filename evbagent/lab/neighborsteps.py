"""What the lab shows of plain LLDP: the host, and lldpd at the end of another cable, as each sees the other."""

import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from evbagent.lab.agents import Agent, answer, launch, log_end, run
from evbagent.lab.cage import mount
from evbagent.lab.inside import Lab
from evbagent.lab.links import Namespace
from evbagent.lab.outcome import Outcome
from evbagent.lab.wire import LabError

UPLINK, THEIR_PORT = "eth1", "port7"
MAC, THEIR_MAC = bytes.fromhex("02000000001a"), bytes.fromhex("02000000001b")
SOCKET = "/run/lldpd.socket"
CHROOT = Path("/run/lldpd")
USER = "_lldpd"
SECONDS = 10.0

Seen = dict[str, str]
"""system-name and port-id of a neighbor."""


def neighbors_shown(lab: Lab) -> Outcome:
    """`evbagent show neighbors` beside `lldpcli show neighbors`, at the two ends of one cable."""
    cannot = _why_not()
    if cannot:
        return Outcome(True, f"{cannot}: nothing to show")
    other = Namespace()
    lab.host.add_cable(UPLINK, MAC, other, THEIR_PORT, THEIR_MAC)
    lab.host.set_up(UPLINK)
    other.set_up(THEIR_PORT)
    directory = lab.directory / UPLINK
    directory.mkdir()
    agent = Agent(lab.host, directory, UPLINK, "station", lab.edition)
    lldpd = _Lldpd(other, directory / "lldpd.log")
    try:
        agent.start(lab.journal)
        lldpd.start()
        ours = lab.journal.wait_for(lambda: _ours(agent), f"the agent hears lldpd; {log_end(agent.log, 200)}", SECONDS)
        theirs = lab.journal.wait_for(lldpd.neighbor, f"lldpd hears the agent; {log_end(lldpd.log, 200)}", SECONDS)
    finally:
        lldpd.end()
        agent.kill()
    return Outcome(
        ours["port-id"] == THEIR_MAC.hex(":") and theirs == {"system-name": "lab-station", "port-id": MAC.hex(":")},
        f"`evbagent show neighbors` on {UPLINK}: {_in_words(ours)}; `lldpcli show neighbors` at the other end of the "
        f"cable: {_in_words(theirs)}",
    )


class _Lldpd:
    """lldpd on one interface of a namespace, /run being the lab's own."""

    def __init__(self, namespace: Namespace, log: Path) -> None:
        self.log = log
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if os.path.isdir("/run") and not self.log.is_relative_to("/run"):
            mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
        CHROOT.mkdir(exist_ok=True)
        command = [_found("lldpd"), "-d", "-u", SOCKET, "-I", THEIR_PORT, "-C", THEIR_PORT]
        self._process = launch(self._namespace, command, self.log)

    def neighbor(self) -> Seen | None:
        """What it says of the agent, as soon as it says anything."""
        command = [_found("lldpcli"), "-u", SOCKET, "-f", "json0", "show", "neighbors"]
        done = run(self._namespace, command)
        if done.returncode != 0:
            return None
        for top in json.loads(done.stdout).get("lldp", ()):
            for interface in top.get("interface", ()):
                chassis, port = interface["chassis"][0], interface["port"][0]
                return {"system-name": _value(chassis, "name"), "port-id": _value(port, "id")}
        return None

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def _ours(agent: Agent) -> Seen | None:
    shown = answer(agent.command("show", "neighbors", "--json"))
    return {key: str(shown[0][key]) for key in ("system-name", "port-id")} if shown else None


def _value(values: dict[str, Any], key: str) -> str:
    return str(values[key][0]["value"]) if key in values else ""


def _in_words(seen: Seen) -> str:
    return f"{seen['system-name']}, port {seen['port-id']}"


def _why_not() -> str:
    """Why there can be no lldpd here; empty when there can."""
    try:
        _found("lldpd")
        _found("lldpcli")
        pwd.getpwnam(USER)
    except LabError as error:
        return str(error)
    except KeyError:
        return f"there is no user {USER}"
    return "" if os.geteuid() == 0 and _all_users() else "lldpd becomes another user, which takes root"


def _all_users() -> bool:
    """Whether this user namespace is the machine's, and has them all."""
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def _found(program: str) -> str:
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(program, path=path)
    if found is None:
        raise LabError(f"{program} is not installed")
    return found
