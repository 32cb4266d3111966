"""One LLDP agent: what it puts on the wire, goodbyes of former identities, statistics, limits."""

from dataclasses import replace

import pytest

from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus, LldpAgent, LocalSystem
from protocols.lldp.mib import RemoteChange
from protocols.lldp.tlvs import ChassisId, OptionalTlv, OrganizationalTlv, PortDescription, PortId, SystemName
from protocols.lldp.tx import TxSettings
from protocols.timers import SECOND, Instant
from tests.support.lldpdus import tlv
from tests.support.wire import BRIDGE_MAC, lldpdu

MAC = bytes.fromhex("020000000001")
OTHER = bytes.fromhex("020000000002")
THIRD = bytes.fromhex("020000000003")
LOCAL = LocalSystem(ChassisId(4, MAC), PortId(3, MAC), (SystemName(b"host"),))
NAME = tlv(5, b"host")


class Bench:
    def __init__(
        self, admin_status: AdminStatus = AdminStatus.TX_AND_RX, settings: TxSettings | None = None, limit: int = 4
    ) -> None:
        self.agent = LldpAgent(
            Scope.NEAREST_BRIDGE, admin_status, settings or TxSettings(), LOCAL, limit, lambda oui, subtype: False
        )
        self.now: Instant = 0
        self.sent: list[tuple[float, bytes]] = []

    def enable(self, port: bool = True) -> list[RemoteChange]:
        changes = self.agent.enable(port, self.now)
        self.collect()
        return changes

    def admin(self, admin_status: AdminStatus) -> list[RemoteChange]:
        changes = self.agent.set_admin_status(admin_status, self.now)
        self.collect()
        return changes

    def receive(self, payload: bytes) -> list[RemoteChange]:
        changes = self.agent.receive(BRIDGE_MAC, payload, self.now)
        self.collect()
        return changes

    def say(self, *optional: OptionalTlv, mac: bytes = MAC, news: bool = True) -> None:
        self.agent.set_local(LocalSystem(ChassisId(4, mac), PortId(3, mac), optional), self.now, news)
        self.collect()

    def configure(self, limit: int = 4, **changes: int) -> None:
        self.agent.configure(TxSettings(**changes), limit, self.now)
        self.collect()

    def run(self, seconds: float) -> list[RemoteChange]:
        until = self.now + round(seconds * SECOND)
        changes = []
        while (due := self.agent.next_deadline()) is not None and due <= until:
            self.now = due
            changes += self.agent.advance(due)
            self.collect()
        self.now = until
        return changes

    def collect(self) -> None:
        self.sent += [(self.now / SECOND, payload) for payload in self.agent.transmit(self.now)]

    def take(self) -> list[bytes]:
        payloads = [payload for _, payload in self.sent]
        self.sent.clear()
        return payloads


# adminStatus: who sends, who listens, for every pair of values before and after.

STATUSES = list(AdminStatus)
SENDS = {AdminStatus.TX_AND_RX, AdminStatus.TX_ONLY}
LISTENS = {AdminStatus.TX_AND_RX, AdminStatus.RX_ONLY}


