"""The real libvirtd in a Namespace, with its directories to itself, as its users drive it: by virsh."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace, end, wait_until
from tests.support.require import impossible, require_link_kind, require_peer

ROOT = Path(__file__).parents[2]
CONNECTION = ("virsh", "-c", "qemu:///system")

# QEMU runs as root, without groups, labels and a private /dev: none of them is the test's subject, nor to be had here.
_QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""

_OWN_DIRECTORIES = """
set -e
for directory in /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/libvirt; do
    mkdir -p $directory /run/copied
    cp -a $directory/. /run/copied/
    mount -t tmpfs -o mode=755 tmpfs $directory
    cp -a /run/copied/. $directory/
    rm -rf /run/copied
done
cat >>/etc/libvirt/qemu.conf
"""


# libvirtd leaves its guests behind when it ends: they end with their pid namespace.
_KEEPER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-m", "tests.support.keeper")


class Libvirtd:
    """libvirtd and virtlogd; a context manager. `etc` is its /etc/libvirt as seen from outside the namespace.

    macvtap devices of guests get numbers of /dev/tapN that differ from run to run: /dev is the whole machine's, and a
    node that another namespace's device of the same index has left there would be taken for the guest's.
    """

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        require_peer("virsh", "libvirtd", "virtlogd", "qemu-system-x86_64")
        if maps_one_user():
            impossible("libvirtd opens /dev/tapN, which takes the machine's root")
        require_link_kind(namespace, "macvtap")
        self.namespace = namespace
        self.etc = namespace.root / "etc/libvirt"
        self.log = directory / f"libvirtd-{namespace.name}.log"
        self._keeper: subprocess.Popen[Any] | None = None
        namespace.run(["sh", "-c", _OWN_DIRECTORIES], input=_QEMU_CONF)
        pairs = range(10 + os.getpid() % 50)
        namespace.run("ip -batch -", input="".join(f"link add type veth peer name spare{pair}\n" for pair in pairs))

    def __enter__(self) -> "Libvirtd":
        with self.log.open("a") as log:
            self._keeper = self.namespace.popen(
                _KEEPER, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT
            )
        self._keep("virtlogd -p /run/virtlogd.pid")
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._keeper is not None:
            end(self._keeper)

    def start(self, timeout: float = 20.0) -> None:
        """Start libvirtd, and return when it answers; its first start looks at QEMU for some seconds."""
        self._keep(f"{sys.executable} -m tests.support.lowport libvirtd -p /run/libvirtd.pid")
        wait_until(self._answers, "libvirtd answers", timeout, 0.02)

    def kill(self) -> None:
        """End libvirtd; its guests go on."""
        self._keep("kill -9 $(cat /run/libvirtd.pid)")
        wait_until(lambda: not self._answers(), "libvirtd is gone")

    def virsh(self, *words: str, check: bool = True, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command; RuntimeError with virsh's words if it fails, unless `check` is off."""
        return self.namespace.run([*CONNECTION, *words], check=check, input=input)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """One command that is not waited for."""
        return self.namespace.popen([*CONNECTION, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def guests(self) -> list[str]:
        """The names of those that run."""
        done = self.virsh("list", "--name", check=False)
        return done.stdout.split() if done.returncode == 0 else []

    def _answers(self) -> bool:
        return self.virsh("list", check=False).returncode == 0

    def _keep(self, words: str) -> None:
        assert self._keeper is not None and self._keeper.stdin is not None
        self._keeper.stdin.write(f"{words}\n")
        self._keeper.stdin.flush()


def maps_one_user() -> bool:
    """Whether this process is root of a user namespace only."""
    return Path("/proc/self/uid_map").read_text().split()[2] == "1"
