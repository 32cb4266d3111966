"""VSIs for tests on the simulated wire: requests by number, and whether both ends mean the same."""

from collections.abc import Iterable
from typing import Any

from protocols.port import RequestVsis
from protocols.vdp.filter import FilterEntry, FilterFormat, Filters
from protocols.vdp.status import Outcome, VsiRequest, VsiState
from protocols.vdp.vsi import Mode, VsiId, VsiTlv
from tests.support.wire import End, Wire

MANAGER = b"\x0c" + bytes(15)


def vsi_id(number: int) -> VsiId:
    return VsiId(5, number.to_bytes(16, "big"))


def mac_vid(number: int, vid: int = 100) -> Filters:
    mac = b"\x52\x54" + number.to_bytes(4, "big")
    return Filters(FilterFormat.MAC_VID, (FilterEntry(vid, None, mac, None),))


def vsi(number: int, mode: Mode = Mode.ASSOCIATE, vid: int = 100, **changes: Any) -> VsiTlv:
    made = VsiTlv(mode, vsi_id(number), MANAGER, 0x123456, 7, mac_vid(number, vid))
    return made._replace(**changes)


class Client:
    """Asks one station, and keeps the tickets."""

    def __init__(self, wire: Wire, station: End) -> None:
        self.wire = wire
        self.station = station
        self.tickets: dict[int, VsiTlv] = {}

    def ask(self, *tlvs: VsiTlv, persistent: bool = False) -> list[int]:
        tickets = [len(self.tickets) + number for number in range(len(tlvs))]
        self.tickets.update(zip(tickets, tlvs, strict=True))
        requests = tuple(VsiRequest(tlv, ticket, persistent) for tlv, ticket in zip(tlvs, tickets, strict=True))
        self.wire.request(self.station, RequestVsis(requests))
        return tickets

    def associate(self, numbers: Iterable[int], persistent: bool = False) -> list[int]:
        return self.ask(*(vsi(number) for number in numbers), persistent=persistent)

    def outcomes(self) -> dict[int, Outcome]:
        found: dict[int, Outcome] = {}
        for _, confirm in self.station.confirmed:
            assert confirm.ticket not in found, "a ticket is answered once"
            found[confirm.ticket] = confirm.outcome
        return found

    def all_answered(self) -> bool:
        return len(self.station.confirmed) == len(self.tickets)


def held(end: End) -> dict[VsiId, tuple[VsiState, Filters]]:
    """What an end takes for confirmed."""
    vsis = end.stack.edge.vdp.vsis
    return {
        key: (status.state, status.filters)
        for key, status in ((key, vsi.status()) for key, vsi in vsis.items())
        if status.state is not VsiState.UNASSOCIATED
    }


def same(station: End, bridge: End) -> bool:
    return held(station) == held(bridge)


def ecpdus(wire: Wire) -> int:
    """Frames of ECP that were sent."""
    return sum(sent.data[12:14] in (b"\x89\x40", b"\x88\xb7") for sent in wire.sent)
