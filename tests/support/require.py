"""What a system test needs of the machine: when it is missing, a skip with its reason; where CI=true, a failure."""

import os
from typing import NoReturn

import pytest

from tests.support.namespaces import Namespace, find_program

# Debian and Ubuntu package of each program that is not named like its package.
_PACKAGES = {
    "lldptool": "lldpad",
    "vdptool": "lldpad",
    "dcbtool": "lldpad",
    "lldpcli": "lldpd",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "systemctl": "systemd",
    "systemd-analyze": "systemd",
    "systemd-sysusers": "systemd",
    "apparmor_parser": "apparmor",
    "virsh": "libvirt-clients",
    "virt-xml-validate": "libvirt-clients",
    "libvirtd": "libvirt-daemon-system",
    "virtlogd": "libvirt-daemon-system",
    "qemu-system-x86_64": "qemu-system-x86",
    "xmllint": "libxml2-utils",
}


def require_peer(*programs: str) -> None:
    """Go on only when all these programs are installed."""
    missing = [program for program in programs if find_program(program) is None]
    if missing:
        packages = sorted({_PACKAGES.get(program, program) for program in missing})
        unmet(f"{', '.join(missing)} not installed: run `make peers` as root, or install {' '.join(packages)}")


def require_link_kind(namespace: Namespace, kind: str) -> None:
    """Go on only when the running kernel has this kind of link ("vlan", "macvtap", "vrf", ...)."""
    tried = namespace.run(["ip", "link", "add", "name", "probe0", "type", kind], check=False)
    if tried.returncode == 0:
        namespace.ip("link delete probe0")
    if "Unknown device type" in tried.stderr:
        impossible(f"this kernel has no links of kind {kind}")


def impossible(reason: str) -> NoReturn:
    """End this test for want of what no set-up could bring (a feature of the kernel, a right): a skip everywhere."""
    pytest.skip(reason)


def unmet(reason: str) -> NoReturn:
    """End this test for want of something the machine should have: a failure in CI, else a skip."""
    if os.environ.get("CI", "").lower() in ("true", "1", "yes"):
        pytest.fail(f"missing, and CI is set: {reason}", pytrace=False)
    pytest.skip(reason)
