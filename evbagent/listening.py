"""The sockets in the state directory that clients write to: how they get there, and whether they still are."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from evbagent.messages import check_socket_path
from evbagent.replies import datagram_socket

SEND_BUFFER = 8 << 20
SO_SNDBUFFORCE = 32


class Listener:
    """A socket with a name, for requests, until `close()`."""

    def __init__(self, path: Path, mode: int) -> None:
        """OSError when the path is too long or somebody else's; a dead agent's socket there is replaced."""
        check_socket_path(path)
        _make_way(path)
        self.path = path
        self.socket = datagram_socket()
        try:
            with suppress(PermissionError):
                self.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)
            self.socket.bind(str(path))
            os.chmod(path, mode)
        except BaseException:
            self.socket.close()
            raise
        self._inode = _inode(path)

    @property
    def is_found(self) -> bool:
        """Whether the name still is this socket's. Without it nobody finds the socket any more."""
        return self._inode is not None and self._inode == _inode(self.path)

    def close(self) -> None:
        self.socket.close()
        if self.is_found:
            self.path.unlink(missing_ok=True)


def _make_way(path: Path) -> None:
    """Remove a dead agent's socket. OSError when what is there is alive, or no socket."""
    with suppress(FileNotFoundError), datagram_socket() as probe:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(f"{path} is in the way: it is not a socket")
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise OSError(f"another agent answers at {path}")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
