"""Finding other network namespaces and changing what was moved into them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evbagent.netlink import RouteSocket
from evbagent.netns import NamespaceError, NamespaceFinder, in_namespace, route_socket
from tests.support.namespaces import Namespace, wait_until

pytestmark = pytest.mark.system

MakeNamespace = Callable[..., Namespace]


@pytest.fixture
def host(namespace: Namespace) -> Namespace:
    """An uplink up0 with a marked macvtap g0."""
    namespace.ip("link add name up0 type veth peer name sw0")
    namespace.ip("link add name g0 link up0 type macvtap mode vepa")
    return namespace


def move(host: Namespace, guest: Namespace) -> tuple[int, int]:
    """g0 into the guest's namespace; (namespace id, index there)."""
    with host.call(RouteSocket) as route:
        host.ip(f"link set g0 netns {guest.pid}")
        (nsid,) = route.namespace_ids()
        link = route.get_link("g0", nsid=nsid)
        assert link is not None
        return nsid, link.index


def mode(host: Namespace, nsid: int, index: int) -> str | None:
    with host.call(RouteSocket) as route:
        link = route.get_link(index=index, nsid=nsid)
        assert link is not None
        return link.macvlan_mode


def test_a_moved_device_changes_its_mode(host: Namespace, make_namespace: MakeNamespace) -> None:
    nsid, index = move(host, make_namespace("guest"))
    finder = host.call(NamespaceFinder)
    for wanted in ("bridge", "vepa", "private", "vepa"):
        with host.call(finder.route_socket, nsid) as route:
            route.set_macvlan_mode(index, "macvtap", wanted)
        assert mode(host, nsid, index) == wanted
    # Through our own namespace the kernel takes no change: that is why all this is here.
    with host.call(RouteSocket) as route, pytest.raises(OSError):
        route.set_macvlan_mode(index, "macvtap", "bridge")


def test_the_calling_thread_stays_where_it_is(host: Namespace, make_namespace: MakeNamespace) -> None:
    nsid, _ = move(host, make_namespace("guest"))

    def scenario() -> tuple[str, str]:
        before = os.readlink("/proc/thread-self/ns/net")
        with route_socket(nsid) as route:
            assert route.get_link("g0") is not None
        return before, os.readlink("/proc/thread-self/ns/net")

    before, after = host.call(scenario)
    assert before == after


def test_a_descriptor_is_of_the_namespace_that_was_asked_for(host: Namespace, make_namespace: MakeNamespace) -> None:
    guest = make_namespace("guest")
    nsid, _ = move(host, guest)
    descriptor = host.call(in_namespace, nsid)
    try:
        assert os.stat(guest.network).st_ino == os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def test_an_unknown_namespace_is_an_error_that_names_it(host: Namespace) -> None:
    with pytest.raises(NamespaceError, match="network namespace 4711 not found"):
        host.call(route_socket, 4711)


def test_a_dead_guests_namespace_is_not_kept_alive(host: Namespace, make_namespace: MakeNamespace) -> None:
    guest = make_namespace("guest")
    nsid, _ = move(host, guest)
    finder = host.call(NamespaceFinder)
    host.call(finder.route_socket, nsid).close()
    guest.close()
    with host.call(RouteSocket) as route:
        wait_until(lambda: nsid not in route.namespace_ids(), "the namespace ends")
    with pytest.raises(NamespaceError, match="not found"):
        host.call(finder.route_socket, nsid)


def test_an_id_that_is_used_again_is_found_anew(host: Namespace, make_namespace: MakeNamespace) -> None:
    guest = make_namespace("first")
    nsid, _ = move(host, guest)
    finder = host.call(NamespaceFinder)
    host.call(finder.route_socket, nsid).close()
    guest.close()
    with host.call(RouteSocket) as route:
        wait_until(lambda: nsid not in route.namespace_ids(), "the namespace ends")

    host.ip("link add name g0 link up0 type macvtap mode vepa")
    again, index = move(host, make_namespace("second"))
    assert again == nsid
    with host.call(finder.route_socket, again) as route:
        route.set_macvlan_mode(index, "macvtap", "bridge")
    assert mode(host, again, index) == "bridge"


def test_a_namespace_without_processes_is_found_where_it_is_mounted(
    host: Namespace, make_namespace: MakeNamespace, tmp_path: Path
) -> None:
    guest = make_namespace("guest")
    with mounted(guest, tmp_path / "a name with spaces"):
        nsid, index = move(host, guest)
        guest.close()
        with host.call(route_socket, nsid) as route:
            route.set_macvlan_mode(index, "macvtap", "bridge")
        assert mode(host, nsid, index) == "bridge"


@contextmanager
def mounted(namespace: Namespace, path: Path) -> Iterator[None]:
    """What `ip netns attach` does, at a path of our own."""
    path.touch()
    subprocess.run(["mount", "--bind", namespace.network, path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


WITHOUT_PRIVILEGES = """
from evbagent.netns import NamespaceError, route_socket
try:
    route_socket({nsid})
except NamespaceError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("capability", "reason"), [("sys_admin", "that needs CAP_SYS_ADMIN"), ("sys_ptrace", "not found: no process")]
)
def test_what_is_missing_is_said(host: Namespace, make_namespace: MakeNamespace, capability: str, reason: str) -> None:
    nsid, _ = move(host, make_namespace("guest"))
    dropped = ["setpriv", "--bounding-set", f"-{capability}", "--inh-caps", f"-{capability}"]
    done = host.run([*dropped, sys.executable, "-c", WITHOUT_PRIVILEGES.format(nsid=nsid)])
    assert reason in done.stdout
