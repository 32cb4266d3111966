"""A medium in 802.3's words: ethtool's link modes as dot3MauType and auto-negotiation bits (sheet `lldp.md` 6.1)."""

from collections.abc import Mapping

from evbagent.ethtool import LinkModes, Port, PowerSupply
from protocols.lldp.dot3 import MacPhy, PowerPairs, PowerSupport, PowerViaMdi
from protocols.lldp.mau import UNKNOWN_MAU, PmdCapability, mau_type

AUTO_NEGOTIATION, PAUSE, ASYMMETRIC_PAUSE = 6, 13, 14
HIGHEST_POWER_CLASS = 5
MAU_TYPES = 148


def mac_phy(modes: LinkModes) -> MacPhy:
    """79.3.1 of what an interface is and does now."""
    can_negotiate = bool(modes.supported & 1 << AUTO_NEGOTIATION)
    return MacPhy(
        auto_negotiation_supported=can_negotiate,
        auto_negotiation_enabled=can_negotiate and modes.auto_negotiation,
        auto_negotiation_cap=int(_offered(modes.advertised)) if can_negotiate else 0,
        operational_mau_type=operational_mau(modes),
    )


def power_via_mdi(supply: PowerSupply) -> PowerViaMdi:
    """79.3.2 of a port that supplies power, in its first form.

    What 802.3at added belongs to a negotiation of power (33.6), in which this agent takes no part. The kernel does not
    know the pairs; alternative A, which every switch can, is assumed.
    """
    known_class = 1 if supply.power_class is None else min(supply.power_class + 1, HIGHEST_POWER_CLASS)
    return PowerViaMdi(PowerSupport(True, True, supply.enabled, False, PowerPairs.SIGNAL, known_class))


def operational_mau(modes: LinkModes) -> int:
    """The medium in use, 0 if the card leaves it open: nothing is made up.

    Of the modes of this speed and duplex, it is one that both sides offer, or that is offered or supported, and that
    fits the connector. Where several remain, or older drivers name none but twisted pair for a fibre, it is what all
    that fit are forms of: 10GBASE-R and so on.
    """
    if modes.speed is None:
        return UNKNOWN_MAU
    connector = _CONNECTORS.get(modes.port)
    for mask in (modes.advertised & modes.peer, modes.advertised, modes.supported):
        possible = {name for mode, name in enumerate(_MODES) if mask & 1 << mode and _is(name, modes)}
        if not possible:
            continue
        fitting = possible if connector is None else possible & connector
        if len(fitting) == 1:
            return _MAU_NUMBERS[fitting.pop()]
        if connector is _TWISTED_PAIR or fitting & _TWISTED_PAIR:
            return UNKNOWN_MAU
        return _MAU_NUMBERS.get(_FAMILIES.get(modes.speed, ""), UNKNOWN_MAU)
    return UNKNOWN_MAU


def _is(name: str, modes: LinkModes) -> bool:
    """Whether it has this speed and duplex; a duplex that is not known is full."""
    medium = mau_type(_MAU_NUMBERS.get(name, UNKNOWN_MAU))
    is_half = modes.full_duplex is False
    return medium is not None and medium.speed == modes.speed and (medium.duplex == "half") == is_half


def _offered(advertised: int) -> PmdCapability:
    bits = PmdCapability(0)
    for mode, bit in _PMD_BITS.items():
        if advertised & 1 << mode:
            bits |= bit
    match bool(advertised & 1 << PAUSE), bool(advertised & 1 << ASYMMETRIC_PAUSE):
        case True, True:
            bits |= PmdCapability.ASYMMETRIC_AND_SYMMETRIC_PAUSE
        case True, False:
            bits |= PmdCapability.SYMMETRIC_PAUSE
        case False, True:
            bits |= PmdCapability.ASYMMETRIC_PAUSE
    if advertised & ~_NO_MEDIUM & ~sum(1 << mode for mode in _PMD_BITS):
        bits |= PmdCapability.OTHER
    return bits


