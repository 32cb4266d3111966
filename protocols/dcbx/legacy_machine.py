"""DCBX of CEE 1.01 and CIN 1.00: the control machine and a machine for each feature (sheet `dcbx.md` 3.4, 3.5, 4).

Both sides number what they say of their features, and acknowledge the other's number. A feature's TLV changes with a
new number only, and the next number waits until the last one is acknowledged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from protocols.dcbx import cee
from protocols.dcbx.feature_rows import NOBODY, UNSOUND, Row, Use, View, deciding
from protocols.dcbx.features import FEATURES, FeatureKind, FeatureTlv
from protocols.dcbx.model import CEE_OUI, Control, LegacySubtype, LegacyTlv, SubTlv
from protocols.dcbx.settings import PRIORITIES, Body, DcbxSettings, Dialect
from protocols.dcbx.validity import fault_of_pfc
from protocols.errors import DecodeError

SUBTYPE: Mapping[Dialect, LegacySubtype] = MappingProxyType(
    {Dialect.CEE: LegacySubtype.CEE, Dialect.CIN: LegacySubtype.CIN}
)
NUMBERS = 1 << 32
OPER_VERSION = MAX_VERSION = 0


@dataclass(slots=True)
class FeatureMachine:
    """`said`: its TLV as it goes with the number that was sent last.

    `row`: which decided last; `waits`: which says that nothing is decided just now. `fault`: of the peer's settings.
    """

    operational: Any
    said: SubTlv | None = None
    synced: bool = False
    number: int = 1
    error: bool = False
    oper_mode: bool = False
    row: Row = NOBODY
    waits: Row | None = None
    remote: Any = None
    remote_willing: bool | None = None
    fault: str = ""

    @property
    def reason(self) -> str:
        """Why `operational` is what it is."""
        because = (self.fault if self.row is UNSOUND else "") or self.row.reason
        if self.waits is None:
            return because
        return self.waits.reason if self.row is NOBODY else f"{because}; {self.waits.reason}"


class LegacyMachine:
    """One dialect on one port, from when it is chosen until it is left. `settings` can change at any time."""

    def __init__(self, dialect: Dialect, settings: DcbxSettings) -> None:
        self.dialect = dialect
        self.settings = settings
        self.warnings: tuple[str, ...] = ()
        self.seq_no = self.ack_no = self.my_ack_no = 0
        self.peer_seq_no: int | None = None
        self.features = tuple((kind, FeatureMachine(kind.wanted(settings))) for kind in FEATURES)
        self._held: tuple[SubTlv, ...] = ()
        self._had_peer = False
        self._run(None, False)

    def forget(self) -> None:
        """There is another peer than before: nothing counts that was said to that one, or by it."""
        self._run(None, False)

    def run(self, settings: DcbxSettings, peer: LegacyTlv | None, several: bool) -> None:
        """This side's settings, and what the peer says, as they are now.

        `peer` None: nobody is there (any more). `several`: more than one is, so that none counts.
        """
        self.settings = settings
        self._run(peer, several)

    def say(self) -> tuple[Body, ...]:
        """The TLV to send."""
        if not self.settings.advertise:
            return ()
        control = Control(OPER_VERSION, MAX_VERSION, self.seq_no, self.ack_no)
        said = [feature.said for _, feature in self.features if feature.said is not None]
        subtype, body = cee.encode(LegacyTlv(SUBTYPE[self.dialect], (control, *said)))
        return ((CEE_OUI, subtype, body),)

    # The control machine (sheet 3.4).

    def _run(self, peer: LegacyTlv | None, several: bool) -> None:
        warnings: list[str] = []
        versions_agreed = True
        self._had_peer = self._had_peer or several or peer is not None
        sub_tlvs: tuple[SubTlv, ...] = ()
        if several:
            pass  # whom to acknowledge cannot be known
        elif peer is None:
            self.seq_no = self.ack_no = self.my_ack_no = 0
            self.peer_seq_no = None
            for _, feature in self.features:
                feature.synced, feature.number = False, 1
        else:
            versions_agreed, sub_tlvs = self._control(peer, warnings)
        views = self._decide(sub_tlvs, peer is not None and not several, versions_agreed, warnings)
        self._number()
        for view, (_, feature) in zip(views, self.features, strict=True):
            acknowledged = self.my_ack_no == feature.number
            row = deciding(replace(view, synced=feature.synced, acknowledged=acknowledged))
            feature.waits = row if row.use is Use.UNCHANGED else None
        self.warnings = tuple(warnings)

    def _control(self, peer: LegacyTlv, warnings: list[str]) -> tuple[bool, tuple[SubTlv, ...]]:
        """Whether the versions are agreed, and the features to go by."""
        controls = [one for one in peer.sub_tlvs if isinstance(one, Control)]
        if len(controls) != 1:
            warnings.append(f"{len(controls)} control TLVs in place of one")
            return True, ()
        (control,) = controls
        if control.oper_version != OPER_VERSION:
            warnings.append(f"version {control.oper_version} is in operation at the peer, {OPER_VERSION} here")
            return False, ()
        before = self.peer_seq_no
        anew = control.seq_no <= 1 or control.ack_no == 0  # so begins a peer that has just started
        if before is not None and _is_before(control.seq_no, before) and not anew:
            warnings.append(f"the peer's sequence number has gone back from {before} to {control.seq_no}")
            return True, self._held
        self.peer_seq_no = control.seq_no
        self.my_ack_no = control.ack_no
        self.ack_no = control.seq_no
        self._held = tuple(one for one in peer.sub_tlvs if not isinstance(one, Control))
        return True, self._held

    def _number(self) -> None:
        """Say what has changed, unless the last that was said is not acknowledged yet."""
        unsaid = [feature for _, feature in self.features if not feature.synced]
        if self.seq_no != self.my_ack_no or not unsaid:
            return
        for kind, feature in self.features:
            feature.said = self._tlv(kind, feature)
        self.seq_no = (self.seq_no + 1) % NUMBERS
        for feature in unsaid:
            feature.number = self.seq_no

    def _tlv(self, kind: FeatureKind, feature: FeatureMachine) -> SubTlv | None:
        return kind.tlv(self.dialect, self.settings, feature.error)

    # The feature machines (sheet 3.5).

    def _decide(
        self, sub_tlvs: tuple[SubTlv, ...], has_peer: bool, versions_agreed: bool, warnings: list[str]
    ) -> list[View]:
        views = [
            self._decide_on(kind, feature, kind.heard(self.dialect, sub_tlvs), has_peer, versions_agreed)
            for kind, feature in self.features
        ]
        for (kind, feature), view in zip(self.features, views, strict=True):
            if not view.feature_versions_agreed:
                warnings.append(f"{kind.title}: the peer has another version than {OPER_VERSION} in operation")
            if feature.fault:
                warnings.append(f"{kind.title} of the peer: {feature.fault}")
            elif feature.error and has_peer and feature.row is not NOBODY:
                warnings.append(f"{kind.title}: {feature.row.reason}")
        self._fit()
        return views

    def _decide_on(
        self,
        kind: FeatureKind,
        feature: FeatureMachine,
        heard: Sequence[FeatureTlv],
        has_peer: bool,
        versions_agreed: bool,
    ) -> View:
        own = kind.wanted(self.settings)
        theirs = heard[0] if heard else None
        willing, peer_willing = kind.willing(self.settings), bool(theirs and theirs.feature.willing)
        # What would not be used has to make sense, not to be possible here.
        judge = self.settings if willing and not peer_willing else _able(self.settings)
        ets = self.features[0][1].operational
        feature.remote, feature.fault = kind.value(theirs, judge, ets) if theirs else (None, "")
        feature.remote_willing = theirs.feature.willing if theirs else None
        self._notice(kind, feature)
        view = View(
            dialect=self.dialect,
            advertised=self.settings.advertise,
            synced=feature.synced,
            acknowledged=self.my_ack_no == feature.number,
            versions_agreed=versions_agreed,
            peer=has_peer,
            expired=self._had_peer,
            heard=theirs is not None,
            duplicated=len(heard) > 1,
            feature_versions_agreed=theirs is None or theirs.feature.oper_version == OPER_VERSION,
            enabled=True,
            peer_enabled=bool(theirs and theirs.feature.enable),
            willing=willing,
            peer_willing=peer_willing,
            peer_error=bool(theirs and theirs.feature.error),
            sound=feature.remote is not None,
            compatible=kind.compatible(self.dialect, own, feature.remote),
        )
        row = deciding(view)
        if row.use is not Use.UNCHANGED:
            feature.row = row
            feature.synced = feature.synced or (has_peer and view.acknowledged)
            feature.operational = kind.taken_over(own, feature.remote) if row.use is Use.PEER else own
            feature.oper_mode, feature.error = row.oper_mode(view), row.error(view)
            self._notice(kind, feature)
        return view

    def _fit(self) -> None:
        """What stayed as it was may not go with what has changed beside it."""
        (_, groups), (_, pfc), _ = self.features
        if fault_of_pfc(pfc.operational, groups.operational, self.settings.capability):
            pfc.operational = self.settings.pfc

    def _notice(self, kind: FeatureKind, feature: FeatureMachine) -> None:
        """Row 1: what is said of it has changed since it was said, and goes with the next number."""
        if feature.synced and self._tlv(kind, feature) != feature.said:
            feature.synced, feature.number = False, (self.seq_no + 1) % NUMBERS


def _able(settings: DcbxSettings) -> DcbxSettings:
    """A NIC that can have whatever makes sense."""
    return replace(settings, classes=PRIORITIES, capability=PRIORITIES, credit_based_shaper=True)


def read_peer(dialect: Dialect, bodies: Sequence[Body]) -> tuple[LegacyTlv | None, tuple[str, ...]]:
    """The peer's TLV in this dialect, the first if there are several, and what is wrong with the others."""
    found: LegacyTlv | None = None
    warnings: list[str] = []
    for oui, subtype, body in bodies:
        if oui != CEE_OUI or subtype != SUBTYPE[dialect]:
            continue
        try:
            tlv = cee.decode(subtype, body)
        except DecodeError as error:
            warnings.append(f"{dialect.name}: {error.reason}")
            continue
        if found is None:
            found = tlv
        else:
            warnings.append(f"{dialect.name}: its TLV is sent twice, the first counts")
    return found, tuple(warnings)


def legacy_dialect(bodies: Sequence[Body]) -> Dialect | None:
    """The better of those that are spoken."""
    spoken = {subtype for oui, subtype, _ in bodies if oui == CEE_OUI}
    return next((dialect for dialect, subtype in SUBTYPE.items() if subtype in spoken), None)


def _is_before(number: int, other: int) -> bool:
    """In the circle of sequence numbers."""
    return number != other and (other - number) % NUMBERS < NUMBERS // 2
