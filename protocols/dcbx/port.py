"""DCBX of one port: which dialect is spoken with whom, and what comes of it (sheet `dcbx.md` 5).

There are no timers: all follows from the settings and from what the neighbors of the nearest bridge scope say now, but
for the sequence numbers of CEE and CIN, and for the dialect that was fallen back to.
"""

from collections.abc import Mapping
from dataclasses import replace

from protocols.dcbx.features import sayable
from protocols.dcbx.ieee_machine import NOBODY, IeeeOutcome, keeps_own, operate, say, speaks_ieee
from protocols.dcbx.ieee_machine import read_peer as read_ieee_peer
from protocols.dcbx.legacy_machine import LegacyMachine, legacy_dialect
from protocols.dcbx.legacy_machine import read_peer as read_legacy_peer
from protocols.dcbx.model import CEE_OUI, LegacySubtype, LegacyTlv
from protocols.dcbx.settings import (
    MOST_SAID,
    AppResult,
    Body,
    DcbxResult,
    DcbxSettings,
    Dialect,
    EtsResult,
    Neighbor,
    PeerKey,
    PfcResult,
    State,
)


class DcbxPort:
    """`settings` None: DCBX is off. `result` is what the port has come to, `tlvs` what it has to say."""

    def __init__(self, settings: DcbxSettings | None, mac_address: bytes) -> None:
        self.settings = settings
        self._mac_address = mac_address
        self._fallen_back: Dialect | None = None
        self._legacy: LegacyMachine | None = None
        self._partner: PeerKey | None = None  # whom the numbers of the legacy machine are for
        self._speakers: Mapping[PeerKey, Neighbor] = {}
        self.result: DcbxResult | None = None
        self.tlvs: tuple[Body, ...] = ()
        self._run()

    def configure(self, settings: DcbxSettings | None, mac_address: bytes) -> None:
        """Other settings. Another dialect, or another address, begins anew."""
        before = self.settings.dialect if self.settings else None
        if (settings.dialect if settings else None) != before or mac_address != self._mac_address:
            self._fallen_back = self._legacy = None
        self.settings, self._mac_address = settings, mac_address
        self._run()

    def clear(self) -> None:
        """The link is down: there is nobody, and the dialect is chosen anew."""
        self._speakers = {}
        self._fallen_back = self._legacy = None
        self._run()

    def heard(self, neighbor: Neighbor) -> None:
        """A neighbor of the nearest bridge scope, as it is now. One that speaks no DCBX does not count."""
        peers = {key: one for key, one in self._speakers.items() if key != neighbor.key}
        if any(map(_is_dcbx, neighbor.bodies)):
            peers[neighbor.key] = neighbor
        self._know(peers)

    def lost(self, key: PeerKey) -> None:
        """A neighbor said goodbye, or was silent for its TTL."""
        if key in self._speakers:
            self._know({other: one for other, one in self._speakers.items() if other != key})

    def _know(self, speakers: Mapping[PeerKey, Neighbor]) -> None:
        if speakers != self._speakers:
            self._speakers = speakers
            self._run()

    def _run(self) -> None:
        if self.settings is None:
            self.result, self.tlvs = None, ()
            self._fallen_back = self._legacy = None
            return
        dialect = self._dialect(self.settings)
        if dialect is Dialect.IEEE:
            self._legacy = None
            self._run_ieee(self.settings)
        else:
            self._run_legacy(self.settings, dialect)

    def _dialect(self, settings: DcbxSettings) -> Dialect:
        """IEEE until the only peer speaks nothing but CEE or CIN, and again when it is gone or speaks IEEE (5.1)."""
        if settings.dialect is not None:
            return settings.dialect
        if len(self._peers) != 1 or speaks_ieee(self._peers[0].bodies):
            self._fallen_back = None
        else:
            self._fallen_back = legacy_dialect(self._peers[0].bodies)
        return self._fallen_back or Dialect.IEEE

    def _run_ieee(self, settings: DcbxSettings) -> None:
        peer, wins_tie = NOBODY, True
        wrong: tuple[str, ...] = ()
        only = self._only
        if only is not None:
            peer, wrong = read_ieee_peer(only.bodies)
            wins_tie = keeps_own(self._mac_address, only.source)
        outcome = operate(settings, peer, wins_tie)
        if only is None:
            outcome = _alone(outcome, self._why_alone)
        self.tlvs = say(settings, outcome) if settings.advertise else ()
        self.result = self._result(
            Dialect.IEEE, outcome.ets, outcome.pfc, outcome.app, (*wrong, *outcome.warnings), None
        )

    def _run_legacy(self, settings: DcbxSettings, dialect: Dialect) -> None:
        only = self._only
        peer: LegacyTlv | None = None
        wrong: tuple[str, ...] = ()
        if only is not None:
            peer, wrong = read_legacy_peer(dialect, only.bodies)
        if self._legacy is None or self._legacy.dialect is not dialect:
            self._legacy, self._partner = LegacyMachine(dialect, settings), None
        machine = self._legacy
        if only is not None:
            if self._partner not in (None, only.key):
                machine.forget()
            self._partner = only.key
        machine.run(settings, peer, len(self._peers) > 1)
        self.tlvs = machine.say()
        ets, pfc, app = _legacy_results(settings, machine)
        if peer is None:
            because = self._why_alone if only is None else f"the peer says nothing in {dialect.name}"
            ets, pfc, app = replace(ets, reason=because), replace(pfc, reason=because), replace(app, reason=because)
        self.result = self._result(dialect, ets, pfc, app, (*wrong, *machine.warnings), machine)

    def _result(
        self,
        dialect: Dialect,
        ets: EtsResult,
        pfc: PfcResult,
        app: AppResult,
        warnings: tuple[str, ...],
        machine: LegacyMachine | None,
    ) -> DcbxResult:
        assert self.settings is not None
        only = self._only
        unsaid = len(sayable(dialect, self.settings.apps)) - MOST_SAID[dialect]
        if unsaid > 0 and self.settings.advertise:
            warnings = (*warnings, f"the last {unsaid} applications are not announced: a TLV has no room for them")
        if len(self._peers) > 1:
            names = ", ".join(sorted(_name(one.key) for one in self._peers))
            warnings = (*warnings, f"DCBX is suspended: {len(self._peers)} neighbors speak it ({names})")
        return DcbxResult(
            state=self._state,
            dialect=dialect,
            reason=self._reason(self.settings, dialect),
            ets=ets,
            pfc=pfc,
            app=app,
            peer=only.key if only else None,
            heard=tuple((one.key, body) for one in self._peers for body in one.bodies if _is_dcbx(body)),
            warnings=warnings,
            seq_no=machine.seq_no if machine else None,
            ack_no=machine.ack_no if machine else None,
        )

    @property
    def _peers(self) -> tuple[Neighbor, ...]:
        return tuple(self._speakers.values())

    @property
    def _only(self) -> Neighbor | None:
        """The peer, if it is the only one."""
        return self._peers[0] if len(self._peers) == 1 else None

    @property
    def _state(self) -> State:
        if len(self._peers) > 1:
            return State.SUSPENDED
        return State.PEER if self._peers else State.ALONE

    @property
    def _why_alone(self) -> str:
        return "several neighbors speak DCBX, so none counts" if self._peers else "no neighbor speaks DCBX"

    def _reason(self, settings: DcbxSettings, dialect: Dialect) -> str:
        """Why this dialect is spoken with this peer, or with nobody."""
        only = self._only
        if only is None:
            return self._why_alone
        if settings.dialect is not None:
            return f"{dialect.name} is configured"
        if dialect is Dialect.IEEE:
            return "the peer speaks IEEE"
        return f"the peer speaks {dialect.name} and no IEEE"


