"""Link modes of ethtool in the words of 802.3."""

import pytest

from evbagent.ethtool import LinkModes, Port, PowerSupply
from evbagent.macphy import _MAU_NUMBERS, _MODES, mac_phy, operational_mau, power_via_mdi
from protocols.lldp.dot3 import MacPhy, PowerSupport, PowerViaMdi
from protocols.lldp.mau import mau_type

T10H, T10F, T100H, T100F, T1000H, T1000F, AUTONEG, TP, FIBRE, T10G, PAUSE, ASYM = 0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 13, 14
KX, KX4, KR, CR4, SR4, CR25, KR25, SR25, X1000, CR10, SR10, LR10 = 17, 18, 19, 24, 25, 31, 32, 33, 41, 42, 43, 44
T2500, FEC_NONE, SR100, LR100, SR400 = 47, 49, 76, 77, 86
COPPER = (T10H, T10F, T100H, T100F, T1000F, AUTONEG, TP)


def bits(*modes: int) -> int:
    return sum(1 << mode for mode in set(modes))


def modes(
    supported: tuple[int, ...],
    speed: int | None,
    port: int = Port.OTHER,
    advertised: tuple[int, ...] = (),
    peer: tuple[int, ...] = (),
    full: bool | None = True,
    auto: bool = True,
) -> LinkModes:
    return LinkModes(auto, bits(*supported), bits(*advertised), bits(*peer), speed, full, port)


@pytest.mark.parametrize(
    ("found", "medium"),
    [
        (modes(COPPER, 1000, Port.TWISTED_PAIR, COPPER, COPPER), "1000BASE-T full duplex"),
        (modes(COPPER, 100, Port.TWISTED_PAIR, COPPER, (T100H, T100F), full=False), "100BASE-TX half duplex"),
        (modes(COPPER, 10, Port.MII, auto=False), "10BASE-T full duplex"),
        (modes((*COPPER, T2500, T10G), 2500, Port.TWISTED_PAIR), "2.5GBASE-T"),
        (modes((*COPPER, T2500, T10G), 10_000, Port.TWISTED_PAIR, (T10G,)), "10GBASE-T"),
        (modes((FIBRE, SR10), 10_000, Port.FIBRE), "10GBASE-SR"),
        (modes((FIBRE, SR10, LR10), 10_000, Port.FIBRE), "10GBASE-R"),
        (modes((FIBRE, SR10, LR10), 10_000, Port.FIBRE, advertised=(LR10,)), "10GBASE-LR"),
        (modes((FIBRE, T10G), 10_000, Port.FIBRE), "10GBASE-R"),
        (modes((T10G, KR, KX4), 10_000, Port.NONE), "10GBASE-R"),
        (modes((T10G, KR), 10_000, Port.NONE), "10GBASE-KR"),
        (modes((CR25, SR25), 25_000, Port.DIRECT_ATTACH), "25GBASE-CR"),
        (modes((CR25, SR25), 25_000, Port.FIBRE), "25GBASE-SR"),
        (modes((CR25, KR25, SR25), 25_000), "25GBASE-R"),
        (modes((CR10,), 10_000, Port.DIRECT_ATTACH), "10GBASE-R"),
        (modes((CR4, SR4), 40_000, Port.DIRECT_ATTACH), "40GBASE-CR4"),
        (modes((SR100, LR100), 100_000, Port.FIBRE), "100GBASE-R"),
        (modes((SR400,), 400_000, Port.FIBRE), "400GBASE-R"),
        (modes((X1000, T1000F), 1000, Port.FIBRE), "1000BASE-X full duplex"),
        (modes((T1000F,), 1000, Port.FIBRE), "1000BASE-X full duplex"),
        (modes((KX, X1000), 1000, Port.NONE), "1000BASE-KX"),
        (modes((T10H, T10F), 10, full=None), "10BASE-T full duplex"),
    ],
)
def test_the_medium_in_use(found: LinkModes, medium: str) -> None:
    known = mau_type(operational_mau(found))
    assert known is not None and known.text == medium


@pytest.mark.parametrize(
    "found",
    [
        modes(COPPER, None),
        modes(COPPER, 56_000),
        modes((T1000F, 68), 1000),  # of one pair, or of four
        modes((SR10,), 10_000, Port.TWISTED_PAIR),
        modes((FIBRE,), 10_000, Port.FIBRE),
        modes((T10F,), 10, full=False),
    ],
)
def test_nothing_is_made_up(found: LinkModes) -> None:
    assert operational_mau(found) == 0


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ((T10H, T10F, T100H, T100F, T1000H, T1000F, AUTONEG, TP), 0x6C03),
        ((T1000F, PAUSE), 0x0021),
        ((T1000F, ASYM), 0x0041),
        ((T1000F, PAUSE, ASYM), 0x0011),
        ((KX,), 0x0004),
        ((X1000, FIBRE), 0x0004),
        ((T10G, T1000F), 0x8001),
        ((27,), 0x8000),
        ((110, T1000F), 0x8001),
        ((FEC_NONE, AUTONEG, TP, 16, 20, 74), 0),
    ],
)
def test_what_is_offered(offered: tuple[int, ...], expected: int) -> None:
    found = modes((AUTONEG, *offered), 1000, advertised=offered)
    assert mac_phy(found).auto_negotiation_cap == expected


def test_without_auto_negotiation_nothing_is_offered() -> None:
    assert mac_phy(modes((SR10,), 10_000, Port.FIBRE, (SR10,))) == MacPhy(False, False, 0, 36)
    assert mac_phy(modes(COPPER, 1000, Port.TWISTED_PAIR, COPPER, auto=False)) == MacPhy(True, False, 0x6C01, 30)


def test_every_mode_is_a_type_that_there_is() -> None:
    assert {name for name in _MODES if name != "-"} <= set(_MAU_NUMBERS)
    assert _MODES[T10G] == "10GBASE-T" and _MODES[88] == "400GBASE-DR4" and _MODES[92] == "10BASE-T1L"


@pytest.mark.parametrize(("power_class", "sent"), [(None, 1), (0, 1), (3, 4), (4, 5), (8, 5)])
def test_power(power_class: int | None, sent: int) -> None:
    for enabled in (True, False):
        found = power_via_mdi(PowerSupply(enabled, power_class))
        assert found == PowerViaMdi(PowerSupport(True, True, enabled, False, 1, sent))
