"""The book and a station's real VDP machine: whatever clients, switch and link do, both want the same VSIs."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from protocols.timers import SECOND
from protocols.vdp.ratified import RATIFIED
from protocols.vdp.station import Closed, StationSettings, VdpStation
from protocols.vdp.stationtable import RELEASING
from protocols.vdp.status import Confirm, Outcome, VdpEffect, VsiRequest
from protocols.vdp.vsi import Mode, Response, VsiTlv
from tests.support.vsibook import Rig, declared, spec

TIMERS = RATIFIED.timers(3, 14, 20, 20)
NUMBERS = range(1, 6)


class World:
    """A port, and a switch that answers as the dice fall."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = Random(seed)
        self.directory = directory
        self.now = 0
        self.answered: dict[int, int] = {}
        self._start()
        self.rig.book.port_ready("eth0")

    def step(self) -> None:
        often = [self.client_asks] * 5 + [self.switch_answers] * 6 + [self.time_passes] * 2
        seldom = [self.files_change, self.link_fails, self.switch_withdraws, self.interface_goes, self.agent_restarts]
        self.random.choice(often + seldom)()
        self.read_answers()
        self.rig.clock.pass_by()
        self.check()

    def client_asks(self) -> None:
        specs = []
        for _ in range(self.random.randrange(1, 4)):
            request = self.random.choice(["associate", "preassociate", "deassociate", "associate"])
            more = {"id": len(self.answered), "wait": self.random.choice([None, 1, 20])}
            self.answered[len(self.answered)] = 0
            if request != "deassociate":
                more |= {"type": self.random.randrange(2), "persistent": self.random.random() < 0.2}
            specs.append(spec(self.random.choice(NUMBERS), request, **more))
        self.random.choice(self.clients).ask(*specs)

    def switch_answers(self) -> None:
        while payload := self.station.next_payload(1493, 42, self.now):
            self._news(self.station.delivered(self.now))
            self.asked += RATIFIED.decode(payload, True).vsis
        for tlv in self.asked:
            self._news(self.station.receive(self._answer(tlv), self.now))
        self.asked = []

    def switch_withdraws(self) -> None:
        if self.station.vsis:
            vsi = self.random.choice(list(self.station.vsis.values()))
            self._news(self.station.receive([vsi.asked._replace(mode=Mode.DEASSOCIATE)], self.now))

    def time_passes(self) -> None:
        seconds = self.random.choice([1, 5, 30])
        self.now += seconds * SECOND
        self._news(self.station.advance(self.now))
        self.rig.clock.pass_by(seconds)

    def link_fails(self) -> None:
        outcome = self.random.choice([None, Outcome.LINK_LOST])
        self._news(self.station.close(Closed("interface: the link is down", outcome), self.now))
        if self.random.random() < 0.7:
            self._news(self.station.open(RATIFIED, TIMERS, False, self.now))

    def interface_goes(self) -> None:
        self.rig.book.port_gone("eth0")
        self.rig.refusing = "interface: the agent does not serve eth0"
        if self.random.random() < 0.5:
            self.client_asks()
        self.rig.refusing = None
        self.station = self._station()
        self.rig.book.port_ready("eth0")

    def agent_restarts(self) -> None:
        """Its clients are gone with it; who has no answer gets none."""
        self.read_answers()
        self.answered = dict.fromkeys(self.answered, 1)
        self.rig.book.close()
        self._start()
        self.rig.book.recover()
        self.files_change()
        self.rig.book.port_ready("eth0")

    def files_change(self) -> None:
        numbers = [number for number in NUMBERS if self.random.random() < 0.3]
        self.rig.book.declare([declared(number, type=self.random.randrange(2)) for number in numbers])

    def settle(self) -> None:
        """Everybody gets the answer that there is in the end."""
        self._news(self.station.open(RATIFIED, TIMERS, False, self.now))
        for _ in range(40):
            self.switch_answers()
            self.time_passes()
        self.read_answers()
        self.rig.clock.pass_by()

    def read_answers(self) -> None:
        for client in self.clients:
            for spec_id, _ in client.said:
                self.answered[spec_id] += 1

    def check(self) -> None:
        assert max(self.answered.values(), default=0) <= 1, "a request is answered once"
        port = self.rig.book._ports["eth0"]
        wanted = {vsi_id: vsi.want for vsi_id, vsi in port.vsis.items() if vsi.want}
        for vsi_id, vsi in self.station.vsis.items():
            assert port.vsis[vsi_id].status == vsi.status()
            if vsi.state not in RELEASING or vsi.next or vsi.wanted:
                assert wanted[vsi_id].tlv == (vsi.next or vsi.request), vsi.state.name
            elif vsi_id in wanted:
                assert port.vsis[vsi_id].standing, "what was granted once goes when it is gone"
        for vsi_id, want in wanted.items():
            there_was = port.vsis[vsi_id].standing is not None  # on an interface that has gone and come back
            assert vsi_id in self.station.vsis or want.owner == "declared" or want.persistent or there_was
        of_clients = {("eth0", vsi_id.text) for vsi_id, want in wanted.items() if want.owner == "client"}
        assert self.rig.kept == of_clients

    def _start(self) -> None:
        self.rig = Rig(self.directory)
        self.rig.machine = self._ask
        self.asked: list[VsiTlv] = []
        self.clients = [self.rig.client() for _ in range(2)]
        self.station = self._station()

    def _ask(self, interface: str, requests: tuple[VsiRequest, ...]) -> None:
        self._news(self.station.request(requests, self.now))

    def _news(self, effects: list[VdpEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Confirm):
                self.rig.book.confirm("eth0", effect.ticket, effect.outcome, effect.status)
            else:
                self.rig.book.changed("eth0", effect.vsi_id, effect.status, effect.gone)

    def _station(self) -> VdpStation:
        station = VdpStation(StationSettings(max_vsis=4, reassociate=self.random.random() < 0.5))
        station.open(RATIFIED, TIMERS, False, self.now)
        return station

    def _answer(self, tlv: VsiTlv) -> list[VsiTlv]:
        if tlv.mode is Mode.DEASSOCIATE:
            return [tlv._replace(response=Response.SUCCESS)] * self.random.randrange(2)
        entries = tuple(entry._replace(vid=entry.vid or 100) for entry in tlv.filters.entries)
        granted = tlv._replace(response=Response.SUCCESS, filters=replace(tlv.filters, entries=entries))
        refused = tlv._replace(response=Response.INSUFFICIENT_RESOURCES)
        return self.random.choice(
            [[granted]] * 4 + [[], [refused], [refused._replace(keep=True)], [refused._replace(hard=True)]]
        )


@pytest.mark.parametrize("seed", [*range(30), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(30, 150))])
def test_both_want_the_same(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed)
    try:
        for _ in range(60):
            world.step()
        world.settle()
        world.check()
        assert set(world.answered.values()) <= {1}
    finally:
        world.rig.book.close()
