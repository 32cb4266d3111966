"""The `[libvirt]` table: whether the agent serves libvirt's 802.1Qbg backend, in lldpad's place."""

from typing import Annotated

from msgspec import Meta

from evbagent.tables import Table

# libvirt has this path compiled in; reading it through the symbolic link /var/run is as well.
PID_FILE = "/var/run/lldpad.pid"


class LibvirtConfig(Table, frozen=True):
    """`pid_file`: where libvirt looks up whom to ask. lldpad's own, unless libvirt was built with another."""

    enabled: bool = False
    pid_file: Annotated[str, Meta(pattern="^/", max_length=4095)] = PID_FILE
