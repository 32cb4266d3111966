"""The real programs a test talks to, each run inside a Namespace: lldpad, lldpd, tcpdump, tshark.

Nothing here needs root beyond what `leave_host()` gave. All control goes through the programs' own tools.
"""

import json
import os
import pwd
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.support.namespaces import Namespace, end, find_program, search_path, wait_until
from tests.support.require import impossible, require_peer

Scope = Literal["nb", "nntpmrb", "ncb"]  # lldptool's words for nearest bridge, nearest non-TPMR bridge, customer bridge


@dataclass(frozen=True, slots=True, kw_only=True)
class RatifiedEvb:
    """lldpad's settings of the ratified EVB TLV; its own defaults, but for R/RTE which differ between builds."""

    mode: Literal["station", "bridge"]
    rr_request: bool = False
    rr_capable: bool = False
    group_ids: bool = False
    retries: int = 3
    rte: int = 14
    rwd: int = 20
    rka: int = 20

    def config(self) -> str:
        return _group(
            "tlvid0080c20d",
            _settings(
                enableTx=True,
                evbmode=self.mode,
                evbrrreq=self.rr_request,
                evbrrcap=self.rr_capable,
                evbgpid=self.group_ids,
                ecpretries=self.retries,
                ecprte=self.rte,
                vdprwd=self.rwd,
                vdprka=self.rka,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftEvb:
    """lldpad's settings of the draft 0.2 EVB TLV and of the draft VDP, which decides the role.

    `forwarding` is what lldpad puts into the TLV as supported and configured mode alike.
    """

    role: Literal["station", "bridge"]
    forwarding: Literal["bridge", "reflectiverelay"] = "reflectiverelay"
    capabilities: str = "rte ecp vdp"
    rte: int = 15
    vsis: int = 3295
    vdp: bool = True

    def config(self) -> str:
        tlv = _group(
            "tlvid001b3f00",
            _settings(
                enableTx=True, fmode=self.forwarding, capabilities=self.capabilities, rte=self.rte, vsis=self.vsis
            ),
        )
        return tlv + _group("vdp", _settings(enableTx=self.vdp, role=self.role))


@dataclass(frozen=True, slots=True, kw_only=True)
class LldpadPort:
    """One interface in lldpad's configuration file.

    `ttl` is the TTL lldpad puts into its LLDPDUs instead of 120; it has no influence on how often they are sent.
    `tlvs` are optional TLVs of the nearest bridge agent by type: 4 portDesc, 5 sysName, 6 sysDesc, 7 sysCap.
    """

    evb: RatifiedEvb | DraftEvb | None = None
    scopes: frozenset[Scope] = frozenset({"ncb"})
    ttl: int | None = None
    tlvs: frozenset[int] = frozenset()


class Lldpad:
    """One lldpad in a namespace (one a namespace: its control socket is an abstract address).

    What this lldpad does, measured on a veth with 1.1+git20221028:
    - Its first LLDPDU is sent 1.0 s after its start, then one a second (seven or eight of them), then one every 30 s.
    - Two of them, ratified: RRREQ and RRCAP in the first LLDPDU, RRCTR with RRSTAT unknown or 1 in the second (2.0 s),
      both values settled in the third (3.0 s). Each answers in its next one-second tick, never at once.
    - `lldptool -T -i IF -g ncb -V evb evbrrcap=no` (with or without -c, which for -T means nothing) withdraws RRCAP
      and RRCTR together, in the LLDPDU of the next tick (at most 1 s later, also when the fast phase is over), and
      begins a new fast phase. evbrrcap=yes brings both back alike. So does evbrrreq on a station.
      `adminStatus=disabled` sends a shutdown LLDPDU at once, and =rxtx the next LLDPDU at once.
      `enableTx=no` leaves the TLV out but keeps the neighbour; another lldpad then goes on as if still agreed.
    - The TTL is shortened by `lldptool -T -i IF -g ncb -V TTL value=8` (next LLDPDU), or in the file by
      tlvid00000003 = { value = 8; }. msgTxInterval and msgTxHold cannot be set (hard coded 30 s and 4): with a TTL
      below 30 a neighbour ages out between two LLDPDUs once the fast phase is over.
    - SIGTERM: a shutdown LLDPDU (TTL 0, no EVB TLV) in each active scope, exit status 0. SIGKILL: nothing on the wire.
    """

    def __init__(
        self,
        namespace: Namespace,
        directory: Path,
        ports: Mapping[str, LldpadPort],
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`env`: more of the daemon's environment, such as a NIC with DCB (FakeDcb)."""
        require_peer("lldpad", "lldptool")
        self._env = dict(env or {})
        self.namespace = namespace
        self.config = directory / f"lldpad-{namespace.name}.conf"
        self.log = directory / f"lldpad-{namespace.name}.log"
        self.interfaces = tuple(ports)
        self.config.write_text(_lldpad_config(ports))
        self.process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> "Lldpad":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process is not None:
            end(self.process)

    @property
    def pid(self) -> int:
        assert self.process is not None, "lldpad is not running"
        return self.process.pid

    def start(self, timeout: float = 20.0) -> None:
        """Start it, and return when it answers for all its interfaces (some 20 ms; its first LLDPDU is 1 s away)."""
        with self.log.open("a") as log:
            self.process = self.namespace.popen(
                ["lldpad", "-t", "-V", "7", "-f", str(self.config)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
            )
        wait_until(self._answers, f"lldpad answers for {', '.join(self.interfaces)}", timeout)

    def stop(self) -> int:
        """SIGTERM: lldpad says goodbye to its neighbours; returns the exit status."""
        return self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: neighbours hear nothing more."""
        self._signal(signal.SIGKILL)

    def lldptool(self, *words: str) -> str:
        """What lldptool printed; RuntimeError when it refused."""
        return lldpad_tool(self.namespace, ["lldptool", *words])

    def set_evb(self, interface: str, **settings: str | int) -> None:
        """Change the ratified EVB TLV at run time: `set_evb("veth1", evbrrcap="no")`."""
        for name, value in settings.items():
            self.lldptool("-T", "-i", interface, "-g", "ncb", "-V", "evb", f"{name}={value}")

    def set_ttl(self, interface: str, seconds: int, scope: Scope = "ncb") -> None:
        self.lldptool("-T", "-i", interface, "-g", scope, "-V", "TTL", f"value={seconds}")

    def set_admin_status(
        self, interface: str, status: Literal["rxtx", "rx", "tx", "disabled"], scope: Scope = "ncb"
    ) -> None:
        self.lldptool("-L", "-i", interface, "-g", scope, f"adminStatus={status}")

    def local_lldpdu(self, interface: str, scope: Scope = "ncb") -> bytes:
        """The TLVs lldpad sends, as on the wire (padding included); empty before it has built the first LLDPDU."""
        return self._raw_tlvs(interface, scope, "-t")

    def neighbor_lldpdu(self, interface: str, scope: Scope = "ncb") -> bytes:
        """The TLVs of the neighbour's last LLDPDU; empty when it knows no neighbour."""
        return self._raw_tlvs(interface, scope, "-t", "-n")

    def statistics(self, interface: str, scope: Scope = "ncb") -> dict[str, int]:
        """lldptool -S: its counters by their titles ("Total Frames Transmitted": 3, ...)."""
        counters = {}
        for line in self.lldptool("-S", "-i", interface, "-g", scope).splitlines():
            title, separator, value = line.partition("=")
            if separator:
                counters[title.strip()] = int(value)
        return counters

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"lldpad ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
        ping = self.namespace.run(["lldptool", "-p"], check=False)
        if ping.stdout.strip() != str(self.process.pid):
            return False
        queries = (["lldptool", "-l", "-i", interface, "-g", "ncb", "adminStatus"] for interface in self.interfaces)
        return all(self.namespace.run(query, check=False).returncode == 0 for query in queries)

    def _signal(self, number: int) -> int:
        assert self.process is not None, "lldpad is not running"
        self.process.send_signal(number)
        status = self.process.wait(10)
        self.process = None
        return status

    def _raw_tlvs(self, interface: str, scope: Scope, *words: str) -> bytes:
        # -R prints the answer of the control socket as it came: R00C301........<length><name>0000007f<TLVs in hex>.
        answer = self.lldptool("-R", *words, "-i", interface, "-g", scope).strip()
        head = f"{len(interface):02x}{interface}0000007f"
        _, found, tlvs = answer.partition(head)
        assert found, f"lldptool answered {answer!r}"
        return bytes.fromhex(tlvs.split()[0]) if tlvs.split() else b""


def lldpad_tool(namespace: Namespace, command: Sequence[str]) -> str:
    """What lldptool or vdptool printed; RuntimeError when it refused.

    lldpad listens to nobody for a second now and then, on a busy machine for longer, and its tools give up on it then:
    they are asked again.
    """

    def answered() -> subprocess.CompletedProcess[str] | None:
        done = namespace.run(command, check=False)
        return None if "command timed out" in done.stdout + done.stderr else done

    done = wait_until(answered, f"lldpad answers {shlex.join(command)}", 20)
    assert done is not None
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: exit status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Lldpd:
    """One lldpd in a namespace, controlled by lldpcli over a socket in the namespace's private /run.

    lldpd puts its unprivileged half under another user id, which a user namespace with a single id cannot do: there the
    three system calls are made to succeed without effect (tests/support/keep_ids.py). Debian's lldpcli may only be run
    (and read) by root and the group adm; for any other user lldpd stays paused for want of it, so the test is skipped.
    It needs /run/lldpd as its chroot, which is made in the private /run. Its first LLDPDU is sent at once, the next
    after 30 s: `cli("update")` makes it send now, `cli("configure", "lldp", "tx-interval", "1")` every second.
    """

    def __init__(
        self, namespace: Namespace, directory: Path, interfaces: Sequence[str], options: Sequence[str] = ()
    ) -> None:
        require_peer("lldpd", "lldpcli")
        self.namespace = namespace
        self.log = directory / f"lldpd-{namespace.name}.log"
        self.interfaces = tuple(interfaces)
        self.options = tuple(options)
        self.process: subprocess.Popen[Any] | None = None
        lldpcli = find_program("lldpcli")
        if lldpcli is None or not os.access(lldpcli, os.X_OK):
            impossible(f"{lldpcli} may not be run by this user: run the test as root or as a member of the group adm")

    def __enter__(self) -> "Lldpd":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process is not None:
            end(self.process)

    def start(self, timeout: float = 20.0) -> None:
        """Start it, and return when it has all its interfaces."""
        names = ",".join(self.interfaces)
        self.namespace.run("mkdir -p /run/lldpd")
        command = [*_keep_ids("_lldpd"), "lldpd", "-d", "-u", _LLDPD_SOCKET, "-I", names, "-C", names, *self.options]
        with self.log.open("a") as log:
            self.process = self.namespace.popen(command, stdout=log, stderr=subprocess.STDOUT)
        wait_until(self._answers, f"lldpd answers for {names}", timeout)

    def stop(self) -> int:
        """SIGTERM: a shutdown LLDPDU on each interface; returns the exit status."""
        return self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the privileged half; the other half ends when their pipe breaks. Neighbours hear nothing."""
        self._signal(signal.SIGKILL)

    def cli(self, *words: str) -> str:
        """What one lldpcli command printed."""
        return self.namespace.run(["lldpcli", "-u", _LLDPD_SOCKET, *words]).stdout

    def neighbors(self, interface: str) -> list[dict[str, Any]]:
        """What lldpd knows about the neighbours on an interface: lldpcli's JSON (json0, whose shape is regular)."""
        answer = json.loads(self.cli("-f", "json0", "show", "neighbors", "details"))
        entries: list[dict[str, Any]] = []
        for top in answer.get("lldp", []):
            entries += [entry for entry in top.get("interface", []) if entry.get("name") == interface]
        return entries

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"lldpd ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
        command = ["lldpcli", "-u", _LLDPD_SOCKET, "-f", "keyvalue", "show", "interfaces"]
        shown = self.namespace.run(command, check=False)
        return shown.returncode == 0 and all(f"lldp.{name}." in shown.stdout for name in self.interfaces)

    def _signal(self, number: int) -> int:
        assert self.process is not None, "lldpd is not running"
        self.process.send_signal(number)
        status = self.process.wait(10)
        self.process = None
        return status


class Tcpdump:
    """A capture of one interface to a file; a context manager, or start() and stop()."""

    def __init__(self, namespace: Namespace, interface: str, file: Path, expression: str = "") -> None:
        """`file` should end in .pcap: tcpdump may be confined to such names."""
        require_peer("tcpdump")
        self.namespace = namespace
        self.interface = interface
        self.file = file
        self.expression = expression
        self._process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> "Tcpdump":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it captures."""
        options = ["-i", self.interface, "-s", "0", "-U", "--immediate-mode", "-Z", "root", "-w", str(self.file)]
        self._process = self.namespace.popen(
            [*_keep_ids("root"), "tcpdump", *options, *self.expression.split()], stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        heard = ""
        while "listening on" not in heard:
            line = self._process.stderr.readline()
            if not line:
                raise RuntimeError(f"tcpdump: {heard}")
            heard += line

    def stop(self) -> None:
        """The file is complete afterwards."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.communicate(timeout=10)
            self._process = None


def tshark(file: Path, *, show: str = "", options: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The frames of a capture as tshark describes them: the layers of each in its JSON; `show` is a display filter."""
    require_peer("tshark")
    command = ["tshark", "-r", str(file), "-T", "json", "--no-duplicate-keys", *options]
    done = subprocess.run(
        [*command, *(["-Y", show] if show else [])],
        capture_output=True,
        check=False,
        timeout=60,
        env=os.environ | {"PATH": search_path(), "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise RuntimeError(f"tshark: {done.stderr.decode(errors='replace')}")
    frames = json.loads(done.stdout.decode(errors="replace") or "[]")
    return [frame["_source"]["layers"] for frame in frames]


_LLDPD_SOCKET = "/run/lldpd.socket"
_GROUPS: Mapping[Scope, str] = {
    "nb": "lldp",
    "nntpmrb": "nearest_nontpmr_bridge",
    "ncb": "nearest_customer_bridge",
}
_ADMIN_RXTX = 3


def _lldpad_config(ports: Mapping[str, LldpadPort]) -> str:
    text = ""
    for scope, group in _GROUPS.items():
        text += _group(group, "".join(_group(name, _port(port, scope)) for name, port in ports.items()))
    return text


def _port(port: LldpadPort, scope: Scope) -> str:
    text = _settings(adminStatus=_ADMIN_RXTX if scope in port.scopes else 0)
    if port.ttl is not None:
        text += _group("tlvid00000003", _settings(value=port.ttl))
    if scope == "ncb" and port.evb is not None:
        text += port.evb.config()
    if scope == "nb":
        text += "".join(_group(f"tlvid{kind:08x}", _settings(enableTx=True)) for kind in sorted(port.tlvs))
    return text


def _group(name: str, text: str) -> str:
    return f"{name} : {{ {text} }};\n"


def _settings(**values: bool | int | str) -> str:
    return "".join(f"{name} = {json.dumps(value)}; " for name, value in values.items())


def _keep_ids(user: str) -> list[str]:
    """What goes before a command that becomes another user or sets its groups, where the user namespace forbids it."""
    number = pwd.getpwnam(user).pw_uid
    ranges = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    mapped = any(first <= number < first + count for first, _, count in ranges)
    if mapped and Path("/proc/self/setgroups").read_text().strip() == "allow":
        return []
    return [sys.executable, str(Path(__file__).with_name("keep_ids.py"))]
