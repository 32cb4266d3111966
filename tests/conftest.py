"""Options and fixtures of all tests. System tests run outside the host's network, as root or in a user namespace."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.namespaces import Namespace, NamespacesUnavailable, leave_host
from tests.support.require import unmet
from tests.support.rig import Cable, make_cable

SYSTEM_TESTS = Path(__file__).parent / "system"
QUICK = "not (slow or system)"
_NO_NAMESPACES = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """`pytest` alone is quick: a taste of what Hypothesis thinks of. All of it with what is slow."""
    settings.register_profile("quick", deadline=None, max_examples=20)
    settings.register_profile("thorough", deadline=None, max_examples=200)
    settings.load_profile("quick" if config.option.markexpr == QUICK else "thorough")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Of `-n auto`, the default: one for each CPU; none when tests or files were named, which are over before that.

    System tests mostly wait, so that there may be more of them at a time.
    """
    if any("::" in name or Path(name).is_file() for name in config.args):
        return 0
    cpus = len(os.sched_getaffinity(0))
    return 2 * cpus if config.option.markexpr == "system" else cpus if cpus > 1 else 0


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """The workers are born outside of the host: they have threads, which the kernel gives no user namespace to."""
    if _wants_system_tests(config):
        _leave_host(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """System tests are not even read when none is to be run: that would be a fifth of the time that reading takes."""
    return True if collection_path == SYSTEM_TESTS and not _wants_system_tests(config) else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave the host while this process has one thread, and only if a system test was selected."""
    if session.config.option.collectonly or not any(item.get_closest_marker("system") for item in session.items):
        return
    _leave_host(session.config)


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = item.config.stash.get(_NO_NAMESPACES, None)
    if reason is not None and item.get_closest_marker("system"):
        unmet(reason)


def _wants_system_tests(config: pytest.Config) -> bool:
    return config.option.markexpr not in (QUICK, "not system", "slow")


def _leave_host(config: pytest.Config) -> None:
    try:
        leave_host()
    except (NamespacesUnavailable, OSError) as error:
        config.stash[_NO_NAMESPACES] = str(error)


@pytest.fixture
def make_namespace() -> Iterator[Callable[..., Namespace]]:
    """`make_namespace("host", ipv6=False)`: as many as asked for, all gone after the test."""
    made: list[Namespace] = []

    def make(name: str = "test", *, ipv6: bool = False) -> Namespace:
        made.append(Namespace(name, ipv6=ipv6))
        return made[-1]

    yield make
    for namespace in reversed(made):
        namespace.close()


@pytest.fixture
def namespace(make_namespace: Callable[..., Namespace]) -> Namespace:
    return make_namespace()


@pytest.fixture
def cable(make_namespace: Callable[..., Namespace]) -> Cable:
    """A station and a bridge, each in its namespace, joined by a veth pair that is up."""
    return make_cable(make_namespace("station"), make_namespace("bridge"))
