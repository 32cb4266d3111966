"""DCBX of IEEE 802.1Q: no handshake, all follows from both sides' TLVs (clause 38; sheet `dcbx.md` 2).

The machines are tables: which side's settings are in operation, by what the sheet's tables ask for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from protocols.dcbx import ieee
from protocols.dcbx.model import (
    Application,
    ApplicationPriority,
    EtsConfiguration,
    EtsRecommendation,
    IeeeSubtype,
    IeeeTlv,
    PfcConfiguration,
)
from protocols.dcbx.settings import (
    MOST_SAID,
    PRIORITIES,
    AppResult,
    Body,
    DcbxSettings,
    Dialect,
    EtsResult,
    PfcResult,
    Tables,
)
from protocols.dcbx.validity import (
    SELECTIONS_OF_PEERS,
    fault_of_applications,
    fault_of_pfc,
    fault_of_remote_tables,
    fault_of_tables,
    sound_applications,
    without_idle_shares,
)
from protocols.errors import DecodeError

SUBTYPES = frozenset(
    {
        IeeeSubtype.ETS_CONFIGURATION,
        IeeeSubtype.ETS_RECOMMENDATION,
        IeeeSubtype.PFC_CONFIGURATION,
        IeeeSubtype.APPLICATION_PRIORITY,
    }
)


class Use(Enum):
    """Whose settings are in operation. TIE: those of the port that `keeps_own` says."""

    LOCAL = "local"
    REMOTE = "remote"
    TIE = "tie"


# The asymmetric state machine (sheet 2.1): willing, a recommendation is there.
ETS_RULES: Mapping[tuple[bool, bool], tuple[Use, str]] = MappingProxyType(
    {
        (False, False): (Use.LOCAL, "not willing"),
        (False, True): (Use.LOCAL, "not willing"),
        (True, False): (Use.LOCAL, "willing, and the peer recommends nothing"),
        (True, True): (Use.REMOTE, "willing: the peer's recommendation"),
    }
)

# The symmetric state machine (sheet 2.2): willing, the peer's willing (None: it sends no PFC).
PFC_RULES: Mapping[tuple[bool, bool | None], tuple[Use, str]] = MappingProxyType(
    {
        (False, None): (Use.LOCAL, "not willing"),
        (False, False): (Use.LOCAL, "neither side is willing"),
        (False, True): (Use.LOCAL, "not willing: the peer follows"),
        (True, None): (Use.LOCAL, "willing, and the peer says nothing of PFC"),
        (True, False): (Use.REMOTE, "willing, and the peer is not"),
        (True, True): (Use.TIE, "both sides are willing"),
    }
)


@dataclass(frozen=True, slots=True)
class IeeePeer:
    """What the peer's TLVs say; None: it does not send such a TLV."""

    configuration: EtsConfiguration | None = None
    recommendation: EtsRecommendation | None = None
    pfc: PfcConfiguration | None = None
    applications: ApplicationPriority | None = None


@dataclass(frozen=True, slots=True)
class IeeeOutcome:
    ets: EtsResult
    pfc: PfcResult
    app: AppResult
    warnings: tuple[str, ...] = ()


NOBODY = IeeePeer()


def keeps_own(local_mac: bytes, remote_mac: bytes) -> bool:
    """The tie break of the symmetric machine: the higher address keeps its settings, as lldpad's does on the wire."""
    return local_mac > remote_mac


def speaks_ieee(bodies: Sequence[Body]) -> bool:
    return any(oui == ieee.OUI and subtype in SUBTYPES for oui, subtype, _ in bodies)


def read_peer(bodies: Sequence[Body]) -> tuple[IeeePeer, tuple[str, ...]]:
    """The peer's TLVs, the first of each kind, and what is wrong with the others."""
    found: dict[type[IeeeTlv], IeeeTlv] = {}
    warnings: list[str] = []
    for oui, subtype, body in bodies:
        if oui != ieee.OUI or subtype not in SUBTYPES:
            continue
        try:
            tlv = ieee.decode(subtype, body)
        except DecodeError as error:
            warnings.append(f"{IeeeSubtype(subtype).name}: {error.reason}")
            continue
        if tlv is None or type(tlv) in found:
            warnings.append(f"{IeeeSubtype(subtype).name}: it is sent twice, the first counts")
        else:
            found[type(tlv)] = tlv
    configuration, recommendation = found.get(EtsConfiguration), found.get(EtsRecommendation)
    pfc, applications = found.get(PfcConfiguration), found.get(ApplicationPriority)
    assert configuration is None or isinstance(configuration, EtsConfiguration)
    assert recommendation is None or isinstance(recommendation, EtsRecommendation)
    assert pfc is None or isinstance(pfc, PfcConfiguration)
    assert applications is None or isinstance(applications, ApplicationPriority)
    return IeeePeer(configuration, recommendation, pfc, applications), tuple(warnings)


def operate(settings: DcbxSettings, peer: IeeePeer, wins_tie: bool) -> IeeeOutcome:
    """What is in operation. `wins_tie`: what `keeps_own` says of the two ports."""
    ets = _ets(settings, peer)
    pfc = _pfc(settings, peer, ets.operational, wins_tie)
    app, faults = _app(settings, peer)
    wrong = [f"ETS of the peer is not used: {ets.reason}"] if ets.error else []
    wrong += [f"PFC of the peer is not used: {pfc.reason}"] if pfc.error else []
    return IeeeOutcome(ets, pfc, app, (*wrong, *faults, *_shortcomings(peer, ets.error)))


