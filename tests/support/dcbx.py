"""DCBX at two ends of a wire without time: what one says the other hears, until neither has anything new to say."""

from collections.abc import Sequence
from dataclasses import replace

from protocols.dcbx.model import Application
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import Body, DcbxSettings, Neighbor, PeerKey, Tables

LOW, HIGH = bytes.fromhex("020000000a01"), bytes.fromhex("020000000b01")

SHARED = Tables((0, 0, 0, 1, 0, 0, 0, 2), (2, 2, 0, 0, 0, 0, 0, 0), (40, 60, 0, 0, 0, 0, 0, 0))
OTHERS = Tables((0, 0, 1, 1, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (70, 30, 0, 0, 0, 0, 0, 0))
FCOE = Application(3, 1, 0x8906)
ROCE = Application(5, 3, 4791)


def key(mac: bytes) -> PeerKey:
    return 4, mac, 3, mac


def neighbor(mac: bytes, bodies: Sequence[Body]) -> Neighbor:
    return Neighbor(key(mac), mac, tuple(bodies))


class End:
    """A port. What it says is known to the other one as it is sent."""

    def __init__(self, mac: bytes, settings: DcbxSettings) -> None:
        self.mac = mac
        self.port = DcbxPort(settings, mac)

    @property
    def said(self) -> Neighbor:
        return neighbor(self.mac, self.port.tlvs)


def converge(one: End, other: End, most: int = 20) -> int:
    """Returns how many LLDPDUs it took. AssertionError when they go on for ever."""
    sent: dict[bytes, tuple[Body, ...]] = {}
    for number in range(most):
        news = [(end, to) for end, to in ((one, other), (other, one)) if sent.get(end.mac) != end.port.tlvs]
        if not news:
            return number
        end, to = news[0]
        sent[end.mac] = end.port.tlvs
        to.port.heard(end.said)
    raise AssertionError(f"no end after {most} LLDPDUs: {one.port.result}, {other.port.result}")


def willing(settings: DcbxSettings, yes: bool = True) -> DcbxSettings:
    return replace(settings, ets_willing=yes, pfc_willing=yes, apps_willing=yes)
