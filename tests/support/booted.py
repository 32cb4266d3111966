"""A machine that systemd has booted, in namespaces over a copy of this machine's own file system.

systemd is process 1 of fresh namespaces. Its root is an overlay: what it writes is in memory and gone at the end, and
nothing that is enabled on the host is started in it. It takes root, and a cgroup2 hierarchy to make a group in. There
is no udev, no D-Bus and no network but what a test puts into it, and no memory or task limit has any effect.
"""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace, NamespacesUnavailable, end, wait_until
from tests.support.require import impossible, require_peer

SYSTEMD = Path("/lib/systemd/systemd")
HOME = Path("/opt/evbagent")
LIBRARIES = ("evbagent", "protocols", "msgspec", "construct", "pyroute2", "asyncio_dgram", "tqdm")
BOOT_SECONDS = 20.0


class Booted(Namespace):
    """`run`, `popen`, `ip` and the others are of commands and links in the machine; paths are its own."""

    def __init__(self, tree: Path, name: str = "machine") -> None:
        """`tree` is copied over the root before systemd starts."""
        _require_systemd()
        self.name = name
        self._processes: list[subprocess.Popen[Any]] = []
        self._group = _make_group()
        self._log = tree.with_name(f"{tree.name}-console.log")
        with self._log.open("w") as log:
            self._holder = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "bash", "-c", _BOOT, "bash", str(self._group), str(tree)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._network = -1
        try:
            self.pid = wait_until(self._first_process, "the namespaces are made", BOOT_SECONDS, 0.01)
            wait_until(self._is_up, "systemd has started", BOOT_SECONDS, 0.02)
        except (AssertionError, NamespacesUnavailable) as error:
            self.close()
            raise NamespacesUnavailable(
                f"systemd does not boot here: {error}: {self._log.read_text()[-500:]}"
            ) from None
        self._network = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        for process in reversed(self._processes):
            end(process)
        self._processes.clear()
        if self._network >= 0:
            os.close(self._network)
            self._network = -1
        self._holder.kill()  # which takes all of the machine with it
        self._holder.wait()
        for group in sorted(self._group.glob("**/"), reverse=True):
            wait_until(lambda group=group: _rmdir(group), f"nothing is left in {group}", 5)  # type: ignore[misc]

    def systemctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(["systemctl", *words], check=check)

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """`systemctl show`."""
        lines = self.systemctl("show", unit, "-p", ",".join(properties)).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def main_process(self, unit: str) -> int:
        """Its id in the machine; 0 when it does not run."""
        return int(self.show(unit, "MainPID")["MainPID"])

    def file(self, path: str) -> Path:
        """A file of the machine, as seen from outside."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_text(text)

    def log(self, unit: str) -> str:
        """What it has said so far, for people."""
        return self.run(["journalctl", "--no-pager", "-o", "short-precise", "-u", unit], check=False).stdout[-6000:]

    def _first_process(self) -> int | None:
        if self._holder.poll() is not None:
            raise NamespacesUnavailable(f"exit status {self._holder.returncode}")
        holder = self._holder.pid
        children = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/comm").read_text() != "systemd\n":
            return None
        return int(children[0])

    def _is_up(self) -> bool:
        if self._holder.poll() is not None:
            raise NamespacesUnavailable(f"exit status {self._holder.returncode}")
        asked = self.systemctl("is-system-running", check=False)
        return asked.stdout.strip() in ("running", "degraded")

    def _joined(self, command: Sequence[str] | str, cwd: str | os.PathLike[str] | None) -> list[str]:
        spaces = [f"--{kind}" for kind in ("mount", "net", "pid", "ipc", "uts", "cgroup")]
        words = command.split() if isinstance(command, str) else list(command)
        directory = os.fspath(cwd) if cwd is not None else "/"
        environment = ["env", "-i", f"--chdir={directory}", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"]
        return ["nsenter", "--target", str(self.pid), *spaces, *environment, "LANG=C.UTF-8", *words]


def agent_tree(directory: Path) -> Path:
    """A tree with this checkout's agent as if pip had installed it in a virtual environment of its own, at HOME."""
    home = directory / HOME.relative_to("/")
    interpreter = _open_interpreter()
    packages = home / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    for library in LIBRARIES:
        spec = find_spec(library)
        assert spec is not None and spec.submodule_search_locations
        shutil.copytree(spec.submodule_search_locations[0], packages / library, symlinks=True)
    (home / "bin").mkdir()
    (home / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
    (home / "bin/python3").symlink_to(interpreter)
    program = home / "bin/evbagent"
    program.write_text(f"#!{HOME}/bin/python3\nimport sys\nfrom evbagent.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    subprocess.run([sys.executable, "-m", "compileall", "-q", packages], check=True)  # as pip does
    # The services' users may look into it whatever the umask of whoever runs the test.
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    return directory


def _open_interpreter() -> Path:
    """A Python of this version that users without privileges may run."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (Path(sys.base_prefix, "bin", version).resolve(), Path("/usr/bin", version)):
        hidden = any(path.is_relative_to(closed) for closed in ("/root", "/home", "/tmp"))
        if path.exists() and not hidden and all(parent.stat().st_mode & 0o001 for parent in path.parents):
            return path
    impossible(f"there is no {version} that a service could run outside of /root and /home")


def _require_systemd() -> None:
    require_peer("systemctl", "systemd-analyze", "nsenter", "setpriv")
    if os.geteuid() != 0 or Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        impossible("booting systemd takes root, outside of user namespaces")
    if not SYSTEMD.exists():
        impossible(f"there is no {SYSTEMD}")


def _make_group() -> Path:
    """A control group for the machine; groups that a killed test left behind go first."""
    for top in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if (top / "cgroup.procs").exists():
            break
    else:
        impossible("there is no cgroup2 hierarchy")
    for left in top.glob("evbagent-test-*"):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():
            for group in sorted(left.glob("**/"), reverse=True):
                _rmdir(group)
    group = top / f"evbagent-test-{os.getpid()}"
    try:
        group.mkdir(exist_ok=True)
    except OSError as error:
        impossible(f"no control group can be made in {top}: {error.strerror}")
    return group


def _rmdir(group: Path) -> bool:
    try:
        if stat.S_ISDIR(group.lstat().st_mode):
            group.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


# $1: control group, $2: tree. The devices are the host's own, by bind mounts, but for /dev/net/tun.
_BOOT = """
set -e
echo $$ >"$1/cgroup.procs"
exec unshare --mount --net --pid --ipc --uts --cgroup --fork --kill-child --propagation private bash -c '
set -e
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
root=/mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work $root
mount -t proc proc $root/proc
mount -t sysfs sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $root/dev
mkdir $root/dev/pts $root/dev/shm $root/dev/net
for device in null zero full random urandom tty; do
    touch $root/dev/$device
    mount --bind /dev/$device $root/dev/$device
done
mknod $root/dev/net/tun c 10 200 || :
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
ln -s /proc/self/fd $root/dev/fd
for directory in dev/shm run tmp; do mount -t tmpfs -o mode=755 tmpfs $root/$directory; done
chmod 1777 $root/tmp $root/dev/shm
rm -f $root/etc/systemd/system/*.wants/* $root/etc/systemd/system/*evbagent*
rm -rf $root/etc/evbagent $root/usr/local/lib/systemd/system/*evbagent*
cp -a "$1"/. $root/
ip link set lo up
mkdir -p $root/mnt/old
cd $root
pivot_root . mnt/old
umount -l /mnt/old
exec env -i container=evbagent-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \\
    /lib/systemd/systemd --log-target=journal --log-level=notice --show-status=no systemd.unit=basic.target
' bash "$2"
"""
