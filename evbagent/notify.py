"""The service manager's notification socket (sd_notify(3)): a few octets to $NOTIFY_SOCKET, or nothing."""

import os
from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, socket


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
