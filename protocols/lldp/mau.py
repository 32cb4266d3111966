"""Media and speeds in words: dot3MauType numbers and the PMD bits of auto-negotiation (sheet `lldp.md` 6.1).

The numbers are those of IANA-MAU-MIB, the bits those of its IANAifMauAutoNegCapBits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from re import match

UNKNOWN_MAU = 0


class PmdCapability(IntFlag):
    """Bit 0 of the MIB's BITS is the most significant one here. lldpad sends them mirrored (sheet 6.1)."""

    OTHER = 0x8000
    BASE_10_T_HALF = 0x4000
    BASE_10_T_FULL = 0x2000
    BASE_100_T4 = 0x1000
    BASE_100_TX_HALF = 0x0800
    BASE_100_TX_FULL = 0x0400
    BASE_100_T2_HALF = 0x0200
    BASE_100_T2_FULL = 0x0100
    PAUSE = 0x0080
    ASYMMETRIC_PAUSE = 0x0040
    SYMMETRIC_PAUSE = 0x0020
    ASYMMETRIC_AND_SYMMETRIC_PAUSE = 0x0010
    BASE_1000_X_HALF = 0x0008
    BASE_1000_X_FULL = 0x0004
    BASE_1000_T_HALF = 0x0002
    BASE_1000_T_FULL = 0x0001


@dataclass(frozen=True, slots=True)
class Medium:
    """`duplex` is empty where the name implies it; `speed` in Mb/s is None for no medium."""

    name: str
    duplex: str
    speed: float | None

    @property
    def text(self) -> str:
        return f"{self.name} {self.duplex} duplex" if self.duplex else self.name

    @property
    def speed_text(self) -> str | None:
        if self.speed is None:
            return None
        return f"{self.speed / 1000:g} Gb/s" if self.speed >= 1000 else f"{self.speed:g} Mb/s"


def mau_type(number: int) -> Medium | None:
    """What a dot3MauType stands for; None when it is unknown (0), or unknown here."""
    return _medium(_MAU_TYPES[number]) if UNKNOWN_MAU < number < len(_MAU_TYPES) else None


def advertised(bits: int) -> list[Medium]:
    """The media, and kinds of PAUSE, that auto-negotiation offers, slowest first."""
    return [_medium(name) for bit, name in _PMD_NAMES.items() if bits & bit]


def _medium(name: str) -> Medium:
    name, _, duplex = name.partition("/")
    if name in ("AUI", "FOIRL"):
        return Medium(name, duplex, 10)
    number = match(r"(\d+(?:\.\d+)?)(G?)", name)
    if number is None:
        return Medium(name.replace("-", " "), duplex, None)
    return Medium(name, duplex, float(number[1]) * (1000 if number[2] else 1))


