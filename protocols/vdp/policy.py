"""What a bridge answers: rules for port profiles, capacity, and the VIDs it assigns (sheet `vdp.md` 1 and 5).

This is the standard's "VSI manager" as far as a switch can be its own. The first rule that fits a request decides.
PreAssociate with resource reservation and Associate hold one unit of capacity for each VSI and port. A null VID is
answered with the VLAN of the entry's GroupID, or without one of the VSI's port profile (manager, type ID and version:
a VLAN belongs to a profile, not to a VSI). In whatever mode, a VSI keeps the VIDs it was told until it is released,
else a station would preassociate with one VLAN and associate with another.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from protocols.vdp.filter import FilterEntry, FilterFormat, Filters, validate
from protocols.vdp.rules import IndexedRule, PolicyRules, RuleIndex
from protocols.vdp.vlans import Owner, Profile, Vlans
from protocols.vdp.vsi import Mode, Response, VsiId, VsiIdFormat, VsiTlv


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request. `filters`: as asked, in a grant with VIDs and priorities filled in."""

    response: Response
    filters: Filters
    hard: bool = False
    keep: bool = False
    delay: int = 0
    silent: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one VSI holds. `rule`: which one granted it, "rule[2]" or "default"; `reserved`: a unit of capacity."""

    port: Hashable
    vsi_id: VsiId
    rule: str
    reserved: bool
    vids: tuple[int, ...]


class BridgePolicy:
    """Decides for all ports of one switch, at a cost that grows neither with rules nor with ports nor with VSIs."""

    def __init__(self, rules: PolicyRules | None = None) -> None:
        self._rules = PolicyRules()
        self._index = RuleIndex(self._rules)
        self._held: dict[tuple[Hashable, VsiId], _Held] = {}
        self._vlans = Vlans()
        self._reserved = 0
        if rules is not None:
            self.replace(rules)

    def replace(self, rules: PolicyRules) -> None:
        """Other rules from the next request on. What VSIs hold stays theirs, and counts where it now belongs."""
        self._rules = rules
        self._index = RuleIndex(rules)
        for (_, vsi_id), held in self._held.items():
            held.rule = self._index.find(vsi_id, held.profile)
            held.rule.reserved += held.reserved

    def decide(self, port: Hashable, tlv: VsiTlv) -> Decision:
        """Answer a request or a keep-alive (the same again), and take or give back what the answer means."""
        profile = tlv.manager, tlv.type_id, tlv.version
        rule = self._index.find(tlv.vsi_id, profile)
        terms = rule.terms
        if tlv.mode is Mode.DEASSOCIATE:
            self.release(port, tlv.vsi_id)
            return Decision(Response.SUCCESS, tlv.filters, silent=terms.silent, reason="released")
        if terms.silent:
            return Decision(terms.response, tlv.filters, silent=True, reason=f"{rule.name}: silent")
        if fault := _fault(tlv):
            self.release(port, tlv.vsi_id)
            return fault
        former = self._held.get((port, tlv.vsi_id))
        try:
            held = self._consider(tlv, profile, rule, former)
        except _Refused as refused:
            # Only Keep saves what was before: any other refusal ends the VSI.
            if not terms.keep:
                self.release(port, tlv.vsi_id)
            return Decision(
                refused.response, tlv.filters, terms.hard, terms.keep, terms.delay, reason=f"{rule.name}: {refused}"
            )
        if former is not None:
            self._give_back(former)
        self._take(held)
        self._held[port, tlv.vsi_id] = held
        return Decision(Response.SUCCESS, held.answer, delay=terms.delay, reason=rule.granted)

    def release(self, port: Hashable, vsi_id: VsiId) -> None:
        """The VSI is not on the port any more. Nothing happens if it held nothing."""
        held = self._held.pop((port, vsi_id), None)
        if held is not None:
            self._give_back(held)

    @property
    def reserved(self) -> int:
        """Units of capacity in use."""
        return self._reserved

    def holdings(self) -> Iterator[Holding]:
        """What VSIs hold, those first that have held something for longest."""
        for (port, vsi_id), held in self._held.items():
            yield Holding(port, vsi_id, held.rule.name, held.reserved, held.vids)

    def _consider(self, tlv: VsiTlv, profile: Profile, rule: IndexedRule, former: "_Held | None") -> "_Held":
        """What the VSI is to hold; `_Refused` if it may not. Nothing is taken yet."""
        terms = rule.terms
        if terms.response is not Response.SUCCESS:
            raise _Refused(terms.response, terms.response)
        reserved = tlv.mode is not Mode.PREASSOCIATE
        if reserved:
            self._check_capacity(rule, former if former is not None and former.reserved else None)
        answer, asked = tlv.filters, _vids(tlv.filters)
        given = () if former is None else former.given
        for vid in asked:
            if not rule.allowed[vid] and vid not in given:
                raise _Refused(Response.INVALID_ADDRESS, f"VID {vid} is not among its VIDs")
        vids = asked
        if 0 in asked:
            answer = self._fill(answer, profile, rule, former)
            vids = _vids(answer)
        if given or vids is not asked:
            given = tuple(vid for vid in vids if vid in given or vid not in asked)
        if terms.pcp is not None:
            answer = _with_pcp(answer, terms.pcp)
        return _Held(rule, profile, reserved, answer, vids, given)

    def _check_capacity(self, rule: IndexedRule, former: "_Held | None") -> None:
        """`former`: what the VSI has reserved already."""
        most = rule.terms.capacity
        if most is not None and rule.reserved >= most and (former is None or former.rule is not rule):
            raise _Refused(self._rules.exhausted, f"its capacity of {most} VSIs is in use")
        most = self._rules.capacity
        if most is not None and self._reserved >= most and former is None:
            raise _Refused(self._rules.exhausted, f"the switch's capacity of {most} VSIs is in use")

    def _fill(self, filters: Filters, profile: Profile, rule: IndexedRule, former: "_Held | None") -> Filters:
        """The filters with a VID in each place of a null one; `_Refused` when none is left."""
        asked = {(entry.vid, entry.mac, entry.group) for entry in filters.entries}
        besides = {entry.vid for entry in filters.entries}
        chosen: dict[Owner, int] = {}
        entries = []
        for place, entry in enumerate(filters.entries):
            if entry.vid == 0:
                owner = profile if entry.group is None else entry.group
                vid = _told(former, place, entry, profile) or chosen.get(owner) or self._vlans.of(owner)
                if not vid or (vid, entry.mac, entry.group) in asked:
                    vid = self._vlans.free(rule.assign, besides) or self._own_vid(former, rule, besides)
                    if not vid:
                        raise _Refused(self._rules.exhausted, "no VID is left to assign")
                chosen.setdefault(owner, vid)
                besides.add(vid)
                entry = FilterEntry(vid, entry.pcp, entry.mac, entry.group)
            entries.append(entry)
        return Filters(filters.format, tuple(entries))

    def _own_vid(self, former: "_Held | None", rule: IndexedRule, besides: set[int]) -> int:
        """A VID that only this VSI uses, and will not any more; 0 when there is none."""
        for vid in () if former is None else former.vids:
            if rule.assignable[vid] and vid not in besides and self._vlans.users(vid) == 1:
                return vid
        return 0

    def _take(self, held: "_Held") -> None:
        claims: dict[Owner, int] = {}
        for entry in held.answer.entries:
            owner = held.profile if entry.group is None else entry.group
            if entry.vid in held.given:
                claims[owner] = entry.vid
            elif held.rule.assignable[entry.vid]:
                # Told by an earlier life of this switch, perhaps: whoever asks for a VID now is to get the same.
                claims.setdefault(owner, entry.vid)
        held.owners = self._vlans.take(held.vids, claims)
        self._reserved += held.reserved
        held.rule.reserved += held.reserved

    def _give_back(self, held: "_Held") -> None:
        self._vlans.give_back(held.vids, held.owners)
        self._reserved -= held.reserved
        held.rule.reserved -= held.reserved


class _Refused(Exception):
    """The request is not granted."""

    def __init__(self, response: Response, reason: str) -> None:
        super().__init__(reason)
        self.response = response


@dataclass(slots=True)
class _Held:
    """What one VSI has been granted. `given`: those of its VIDs that the switch chose."""

    rule: IndexedRule
    profile: Profile
    reserved: bool
    answer: Filters
    vids: tuple[int, ...]
    given: tuple[int, ...]
    owners: tuple[Owner, ...] = ()


def _fault(tlv: VsiTlv) -> Decision | None:
    """The refusal of a request that no rule could grant."""
    if tlv.vsi_id.format not in _VSI_ID_FORMATS:
        return Decision(Response.INVALID_FORMAT, tlv.filters, reason=f"VSI ID format {tlv.vsi_id.format} is unknown")
    if tlv.filters.format not in _FILTER_FORMATS:
        return Decision(Response.INVALID_FORMAT, tlv.filters, reason=f"filter format {tlv.filters.format} is unknown")
    reason = validate(tlv.filters)
    return None if reason is None else Decision(Response.INVALID_ADDRESS, tlv.filters, reason=reason)


def _told(former: _Held | None, place: int, entry: FilterEntry, profile: Profile) -> int:
    """The VID that this entry of the VSI has had before; 0 if there was none."""
    if former is None or former.profile != profile or place >= len(former.answer.entries):
        return 0
    before = former.answer.entries[place]
    return before.vid if (before.mac, before.group) == (entry.mac, entry.group) else 0


def _vids(filters: Filters) -> tuple[int, ...]:
    entries = filters.entries
    return (entries[0].vid,) if len(entries) == 1 else tuple({entry.vid: None for entry in entries})


def _with_pcp(filters: Filters, pcp: int) -> Filters:
    entries = (
        FilterEntry(entry.vid, pcp, entry.mac, entry.group) if entry.pcp is None else entry for entry in filters.entries
    )
    return Filters(filters.format, tuple(entries))


_VSI_ID_FORMATS = frozenset(VsiIdFormat)
_FILTER_FORMATS = frozenset(FilterFormat)
