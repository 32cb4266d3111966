"""What DCBX is told, and what comes of it: values that are the same in IEEE, CEE and CIN."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from protocols.dcbx.model import Application, Eight

PRIORITIES = 8
MOST_APPLICATIONS = 128
"""All 64 DSCPs and as many others. More than that of a peer are nobody's configuration."""

PeerKey = tuple[int, bytes, int, bytes]
"""The neighbor's MSAP identifier."""

Body = tuple[bytes, int, bytes]
"""OUI, subtype and the octets after them."""


class Dialect(StrEnum):
    IEEE = "ieee"
    CEE = "cee"
    CIN = "cin"


class State(StrEnum):
    """Where a port is: DCBX is not spoken; nobody answers; one peer does; several do, so that none counts."""

    OFF = "off"
    ALONE = "alone"
    PEER = "peer"
    SUSPENDED = "suspended"


MOST_SAID: Mapping[Dialect, int] = MappingProxyType({Dialect.IEEE: 168, Dialect.CEE: 77, Dialect.CIN: 168})
"""For how many applications a TLV of 511 octets has room beside the rest of it; CIN names FCoE alone."""


@dataclass(frozen=True, slots=True)
class Tables:
    """ETS: classes by priority; algorithms (`TransmissionSelection`) and percentages by class."""

    prio_tc: Eight = (0,) * 8
    tc_tsa: Eight = (0,) * 8
    tc_bw: Eight = (0,) * 8


@dataclass(frozen=True, slots=True)
class DcbxSettings:
    """A port's side. `dialect` None: IEEE, or CEE or CIN once the peer speaks nothing else.

    `advertise` False: nothing is said; the peer is heard, and what would come of it is shown. `recommended` None: the
    peer is recommended nothing. `pfc` has bit n for priority n. `classes`, `capability`: how many traffic classes there
    are, and how many of them may have PFC at a time. `mbc`: MACsec cannot be bypassed (D.2.10.4).
    """

    dialect: Dialect | None = None
    advertise: bool = True
    ets: Tables = field(default_factory=Tables)
    ets_willing: bool = False
    recommended: Tables | None = None
    pfc: int = 0
    pfc_willing: bool = False
    apps: tuple[Application, ...] = ()
    apps_willing: bool = False
    classes: int = 8
    capability: int = 8
    credit_based_shaper: bool = False
    mbc: bool = False


@dataclass(frozen=True, slots=True)
class EtsResult:
    """`remote`: what the peer would have us use (IEEE: its recommendation). `reason` says why `operational` is so."""

    local: Tables
    operational: Tables
    remote: Tables | None = None
    willing: bool = False
    remote_willing: bool | None = None
    reason: str = ""
    error: bool = False


@dataclass(frozen=True, slots=True)
class PfcResult:
    """Bitmaps of priorities."""

    local: int
    operational: int
    remote: int | None = None
    willing: bool = False
    remote_willing: bool | None = None
    reason: str = ""
    error: bool = False


@dataclass(frozen=True, slots=True)
class AppResult:
    """`remote_willing` is None in IEEE, where applications have no such bit."""

    local: tuple[Application, ...]
    operational: tuple[Application, ...]
    remote: tuple[Application, ...] | None = None
    willing: bool = False
    remote_willing: bool | None = None
    reason: str = ""
    error: bool = False


@dataclass(frozen=True, slots=True)
class DcbxResult:
    """What a port has come to. `dialect` None: none is spoken. `peer`: who it is.

    `heard`: DCBX TLVs as they came last, and who says them; kept for a bug report also when they count for nothing.
    """

    state: State
    dialect: Dialect | None
    reason: str
    ets: EtsResult
    pfc: PfcResult
    app: AppResult
    peer: PeerKey | None = None
    heard: tuple[tuple[PeerKey, Body], ...] = ()
    warnings: tuple[str, ...] = ()
    seq_no: int | None = None
    ack_no: int | None = None


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A neighbor of the nearest bridge scope: who, from which address, and its organizational TLVs in their order."""

    key: PeerKey
    source: bytes
    bodies: tuple[Body, ...]