# By number of the link mode (ETHTOOL_LINK_MODE_..._BIT).
_PMD_BITS: Mapping[int, PmdCapability] = {
    0: PmdCapability.BASE_10_T_HALF,
    1: PmdCapability.BASE_10_T_FULL,
    2: PmdCapability.BASE_100_TX_HALF,
    3: PmdCapability.BASE_100_TX_FULL,
    4: PmdCapability.BASE_1000_T_HALF,
    5: PmdCapability.BASE_1000_T_FULL,
    17: PmdCapability.BASE_1000_X_FULL,
    41: PmdCapability.BASE_1000_X_FULL,
}
# Auto-negotiation, connectors, PAUSE, forward error correction.
_NO_MEDIUM = sum(1 << mode for mode in (6, 7, 8, 9, 10, 11, 13, 14, 16, 20, 49, 50, 51, 74))
# The medium of each link mode by its number, `-` where it is none, or none of 802.3. A mode that stands for several, or
# for one that has no number of its own, is said to be of the family.
_MODES = tuple(
    # 0
    "10BASE-T/half 10BASE-T/full 100BASE-TX/half 100BASE-TX/full 1000BASE-T/half 1000BASE-T/full - - - -"
    # 10
    " - - 10GBASE-T - - 2.5GBASE-X - 1000BASE-KX 10GBASE-KX4 10GBASE-KR"
    # 20
    " - - - 40GBASE-KR4 40GBASE-CR4 40GBASE-SR4 40GBASE-LR4 - - -"
    # 30
    " - 25GBASE-CR 25GBASE-KR 25GBASE-SR - - 100GBASE-KR4 100GBASE-SR4 100GBASE-CR4 100GBASE-R"
    # 40; 10000baseCR is a cable with SFP+ at its ends
    " - 1000BASE-X/full 10GBASE-R 10GBASE-SR 10GBASE-LR 10GBASE-LRM 10GBASE-ER 2.5GBASE-T 5GBASE-T -"
    # 50
    " - - 50GBASE-KR 50GBASE-SR 50GBASE-CR 50GBASE-R 50GBASE-R 100GBASE-KR2 100GBASE-SR2 100GBASE-CR2"
    # 60
    " 100GBASE-R 100GBASE-R 200GBASE-KR4 200GBASE-SR4 200GBASE-R 200GBASE-DR4 200GBASE-CR4 100BASE-T1 1000BASE-T1"
    " 400GBASE-R"
    # 70
    " 400GBASE-R 400GBASE-R 400GBASE-R 400GBASE-R - 100GBASE-R 100GBASE-R 100GBASE-R 100GBASE-R 100GBASE-DR"
    # 80
    " 200GBASE-R 200GBASE-R 200GBASE-R 200GBASE-R 200GBASE-R 400GBASE-R 400GBASE-R 400GBASE-R 400GBASE-DR4 400GBASE-R"
    # 90
    " 100BASE-FX/half 100BASE-FX/full 10BASE-T1L - - - - - - 10BASE-T1S/full"
    # 100
    " 10BASE-T1S/half 10BASE-T1S-multidrop".split()
)
_TWISTED_PAIR = frozenset(
    "10BASE-T/half 10BASE-T/full 100BASE-TX/half 100BASE-TX/full 1000BASE-T/half 1000BASE-T/full 2.5GBASE-T 5GBASE-T"
    " 10GBASE-T 10BASE-T1L 10BASE-T1S/half 10BASE-T1S/full 10BASE-T1S-multidrop 100BASE-T1 1000BASE-T1".split()
)
_BACKPLANE = frozenset(
    "1000BASE-KX 10GBASE-KX4 10GBASE-KR 25GBASE-KR 40GBASE-KR4 50GBASE-KR 100GBASE-KR4 100GBASE-KR2"
    " 200GBASE-KR4".split()
)
_CABLE = frozenset("10GBASE-R 25GBASE-CR 40GBASE-CR4 50GBASE-CR 100GBASE-CR4 100GBASE-CR2 200GBASE-CR4".split())
_FIBRE = frozenset(_MODES) - _TWISTED_PAIR - _BACKPLANE - (_CABLE - {"10GBASE-R"})
_CONNECTORS: Mapping[int, frozenset[str]] = {
    Port.TWISTED_PAIR: _TWISTED_PAIR,
    Port.MII: _TWISTED_PAIR,
    Port.FIBRE: _FIBRE,
    Port.DIRECT_ATTACH: _CABLE,
    Port.NONE: _BACKPLANE,
}
# Who has no other: by speed, all but twisted pair.
_FAMILIES: Mapping[float, str] = {
    100: "100BASE-FX/full",
    1_000: "1000BASE-X/full",
    10_000: "10GBASE-R",
    25_000: "25GBASE-R",
    40_000: "40GBASE-R",
    50_000: "50GBASE-R",
    100_000: "100GBASE-R",
    200_000: "200GBASE-R",
    400_000: "400GBASE-R",
}
_MAU_NUMBERS: Mapping[str, int] = {
    f"{medium.name}/{medium.duplex}" if medium.duplex else medium.name: number
    for number in range(1, MAU_TYPES)
    if (medium := mau_type(number))
}
