"""The service manager's notification socket (sd_notify(3)): a few octets to $NOTIFY_SOCKET, or nothing."""

import os
from collections.abc import Sequence
from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, socket

NAMES_SHOWN = 8


def notify(state: str) -> None:
    """Tell the service manager, if there is one; it being gone is no error of ours."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC) as manager:
        try:
            manager.sendto(state.encode(), address)
        except OSError:
            return


def ready(uplinks: Sequence[str], observes: bool) -> str:
    """That the agent serves these uplinks now, for the manager and for `systemctl status`."""
    count = f"{len(uplinks)} uplink{'' if len(uplinks) == 1 else 's'}"
    names = ", ".join(uplinks[:NAMES_SHOWN]) + (", ..." if len(uplinks) > NAMES_SHOWN else "")
    return f"READY=1\nSTATUS={'only observing' if observes else 'serving'} {count}{': ' if names else ''}{names}"
