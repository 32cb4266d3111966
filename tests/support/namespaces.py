"""Private network namespaces for system tests: the same code as root and, inside a user namespace, without privileges.

How it works: `leave_host()` first takes the test process itself out of the host's network (and, when it is not root,
into a user namespace where it is). Each `Namespace` is then a holder process with network, mount, IPC and UTS
namespaces of its own; commands join them by nsenter, Python code by setns. Every process made here is killed by the
kernel (PR_SET_PDEATHSIG) when the thread that started it ends, so that nothing survives a killed test run (but for a
command that was not yet executing when its parent was killed: the first milliseconds).
"""

import ctypes
import json
import os
import shlex
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


class NamespacesUnavailable(Exception):
    """This machine does not let us make namespaces; the text says why."""


def leave_host() -> None:
    """Move this process out of the host's network, mounts and IPC; when not root, into a user namespace as its root.

    To be called once, before any thread is started (the kernel refuses a user namespace to a process with threads).
    Raises NamespacesUnavailable; the process is then where it was.
    """
    flags = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC
    missing = [name for name in ("unshare", "nsenter", "setpriv", "mount", "ip") if find_program(name) is None]
    if missing:
        raise NamespacesUnavailable(f"{', '.join(missing)} not found: install util-linux, mount and iproute2")
    user, group = os.geteuid(), os.getegid()
    _probe(as_root=user == 0)
    if user != 0:
        flags |= CLONE_NEWUSER
    _check(_LIBC.unshare(flags), "unshare")
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    # A mount made in here must not travel to the host, whatever the propagation of its root was.
    _check(_LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate /")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, env=_environment(None))


def find_program(name: str) -> str | None:
    """The path of a program, which this user need not be allowed to run; looks into the sbin directories too."""
    return shutil.which(name, mode=os.F_OK, path=search_path())


def search_path() -> str:
    return os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


def wait_until(holds: Callable[[], T], what: str, timeout: float = 10.0, interval: float = 0.01) -> T:
    """Ask `holds` until its answer is true and return it; AssertionError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = holds()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(interval)


class Namespace:
    """One private machine: network, mounts (tmpfs on /run, /dev/shm, /var/lib/lldpad; own /sys), IPC and host name.

    A context manager; `close()` ends every process that was started in it. IPv6 is off unless asked for, so that links
    carry only what a test puts on them. All other directories are the host's.
    """

    def __init__(self, name: str = "test", *, ipv6: bool = False) -> None:
        self.name = name
        self._processes: list[subprocess.Popen[Any]] = []
        self._holder = subprocess.Popen(
            [*_UNSHARE, *_DIE_WITH_PARENT, "sh", "-c", _HOLDER, "sh", name, "0" if ipv6 else "1"],
            env=os.environ | {"PATH": search_path()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._holder.pid
        if _pipe(self._holder.stdout).readline() != "ready\n":
            _, errors = self._holder.communicate()
            raise NamespacesUnavailable(f"cannot set up a network namespace: {errors.strip()}")
        self._network = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything in here; safe to call twice."""
        for process in reversed(self._processes):
            end(process)
        self._processes.clear()
        if self._network >= 0:
            os.close(self._network)
            self._network = -1
        end(self._holder)

    @property
    def network(self) -> str:
        """A path of the network namespace, for setns and `ip netns attach`."""
        return f"/proc/{self.pid}/ns/net"

    @property
    def root(self) -> Path:
        """The file system as seen in here: `ns.root / "run/lldpad.pid"` (its mounts are not seen from outside)."""
        return Path(f"/proc/{self.pid}/root")

    def run(
        self,
        command: Sequence[str] | str,
        *,
        check: bool = True,
        timeout: float = 30.0,
        input: str | None = None,
        env: dict[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command (a string is split like a shell does) to its end; RuntimeError with its words if it fails."""
        done = subprocess.run(
            self._joined(command, cwd),
            stdin=subprocess.DEVNULL if input is None else None,
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=_environment(env),
        )
        if check and done.returncode != 0:
            words = command if isinstance(command, str) else shlex.join(command)
            raise RuntimeError(f"{self.name}: {words}: exit status {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def popen(
        self,
        command: Sequence[str] | str,
        *,
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        text: bool = True,
        env: dict[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> "subprocess.Popen[Any]":
        """Start a command in here. `.pid` is its own; it dies with the thread that calls this, or at close()."""
        process = subprocess.Popen(
            self._joined(command, cwd), stdin=stdin, stdout=stdout, stderr=stderr, text=text, env=_environment(env)
        )
        self._processes.append(process)
        return process

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread that has joined the network namespace; sockets it opens stay in here."""
        future: Future[T] = Future()

        def joined() -> None:
            try:
                setns(self._network, CLONE_NEWNET)
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        thread = Thread(target=joined, name=f"in-{self.name}")
        thread.start()
        thread.join()
        return future.result()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread itself is in this network namespace while the block runs; its mounts stay as they are."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self._network, CLONE_NEWNET)
            try:
                yield
            finally:
                setns(before, CLONE_NEWNET)
        finally:
            os.close(before)

    def ip(self, *words: str) -> str:
        """`ns.ip("link set eth0 up")` or word by word; returns what ip printed."""
        return self.run(["ip", *shlex.split(" ".join(words))]).stdout

    def ip_json(self, *words: str) -> Any:
        return json.loads(self.ip("-details -json", *words) or "[]")

    def link(self, name: str) -> dict[str, Any]:
        """What `ip -d -j link show` says about one link."""
        found = self.ip_json("link show dev", name)
        assert isinstance(found, list)
        return dict(found[0])

    def mac_address(self, name: str) -> bytes:
        return bytes.fromhex(self.link(name)["address"].replace(":", ""))

    def interface_index(self, name: str) -> int:
        return int(self.link(name)["ifindex"])

    def bridge(self, name: str, ports: Sequence[str] = (), options: str = "") -> None:
        """A Linux bridge over the ports, all up. `options` are words for `ip link add ... type bridge`."""
        self.ip("link add", name, "type bridge", options)
        for port in ports:
            self.ip("link set", port, "master", name, "up")
        self.ip("link set", name, "up")

    def _joined(self, command: Sequence[str] | str, cwd: str | os.PathLike[str] | None) -> list[str]:
        words = shlex.split(command) if isinstance(command, str) else list(command)
        spaces = [f"--{kind}=/proc/{self.pid}/ns/{kind_file}" for kind, kind_file in _JOINED_KINDS]
        # Joining a mount namespace moves the process to its root directory: go back to where it was.
        directory = os.fspath(cwd) if cwd is not None else os.getcwd()
        return ["nsenter", *spaces, "env", f"--chdir={directory}", *_DIE_WITH_PARENT, *words]


def link_pair(
    left: Namespace,
    left_name: str,
    right: Namespace,
    right_name: str,
    *,
    left_mac: str | None = None,
    right_mac: str | None = None,
    up: bool = True,
) -> None:
    """A cable: a veth pair with one end in each namespace (which may be the same one)."""
    left.ip(
        f"link add name {left_name} {f'address {left_mac}' if left_mac else ''} type veth "
        f"peer name {right_name} {f'address {right_mac}' if right_mac else ''} netns {right.pid}"
    )
    if up:
        left.ip(f"link set {left_name} up")
        right.ip(f"link set {right_name} up")


def end(process: "subprocess.Popen[Any]", timeout: float = 3.0) -> int:
    """Make a process end (closed stdin, SIGTERM, at last SIGKILL) and close its pipes; returns its exit status."""
    if process.stdin is not None:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
    status = process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return status


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into a namespace (os.setns exists from Python 3.12 on)."""
    _check(_LIBC.setns(descriptor, kind), "setns")


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame as it was on the wire: its VLAN tag, which the kernel takes out, is in its place again."""

    data: bytes
    timestamp_ns: int  # the kernel's, CLOCK_REALTIME
    outgoing: bool

    @property
    def destination(self) -> bytes:
        return self.data[0:6]

    @property
    def source(self) -> bytes:
        return self.data[6:12]

    @property
    def ethertype(self) -> int:
        return int.from_bytes(self.data[12:14], "big")

    @property
    def payload(self) -> bytes:
        return self.data[14:]


class PacketTap:
    """A raw socket on an interface: sees every frame in both directions but its own, and sends what it is given."""

    def __init__(self, namespace: Namespace, interface: str, *, receive_buffer: int = 4 << 20) -> None:
        self.interface = interface
        # Protocol 0 until it is bound: else frames of the namespace's other interfaces get in first.
        self.socket = namespace.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
        except PermissionError:  # SO_RCVBUFFORCE in a user namespace
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((interface, ETH_P_ALL))

    def __enter__(self) -> "PacketTap":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, frame: bytes) -> None:
        """Put a frame on the interface as it is (padded to 60 octets)."""
        self.socket.send(frame.ljust(60, b"\0"))

    def receive(self, timeout: float = 5.0) -> CapturedFrame | None:
        """The next frame, None when none came within `timeout` seconds."""
        self.socket.settimeout(max(timeout, 1e-6))
        try:
            data, ancillary, _, address = self.socket.recvmsg(65536, 512)
        except (TimeoutError, BlockingIOError):
            return None
        return _captured(data, ancillary, outgoing=address[2] == PACKET_OUTGOING)

    def wait_for(self, match: Callable[[CapturedFrame], bool], what: str, timeout: float = 10.0) -> CapturedFrame:
        """The next frame that matches; AssertionError naming `what` and the frames seen instead."""
        deadline = time.monotonic() + timeout
        seen: list[CapturedFrame] = []
        while (left := deadline - time.monotonic()) > 0:
            frame = self.receive(left)
            if frame is None:
                break
            if match(frame):
                return frame
            seen.append(frame)
        heard = "".join(f"\n  {'out' if frame.outgoing else 'in '} {frame.data.hex()}" for frame in seen[-20:])
        raise AssertionError(
            f"not seen on {self.interface} within {timeout:g} s: {what}; {len(seen)} other frames{heard}"
        )

    def drain(self) -> list[CapturedFrame]:
        """Everything received so far."""
        frames: list[CapturedFrame] = []
        while (frame := self.receive(0)) is not None:
            frames.append(frame)
        return frames


ETH_P_ALL = 0x0003
ETH_P_8021Q = 0x8100
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6

_LIBC = ctypes.CDLL(None, use_errno=True)
_UNSHARE = ("unshare", "--net", "--mount", "--ipc", "--uts", "--propagation", "private")
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_JOINED_KINDS = (("net", "net"), ("mount", "mnt"), ("ipc", "ipc"), ("uts", "uts"))

# Waits for the end of its input, which also comes when the test process dies.
_HOLDER = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
if [ -d /var/lib/lldpad ]; then mount -t tmpfs -o mode=755 tmpfs /var/lib/lldpad; fi
# Without a sysfs of its own, /sys/class/net would list the links of the namespace it was mounted in.
mount -t sysfs sysfs /sys 2>/dev/null || :
hostname "$1" 2>/dev/null || :
if [ -e /proc/sys/net/ipv6 ]; then
    for scope in all default; do echo "$2" > /proc/sys/net/ipv6/conf/$scope/disable_ipv6 2>/dev/null || :; done
fi
ip link set lo up
echo ready
exec cat
"""


def _probe(*, as_root: bool) -> None:
    """Try in a child what leave_host() will do: a half done unshare cannot be taken back."""
    user = [] if as_root else ["--user", "--map-root-user"]
    command = [
        "unshare",
        *user,
        "--net",
        "--mount",
        "--ipc",
        "sh",
        "-c",
        "mount -t tmpfs tmpfs /run && ip link set lo up",
    ]
    tried = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": search_path()})
    if tried.returncode == 0:
        return
    reason = tried.stderr.strip() or f"exit status {tried.returncode}"
    for setting in ("kernel/apparmor_restrict_unprivileged_userns", "kernel/unprivileged_userns_clone"):
        try:
            reason += f"; {setting.replace('/', '.')} = {Path('/proc/sys', setting).read_text().strip()}"
        except OSError:
            continue
    who = "root" if as_root else "an ordinary user"
    raise NamespacesUnavailable(f"{who} cannot make network namespaces here ({reason})")


def _captured(data: bytes, ancillary: list[tuple[int, int, bytes]], *, outgoing: bool) -> CapturedFrame:
    timestamp = 0
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("ll", value[:16])
            timestamp = seconds * 1_000_000_000 + nanoseconds
        elif level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tag, protocol = struct.unpack("IIIHHHH", value[:20])
            if status & TP_STATUS_VLAN_VALID:
                tpid = protocol if status & TP_STATUS_VLAN_TPID_VALID else ETH_P_8021Q
                data = data[:12] + struct.pack("!HH", tpid, tag) + data[12:]
    return CapturedFrame(data, timestamp, outgoing)


def _environment(extra: dict[str, str] | None) -> dict[str, str]:
    return os.environ | {"PATH": search_path()} | (extra or {})


def _pipe(stream: IO[Any] | None) -> IO[Any]:
    assert stream is not None
    return stream


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