def say(settings: DcbxSettings, outcome: IeeeOutcome) -> tuple[Body, ...]:
    """The TLVs to send: what is in operation, not what is configured (sheet 2), but for two of them.

    The recommendation is this side's wish. Of applications only this side's own are named, never those that the peer
    has named: two that echo each other could never take an entry back.
    """
    ets = outcome.ets.operational
    tlvs: list[IeeeTlv] = [
        EtsConfiguration(
            settings.ets_willing,
            settings.credit_based_shaper,
            settings.classes,
            ets.prio_tc,
            ets.tc_bw,
            ets.tc_tsa,
        )
    ]
    if settings.recommended is not None:
        wish = settings.recommended
        tlvs.append(EtsRecommendation(wish.prio_tc, wish.tc_bw, wish.tc_tsa))
    tlvs.append(PfcConfiguration(settings.pfc_willing, settings.mbc, settings.capability, outcome.pfc.operational))
    tlvs.append(ApplicationPriority(settings.apps[: MOST_SAID[Dialect.IEEE]]))
    return tuple((ieee.OUI, *ieee.encode(tlv)) for tlv in tlvs)


def _ets(settings: DcbxSettings, peer: IeeePeer) -> EtsResult:
    wish = peer.recommendation
    remote = None if wish is None else Tables(wish.priority_assignment, wish.selection, wish.bandwidth)
    use, reason = ETS_RULES[settings.ets_willing, remote is not None]
    operational, error = settings.ets, False
    if use is Use.REMOTE and remote is not None:
        fault = fault_of_remote_tables(remote, settings)
        if fault:
            reason, error = fault, True
        else:
            operational = without_idle_shares(remote)
    remote_willing = None if peer.configuration is None else peer.configuration.willing
    return EtsResult(settings.ets, operational, remote, settings.ets_willing, remote_willing, reason, error)


def _pfc(settings: DcbxSettings, peer: IeeePeer, ets: Tables, wins_tie: bool) -> PfcResult:
    remote = None if peer.pfc is None else peer.pfc.enable
    remote_willing = None if peer.pfc is None else peer.pfc.willing
    use, reason = PFC_RULES[settings.pfc_willing, remote_willing]
    if use is Use.TIE:
        use = Use.LOCAL if wins_tie else Use.REMOTE
        reason += ": the higher MAC address keeps its own, which is " + ("this port's" if wins_tie else "the peer's")
    operational, error = settings.pfc, False
    if use is Use.REMOTE and remote is not None:
        fault = fault_of_pfc(remote, ets, settings.capability)
        if fault:
            reason, error = fault, True
        else:
            operational = remote
    elif remote is not None and remote != settings.pfc and not remote_willing:
        reason += ", and they differ: frames are lost where only one of them pauses"
    return PfcResult(settings.pfc, operational, remote, settings.pfc_willing, remote_willing, reason, error)


def _app(settings: DcbxSettings, peer: IeeePeer) -> tuple[AppResult, tuple[str, ...]]:
    """There is no machine. Own entries come first; the peer's are taken over where that is wished for (sheet 2.3)."""
    own, willing = settings.apps, settings.apps_willing
    if peer.applications is None:
        return AppResult(own, own, None, willing, None, "the peer names none"), ()
    told = peer.applications.applications
    fault = fault_of_applications(told)
    if fault:
        return AppResult(own, own, told, willing, None, fault, True), (f"applications of the peer: {fault}",)
    sound, faults = sound_applications(told)
    warnings = tuple(f"applications of the peer: {fault}" for fault in faults)
    if not willing:
        return AppResult(own, own, told, willing, None, "the peer's are not taken over", bool(faults)), warnings
    merged = merged_applications(own, sound)
    reason = "the peer's are taken over" if len(merged) > len(own) else "the peer names no others"
    return AppResult(own, merged, told, willing, None, reason, bool(faults)), warnings


def merged_applications(own: tuple[Application, ...], others: tuple[Application, ...]) -> tuple[Application, ...]:
    """Own ones, and those of the others for protocols that none of them is for."""
    known = {(application.selector, application.protocol) for application in own}
    return own + tuple(one for one in others if (one.selector, one.protocol) not in known)


def _shortcomings(peer: IeeePeer, refused: bool) -> list[str]:
    """What of the peer's is absurd, though nothing follows from it here. `refused`: its recommendation is, by name."""
    found: list[str] = []
    configuration, wish = peer.configuration, peer.recommendation
    if configuration is not None:
        tables = Tables(configuration.priority_assignment, configuration.selection, configuration.bandwidth)
        fault = fault_of_tables(tables, configuration.traffic_classes, SELECTIONS_OF_PEERS)
        found += [f"ETS in operation at the peer: {fault}"] if fault else []
    if wish is not None and not refused:
        tables = Tables(wish.priority_assignment, wish.selection, wish.bandwidth)
        fault = fault_of_tables(tables, PRIORITIES, SELECTIONS_OF_PEERS)
        found += [f"ETS that the peer recommends: {fault}"] if fault else []
    return found
