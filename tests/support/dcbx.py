"""DCBX at two ends of a wire without time: what one says the other hears, until neither has anything new to say."""

from collections.abc import Sequence
from dataclasses import replace

from protocols.dcbx.model import Application
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import Body, DcbxResult, DcbxSettings, Neighbor, PeerKey, Tables

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


def assert_possible(result: DcbxResult, settings: DcbxSettings) -> None:
    """What is in operation can be on such a NIC, told without the project's own rules."""
    ets, pfc = result.ets.operational, result.pfc.operational
    algorithms = {0, 2} | ({1} if settings.credit_based_shaper else set())
    assert max(ets.prio_tc) < settings.classes and set(ets.tc_tsa) <= algorithms
    shares = [bw for bw, tsa in zip(ets.tc_bw, ets.tc_tsa, strict=True) if tsa == 2]
    assert sum(ets.tc_bw) == sum(shares) == (100 if shares else 0)
    assert not any(ets.tc_bw[settings.classes :])
    assert len({ets.prio_tc[n] for n in range(8) if pfc >> n & 1}) <= settings.capability
    apps = result.app.operational
    assert len({(one.selector, one.protocol) for one in apps}) == len(apps) <= 128 + len(settings.apps)
    for one in apps:
        assert one.priority in range(8) and one.selector in range(1, 6)
        assert one.selector != 1 or one.protocol == 0 or one.protocol >= 1536
        assert one.selector != 5 or one.protocol < 64