_PMD_NAMES: Mapping[PmdCapability, str] = {
    PmdCapability.OTHER: "other",
    PmdCapability.BASE_10_T_HALF: "10BASE-T/half",
    PmdCapability.BASE_10_T_FULL: "10BASE-T/full",
    PmdCapability.BASE_100_T4: "100BASE-T4",
    PmdCapability.BASE_100_TX_HALF: "100BASE-TX/half",
    PmdCapability.BASE_100_TX_FULL: "100BASE-TX/full",
    PmdCapability.BASE_100_T2_HALF: "100BASE-T2/half",
    PmdCapability.BASE_100_T2_FULL: "100BASE-T2/full",
    PmdCapability.PAUSE: "PAUSE",
    PmdCapability.ASYMMETRIC_PAUSE: "asymmetric-PAUSE",
    PmdCapability.SYMMETRIC_PAUSE: "symmetric-PAUSE",
    PmdCapability.ASYMMETRIC_AND_SYMMETRIC_PAUSE: "asymmetric-and-symmetric-PAUSE",
    PmdCapability.BASE_1000_X_HALF: "1000BASE-X/half",
    PmdCapability.BASE_1000_X_FULL: "1000BASE-X/full",
    PmdCapability.BASE_1000_T_HALF: "1000BASE-T/half",
    PmdCapability.BASE_1000_T_FULL: "1000BASE-T/full",
}
_MAU_TYPES = tuple(
    # 0
    "unknown AUI 10BASE5 FOIRL 10BASE2 10BASE-T 10BASE-FP 10BASE-FB 10BASE-FL 10BROAD36"
    # 10
    " 10BASE-T/half 10BASE-T/full 10BASE-FL/half 10BASE-FL/full 100BASE-T4 100BASE-TX/half 100BASE-TX/full"
    " 100BASE-FX/half 100BASE-FX/full 100BASE-T2/half"
    # 20
    " 100BASE-T2/full 1000BASE-X/half 1000BASE-X/full 1000BASE-LX/half 1000BASE-LX/full 1000BASE-SX/half"
    " 1000BASE-SX/full 1000BASE-CX/half 1000BASE-CX/full 1000BASE-T/half"
    # 30
    " 1000BASE-T/full 10GBASE-X 10GBASE-LX4 10GBASE-R 10GBASE-ER 10GBASE-LR 10GBASE-SR 10GBASE-W 10GBASE-EW 10GBASE-LW"
    # 40
    " 10GBASE-SW 10GBASE-CX4 2BASE-TL 10PASS-TS 100BASE-BX10-D 100BASE-BX10-U 100BASE-LX10 1000BASE-BX10-D"
    " 1000BASE-BX10-U 1000BASE-LX10"
    # 50
    " 1000BASE-PX10-D 1000BASE-PX10-U 1000BASE-PX20-D 1000BASE-PX20-U 10GBASE-T 10GBASE-LRM 1000BASE-KX 10GBASE-KX4"
    " 10GBASE-KR 10GBASE-PRX-D1"
    # 60; -PRX is 10 Gb/s downstream, 1 Gb/s upstream
    " 10GBASE-PRX-D2 10GBASE-PRX-D3 10GBASE-PRX-U1 10GBASE-PRX-U2 10GBASE-PRX-U3 10GBASE-PR-D1 10GBASE-PR-D2"
    " 10GBASE-PR-D3 10GBASE-PR-U1 10GBASE-PR-U3"
    # 70
    " 40GBASE-KR4 40GBASE-CR4 40GBASE-SR4 40GBASE-FR 40GBASE-LR4 100GBASE-CR10 100GBASE-SR10 100GBASE-LR4"
    " 100GBASE-ER4 1000BASE-T1"
    # 80
    " 1000BASE-PX30-D 1000BASE-PX30-U 1000BASE-PX40-D 1000BASE-PX40-U 10GBASE-PRX-D4 10GBASE-PRX-U4 10GBASE-PR-D4"
    " 10GBASE-PR-U4 25GBASE-CR 25GBASE-CR-S"
    # 90
    " 25GBASE-KR 25GBASE-KR-S 25GBASE-R 25GBASE-SR 25GBASE-T 40GBASE-ER4 40GBASE-R 40GBASE-T 100GBASE-CR4 100GBASE-KR4"
    # 100
    " 100GBASE-KP4 100GBASE-R 100GBASE-SR4 2.5GBASE-T 5GBASE-T 100BASE-T1 1000BASE-RHA 1000BASE-RHB 1000BASE-RHC"
    " 2.5GBASE-KX"
    # 110
    " 2.5GBASE-X 5GBASE-KR 5GBASE-R 10GPASS-XR 25GBASE-LR 25GBASE-ER 50GBASE-R 50GBASE-CR 50GBASE-KR 50GBASE-SR"
    # 120
    " 50GBASE-FR 50GBASE-LR 50GBASE-ER 100GBASE-CR2 100GBASE-KR2 100GBASE-SR2 100GBASE-DR 200GBASE-R 200GBASE-DR4"
    " 200GBASE-FR4"
    # 130
    " 200GBASE-LR4 200GBASE-CR4 200GBASE-KR4 200GBASE-SR4 200GBASE-ER4 400GBASE-R 400GBASE-SR16 400GBASE-DR4"
    " 400GBASE-FR8 400GBASE-LR8"
    # 140
    " 400GBASE-ER8 10BASE-T1L 10BASE-T1S/half 10BASE-T1S-multidrop 10BASE-T1S/full 100GBASE-FR1 100GBASE-LR1"
    " 400GBASE-FR4".split()
)