def _is_dcbx(body: Body) -> bool:
    oui, subtype, _ = body
    return speaks_ieee((body,)) or (oui == CEE_OUI and subtype in tuple(LegacySubtype))


def _name(key: PeerKey) -> str:
    """The chassis ID, which is an address most of the time."""
    return key[1].hex(":")


def _alone(outcome: IeeeOutcome, because: str) -> IeeeOutcome:
    """There is no peer: local settings are in operation, whatever is willing."""
    return IeeeOutcome(
        replace(outcome.ets, reason=because), replace(outcome.pfc, reason=because), replace(outcome.app, reason=because)
    )


def _legacy_results(settings: DcbxSettings, machine: LegacyMachine) -> tuple[EtsResult, PfcResult, AppResult]:
    (_, ets), (_, pfc), (_, app) = machine.features
    return (
        EtsResult(
            settings.ets,
            ets.operational,
            ets.remote,
            settings.ets_willing,
            ets.remote_willing,
            ets.reason,
            ets.error,
        ),
        PfcResult(
            settings.pfc,
            pfc.operational,
            pfc.remote,
            settings.pfc_willing,
            pfc.remote_willing,
            pfc.reason,
            pfc.error,
        ),
        AppResult(
            settings.apps,
            app.operational,
            app.remote,
            settings.apps_willing,
            app.remote_willing,
            app.reason,
            app.error,
        ),
    )