@pytest.mark.parametrize("after", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_every_change_of_admin_status(before: AdminStatus, after: AdminStatus) -> None:
    bench = Bench(before)
    bench.enable()
    assert bench.take() == ([lldpdu(MAC, NAME)] if before in SENDS else [])
    bench.run(10)
    heard = bench.receive(lldpdu(BRIDGE_MAC))
    assert bool(heard) is (before in LISTENS)
    bench.take()
    changes = bench.admin(after)
    assert bool(changes) is (before in LISTENS and after not in LISTENS), "neighbours are forgotten with reception"
    expected = []
    if before in SENDS and after not in SENDS:
        expected = [lldpdu(MAC, ttl=0)]
    elif before not in SENDS and after in SENDS:
        expected = [lldpdu(MAC, NAME)]
    assert bench.take() == expected
    assert bool(bench.receive(lldpdu(OTHER))) is (after in LISTENS)


def test_a_port_that_is_down_neither_sends_nor_listens_and_says_no_goodbye() -> None:
    bench = Bench()
    assert bench.receive(lldpdu(BRIDGE_MAC)) == []
    bench.say(SystemName(b"new"))
    bench.admin(AdminStatus.DISABLED)
    bench.run(100)
    assert bench.take() == [] and bench.agent.next_deadline() is None
    assert (bench.agent.tx_statistics.total, bench.agent.rx.statistics.total) == (0, 0)


def test_a_neighbor_ages_while_the_port_is_down() -> None:
    bench = Bench()
    bench.enable()
    bench.receive(lldpdu(BRIDGE_MAC))
    bench.enable(False)
    assert len(bench.run(120.9)) == 0
    assert len(bench.run(0.1)) == 1


# What is sent.


def test_new_content_goes_out_at_once_and_the_same_again_does_not() -> None:
    bench = Bench()
    bench.enable()
    bench.say(SystemName(b"new"))
    bench.say(SystemName(b"new"))
    assert bench.take() == [lldpdu(MAC, NAME), lldpdu(MAC, tlv(5, b"new"))]


def test_content_that_is_no_news_goes_with_the_next_frame_a_second_later_at_most() -> None:
    bench = Bench()
    bench.enable()
    bench.run(10)
    bench.sent.clear()
    bench.say(SystemName(b"echo"), news=False)
    bench.run(40)
    echo = lldpdu(MAC, tlv(5, b"echo"))
    assert bench.sent == [(11, echo), (41, echo)]


def test_an_unchanged_lldpdu_is_not_encoded_again() -> None:
    bench = Bench()
    bench.enable()
    bench.run(30)
    first, second = bench.take()
    assert first is second


def test_a_new_neighbor_and_what_follows_from_it_are_one_frame() -> None:
    bench = Bench()
    bench.enable()
    bench.run(10)
    bench.take()
    bench.agent.receive(BRIDGE_MAC, lldpdu(BRIDGE_MAC), bench.now)
    bench.agent.set_local(replace(LOCAL, optional=(SystemName(b"heard you"),)), bench.now)
    bench.collect()
    assert bench.take() == [lldpdu(MAC, tlv(5, b"heard you"))]
    bench.run(5)
    assert len(bench.take()) == 3


def test_a_known_neighbor_gets_no_fast_start() -> None:
    bench = Bench()
    bench.enable()
    bench.receive(lldpdu(BRIDGE_MAC))
    bench.run(20)
    bench.take()
    bench.receive(lldpdu(BRIDGE_MAC, tlv(5, b"other")))
    bench.run(5)
    assert bench.take() == []


# Another identity.


def test_a_former_identity_says_goodbye_before_the_new_one_speaks() -> None:
    bench = Bench()
    bench.enable()
    bench.take()
    bench.say(SystemName(b"host"), mac=OTHER)
    assert bench.take() == [lldpdu(MAC, ttl=0), lldpdu(OTHER, NAME)]
    bench.run(30)
    assert bench.take() == [lldpdu(OTHER, NAME)]


def test_identities_that_were_never_announced_say_no_goodbye() -> None:
    bench = Bench()
    bench.say(SystemName(b"host"), mac=OTHER)
    bench.enable()
    assert bench.take() == [lldpdu(OTHER, NAME)]


def test_of_several_changes_without_credit_the_first_and_the_last_identity_count() -> None:
    bench = Bench(settings=TxSettings(tx_credit_max=1))
    bench.enable()
    bench.take()
    bench.say(SystemName(b"host"), mac=OTHER)
    bench.say(SystemName(b"host"), mac=THIRD)
    assert bench.take() == []
    bench.run(1)
    assert bench.take() == [lldpdu(MAC, ttl=0), lldpdu(THIRD, NAME)]


def test_an_identity_that_comes_back_before_anything_was_sent_did_not_leave() -> None:
    bench = Bench(settings=TxSettings(tx_credit_max=1))
    bench.enable()
    bench.take()
    bench.say(SystemName(b"host"), mac=OTHER)
    bench.say(SystemName(b"host"))
    bench.run(1)
    assert bench.take() == [lldpdu(MAC, NAME)]


def test_the_goodbye_of_a_link_that_was_down_meanwhile_comes_with_the_first_frame() -> None:
    bench = Bench()
    bench.enable()
    bench.take()
    bench.enable(False)
    bench.say(SystemName(b"host"), mac=OTHER)
    bench.enable()
    assert bench.take() == [lldpdu(MAC, ttl=0), lldpdu(OTHER, NAME)]


def test_a_shutdown_names_the_identity_that_the_peer_knows() -> None:
    bench = Bench(settings=TxSettings(tx_credit_max=1))
    bench.enable()
    bench.take()
    bench.say(SystemName(b"host"), mac=OTHER)
    bench.admin(AdminStatus.DISABLED)
    assert bench.take() == [lldpdu(MAC, ttl=0)]


# New variables.


def test_another_ttl_is_announced_at_once_and_other_variables_are_not() -> None:
    bench = Bench()
    bench.enable()
    bench.take()
    bench.configure(msg_tx_hold=2)
    assert bench.take() == [lldpdu(MAC, NAME, ttl=61)]
    bench.configure(msg_tx_hold=2, msg_fast_tx=2)
    bench.configure(msg_tx_hold=2, msg_fast_tx=2)
    assert bench.take() == []


def test_another_limit_of_neighbors() -> None:
    bench = Bench(limit=1)
    bench.enable()
    bench.receive(lldpdu(BRIDGE_MAC))
    bench.receive(lldpdu(OTHER))
    bench.configure(limit=2)
    bench.receive(lldpdu(OTHER))
    assert len(bench.agent.rx.remotes) == 2


# Limits and statistics.


def test_tlvs_that_do_not_fit_are_left_out_from_the_end_and_counted() -> None:
    bench = Bench()
    bench.enable()
    bench.take()
    long = [OrganizationalTlv(b"\x33\x44\x55", number, bytes(400)) for number in range(4)]
    bench.say(SystemName(b"host"), *long, PortDescription(b"last"))
    (payload,) = bench.take()
    fitting = [tlv(127, bytes.fromhex("334455") + bytes([number]) + bytes(400)) for number in range(3)]
    assert payload == lldpdu(MAC, NAME, *fitting) and len(payload) <= 1500
    assert bench.agent.tx_statistics.length_errors == 2
    bench.run(60)
    assert bench.agent.tx_statistics.length_errors == 2, "once for what could not be said, not once a frame"


def test_an_lldpdu_of_exactly_1500_octets() -> None:
    bench = Bench()
    room = 1500 - len(lldpdu(MAC))
    values = [bytes(507), bytes(507), bytes(room - 2 * 513 - 6)]
    bench.say(*(OrganizationalTlv(b"\x33\x44\x55", number, value) for number, value in enumerate(values)))
    bench.enable()
    (payload,) = bench.take()
    assert len(payload) == 1500 and bench.agent.tx_statistics.length_errors == 0


def test_everything_that_was_sent_is_counted() -> None:
    bench = Bench()
    bench.enable()
    bench.run(60)
    bench.say(SystemName(b"host"), mac=OTHER)
    bench.admin(AdminStatus.DISABLED)
    assert bench.agent.tx_statistics.total == len(bench.take()) == 6


def test_our_own_lldpdus_that_come_back_are_nobody() -> None:
    bench = Bench()
    bench.enable()
    (payload,) = bench.take()
    assert bench.receive(payload) == []
    assert bench.agent.rx.statistics.own == 1 and len(bench.agent.rx.remotes) == 0
    bench.say(SystemName(b"host"), mac=OTHER)
    bench.take()
    assert len(bench.receive(payload)) == 1, "an identity that is not ours any more may be somebody else's"


def test_the_next_deadline_is_the_nearer_one_of_both_machines() -> None:
    bench = Bench(AdminStatus.TX_AND_RX, TxSettings(tx_credit_max=100))
    assert bench.agent.next_deadline() is None
    bench.enable()
    bench.run(20)
    bench.receive(lldpdu(BRIDGE_MAC, ttl=5))
    bench.run(4)
    assert bench.agent.next_deadline() == 25 * SECOND
    bench.run(1)
    bench.admin(AdminStatus.RX_ONLY)
    bench.run(3)
    assert bench.agent.next_deadline() is None
