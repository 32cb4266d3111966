"""Other network namespaces: a guest's device that was moved into one can only be changed from inside it."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

from evbagent.netlink import RouteSocket

CLONE_NEWNET = 0x40000000
MOUNTS = Path("/proc/self/mountinfo")
PROCESSES = Path("/proc")


class NamespaceError(Exception):
    """A namespace cannot be found or entered; the text says why."""


class NamespaceFinder:
    """Finds namespaces by the ids that the kernel uses for them in the namespace of whoever makes this object.

    Nothing is kept open: a descriptor or a socket would keep a dead guest's namespace alive. Only where a namespace was
    found is remembered, and the kernel is asked again whether that path still is the namespace of that id.
    """

    def __init__(self) -> None:
        self._paths: dict[int, Path] = {}

    def in_namespace(self, nsid: int) -> int:
        """A descriptor of the namespace, which the caller closes. NamespaceError when no path to it can be found."""
        with RouteSocket() as route:
            for path in self._candidates(nsid):
                descriptor = _open_if(path, nsid, route)
                if descriptor is not None:
                    self._paths[nsid] = path
                    return descriptor
        self._paths.pop(nsid, None)
        raise NamespaceError(
            f"network namespace {nsid} not found: no process that can be looked at and no mounted file is in it"
        )

    def route_socket(self, nsid: int) -> RouteSocket:
        """A socket inside the namespace, which the caller closes soon. NamespaceError when that cannot be had."""
        descriptor = self.in_namespace(nsid)
        try:
            return _route_socket_in(descriptor, nsid)
        finally:
            os.close(descriptor)

    def _candidates(self, nsid: int) -> Iterator[Path]:
        """Where the namespace was last, then every namespace of a mounted file or of a process, each once."""
        if (known := self._paths.get(nsid)) is not None:
            yield known
        seen: set[int] = set()
        for inode, path in _mounted_namespaces():
            if inode not in seen:
                seen.add(inode)
                yield path
        for process in PROCESSES.iterdir():
            if process.name.isdecimal():
                path = process / "ns" / "net"
                try:
                    inode = path.stat().st_ino
                except OSError:
                    continue
                if inode not in seen:
                    seen.add(inode)
                    yield path


def in_namespace(nsid: int) -> int:
    """See `NamespaceFinder.in_namespace`."""
    return NamespaceFinder().in_namespace(nsid)


def route_socket(nsid: int) -> RouteSocket:
    """See `NamespaceFinder.route_socket`."""
    return NamespaceFinder().route_socket(nsid)


def _mounted_namespaces() -> Iterator[tuple[int, Path]]:
    """(inode, path) of the network namespaces that are mounted: under /run/netns by `ip netns`, elsewhere by others."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        root, mount_point = line.split(" ")[3:5]
        if root.startswith("net:[") and root.endswith("]"):
            octets = os.fsencode(mount_point).decode("unicode_escape").encode("latin-1")
            yield int(root[5:-1]), Path(os.fsdecode(octets))


def _open_if(path: Path, nsid: int, route: RouteSocket) -> int | None:
    """A descriptor of the namespace at `path` when it is the one with this id."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if route.namespace_id(descriptor) == nsid:
            return descriptor
    except OSError:
        pass  # not a network namespace (any more)
    os.close(descriptor)
    return None


def _route_socket_in(descriptor: int, nsid: int) -> RouteSocket:
    """A socket belongs to the namespace of the thread that opens it, for good: a thread made for that goes there."""
    opened: list[RouteSocket] = []
    failed: list[OSError] = []

    def enter_and_open() -> None:
        try:
            _setns(descriptor)
            opened.append(RouteSocket())
        except OSError as error:
            failed.append(error)

    thread = Thread(target=enter_and_open, name=f"netns-{nsid}")
    thread.start()
    thread.join()
    if failed:
        needed = ": that needs CAP_SYS_ADMIN" if isinstance(failed[0], PermissionError) else ""
        raise NamespaceError(f"cannot enter network namespace {nsid}: {failed[0].strerror}{needed}") from failed[0]
    return opened[0]


def _setns(descriptor: int) -> None:
    """Moves the calling thread into a network namespace (`os.setns` exists from Python 3.12 on)."""
    import ctypes  # only here, as it would delay the agent's start

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
