"""A wire between two TAP devices. libvirt walks from a macvtap down to the last device, and a veth has no end.

As a program: tapwire.py DEVICE NETWORK_NAMESPACE DEVICE.
"""

import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.agent import ROOT
from tests.support.namespaces import Namespace, end, wait_until
from tests.support.require import impossible

TUN = Path("/dev/net/tun")
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
CLONE_NEWNET = 0x40000000
LONGEST = 65536


class TapWire:
    """From `left` in one namespace to `right` in another, both up; a context manager. `cut` removes them."""

    def __init__(self, left_namespace: Namespace, left: str, right_namespace: Namespace, right: str) -> None:
        if not os.access(TUN, os.R_OK | os.W_OK):
            impossible(f"{TUN} cannot be opened")
        words = [sys.executable, "-m", "tests.support.tapwire", left, right_namespace.network, right]
        self._process: subprocess.Popen[Any] = left_namespace.popen(words, cwd=ROOT)
        for namespace, name in ((left_namespace, left), (right_namespace, right)):
            _wait_for(namespace, name)
            namespace.run(["ip", "link", "set", name, "up"])

    def __enter__(self) -> "TapWire":
        return self

    def __exit__(self, *exception: object) -> None:
        self.cut()

    def cut(self) -> None:
        end(self._process)


def _wait_for(namespace: Namespace, name: str) -> None:
    show = ["ip", "link", "show", name]
    wait_until(lambda: namespace.run(show, check=False).returncode == 0, f"{name} is there")


def main(left: str, network: str, right: str) -> None:
    here = _tap(left)
    namespace = os.open(network, os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET):
        sys.exit(f"{network}: {os.strerror(ctypes.get_errno())}")
    there = _tap(right)
    other_end = {here: there, there: here}
    while True:
        for descriptor in select.select([here, there], [], [])[0]:
            with suppress(OSError):  # EIO while the other end is down: the frame is lost
                os.write(other_end[descriptor], os.read(descriptor, LONGEST))


def _tap(name: str) -> int:
    descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


if __name__ == "__main__":
    main(*sys.argv[1:])
