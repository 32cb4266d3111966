"""Guests of the real libvirt, started where their switch said yes: evbagent in lldpad's place, from end to end.

Real libvirtd and QEMU; one uplink leads to Debian's lldpad in the bridge role, one to an agent of ours, one to nobody.
"""

import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.namespaces import wait_until
from tests.support.qbg import LLDPAD, NOBODY, OURS, REFUSED_TYPE, Host, guest, running
from tests.support.vdpdus import ASSOCIATE, DEASSOCIATE, PREASSOCIATE
from tests.support.vdptool import NOT_REPORTED, LibvirtMessages
from tests.support.vsirig import deassociated, kinds, overheard

pytestmark = pytest.mark.system

SWITCHES = pytest.mark.parametrize("uplink", [LLDPAD, OURS])
FAILURE = "sending of PortProfileRequest failed"
RESPONSE = "error during virtual port configuration"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One for all tests: libvirtd and lldpad take longer to start than most tests."""
    with running(tmp_path_factory.mktemp("qbg")) as host:
        yield host


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    yield machine
    machine.clear()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Of guests that no switch has heard of: lldpad keeps a VSI until its time is over."""
    return count(1)


@SWITCHES
def test_the_life_of_a_guest(host: Host, numbers: Iterator[int], uplink: str) -> None:
    one = guest(next(numbers), uplink)
    with overheard(host.namespace, uplink) as wire:
        assert host.create(one) == [""]
        host.wait_for(one, "associated")
        (asked, *_), (answered, *_) = wire.said()
        assert kinds([asked, answered]) == ["associate"] * 2 and asked.uuid == answered.uuid == one.uuid
        assert (asked.manager, asked.type_id, asked.entries) == (one.vsi().manager, 7, one.vsi().entries)
        assert (answered.is_response, answered.code) == (True, 0)
        told = len(host.told())
        assert host.seconds_until_back(one) < 1
        assert host.seconds_until_back(one) < 1
        assert len(host.told()) == told + 2, "lldpad tells libvirt of the first one only"
        host.destroy(one)
        host.wait_for(one, None)
        assert deassociated(wire.said()[0]) == [one.uuid]
        assert len(host.told()) == told + 2, "libvirt has asked for it"
    assert host.macvtaps() == 0


@SWITCHES
def test_the_agent_is_killed_under_a_guest(host: Host, numbers: Iterator[int], uplink: str) -> None:
    one = guest(next(numbers), uplink)
    assert host.create(one) == [""]
    host.agent.kill()
    host.agent.start()
    begun = time.monotonic()
    host.wait_for(one, "associated")
    assert time.monotonic() - begun < 5
    told = len(host.told())
    assert host.seconds_until_back(one) < 1
    assert len(host.told()) == told + 1
    host.destroy(one)
    host.wait_for(one, None)


@SWITCHES
def test_libvirtd_is_killed_under_a_guest(host: Host, numbers: Iterator[int], uplink: str) -> None:
    one = guest(next(numbers), uplink)
    assert host.create(one) == [""]
    host.seconds_until_back(one)
    former = host.told()[-1]
    host.libvirt.kill()
    assert host.seconds_until_back(one) < 1, "without libvirt's help"
    host.libvirt.start()
    assert one.name in host.libvirt.guests()

    def learned() -> bool:
        host.seconds_until_back(one)
        return host.told()[-1] != former

    wait_until(learned, "the new libvirtd is told", 10, 0.5)
    host.destroy(one)
    host.wait_for(one, None)


def test_a_refusal(host: Host, numbers: Iterator[int]) -> None:
    one = guest(next(numbers), OURS, REFUSED_TYPE)
    [complaint] = host.create(one)
    assert FAILURE in complaint or "Invalid argument" in complaint, complaint
    assert host.macvtaps() == 0
    host.wait_for(one, None)
    assert "error 2 during port-profile setlink" in host.libvirt.log.read_text()


def test_no_switch_at_all(host: Host, numbers: Iterator[int]) -> None:
    one = guest(next(numbers), NOBODY)
    begun = time.monotonic()
    [complaint] = host.create(one)
    assert complaint
    assert time.monotonic() - begun < 9, "libvirt itself would wait for 10 s"
    assert host.macvtaps() == 0
    host.wait_for(one, None)


@SWITCHES
def test_two_guests_at_once(host: Host, numbers: Iterator[int], uplink: str) -> None:
    guests = [guest(next(numbers), uplink), guest(next(numbers), uplink)]
    assert host.create(*guests) == ["", ""]
    for one in guests:
        host.wait_for(one, "associated")
    host.destroy(*guests)
    for one in guests:
        host.wait_for(one, None)


@SWITCHES
def test_an_incoming_migration(host: Host, numbers: Iterator[int], uplink: str) -> None:
    """By the messages that libvirt sends at its beginning and its end; a second host is not to be had here."""
    vsi = guest(next(numbers), uplink).vsi()
    with overheard(host.namespace, uplink) as wire, LibvirtMessages(host.namespace, uplink) as libvirt:
        for kind in (PREASSOCIATE, ASSOCIATE, DEASSOCIATE):
            assert libvirt.ask(vsi, kind) == 0
            wait_until(lambda: libvirt.poll()[vsi.uuid] != NOT_REPORTED, "it is answered", 5, 0.125)
            assert libvirt.poll()[vsi.uuid] == 0
        wait_until(lambda: vsi.uuid not in host.agent.uplink(uplink)["vsis"], "it is gone")
        asked, _ = wire.said()
        assert kinds(asked) == ["preassociate", "associate", "deassociate"]
