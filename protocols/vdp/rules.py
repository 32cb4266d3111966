"""The rules of a bridge's policy, and how the one for a request is found."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.vdp.vlans import VIDS, Profile, Ranges
from protocols.vdp.vsi import Response, VsiId

# VID 1 is a VID like any other, but lldpad refuses it (interop-notes V14).
ASSIGNABLE: Ranges = ((2, 4094),)
# A rule for more type IDs is looked at for every request.
MOST_INDEXED_TYPES = 256


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests it is for (None: any), and what they are answered. `hard` and `keep` are bits of its refusals.

    `vids`: explicit VIDs that are granted, beside those of `assign` (None: all). `assign`: what a null VID may become,
    in this order (None: the same as `vids`; without these the default rule's; without that `ASSIGNABLE`). `pcp`: told
    where the station asks for none. `capacity`: VSIs at most. `delay`: microseconds that the VSI manager takes.
    `silent`: never answers, to test stations with.
    """

    managers: frozenset[bytes] | None = None
    type_ids: Ranges | None = None
    versions: Ranges | None = None
    instances: frozenset[VsiId] | None = None
    response: Response = Response.SUCCESS
    hard: bool = False
    keep: bool = False
    vids: Ranges | None = None
    assign: Ranges | None = None
    pcp: int | None = None
    capacity: int | None = None
    delay: int = 0
    silent: bool = False


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """The first of `rules` that fits, else `default`. `capacity`: VSIs at most, of all rules together.

    `exhausted`: the answer where capacity or the VIDs to assign have run out.
    """

    rules: tuple[Rule, ...] = ()
    default: Rule = Rule()
    capacity: int | None = None
    exhausted: Response = Response.INSUFFICIENT_RESOURCES


class IndexedRule:
    """A rule with its place among the others, and its ranges of VIDs as one octet a VID."""

    __slots__ = ("allowed", "assign", "assignable", "granted", "name", "number", "reserved", "terms")

    def __init__(self, terms: Rule, number: int, name: str, assign: Ranges, flags: "_Flags") -> None:
        self.terms = terms
        self.number = number
        self.name = name
        self.granted = f"{name}: {Response.SUCCESS}"
        self.assign = assign
        self.assignable = flags.of(assign)
        self.allowed = flags.of(_ANY_VID if terms.vids is None else (*_NULL_VID, *terms.vids, *assign))
        self.reserved = 0

    def fits(self, vsi_id: VsiId, profile: Profile) -> bool:
        terms = self.terms
        manager, type_id, version = profile
        return (
            (terms.managers is None or manager in terms.managers)
            and (terms.type_ids is None or _is_in(type_id, terms.type_ids))
            and (terms.versions is None or _is_in(version, terms.versions))
            and (terms.instances is None or vsi_id in terms.instances)
        )


class RuleIndex:
    """Finds the first rule that fits without looking at those of other VSIs and other types."""

    def __init__(self, rules: PolicyRules) -> None:
        self._by_instance: dict[VsiId, list[IndexedRule]] = {}
        self._by_type: dict[int, list[IndexedRule]] = {}
        self._others: list[IndexedRule] = []
        flags = _Flags()
        usual = rules.default.assign or rules.default.vids or ASSIGNABLE
        self._default = IndexedRule(rules.default, len(rules.rules), "default", usual, flags)
        for number, terms in enumerate(rules.rules):
            rule = IndexedRule(terms, number, f"rule[{number}]", terms.assign or terms.vids or usual, flags)
            if terms.instances is not None:
                for vsi_id in terms.instances:
                    self._by_instance.setdefault(vsi_id, []).append(rule)
            elif terms.type_ids is not None and _size(terms.type_ids) <= MOST_INDEXED_TYPES:
                for type_id in _numbers(terms.type_ids):
                    self._by_type.setdefault(type_id, []).append(rule)
            else:
                self._others.append(rule)

    def find(self, vsi_id: VsiId, profile: Profile) -> IndexedRule:
        found = self._default
        for candidates in (self._by_instance.get(vsi_id, ()), self._by_type.get(profile[1], ()), self._others):
            for rule in candidates:
                if rule.number > found.number:
                    break
                if rule.fits(vsi_id, profile):
                    found = rule
                    break
        return found


class _Flags:
    """Ranges of VIDs as octets, 1 for each VID that is in one; those of equal ranges are shared."""

    def __init__(self) -> None:
        self._made: dict[Ranges, bytes] = {}

    def of(self, ranges: Ranges) -> bytes:
        if ranges not in self._made:
            flags = bytearray(VIDS)
            for first, last in ranges:
                flags[first : last + 1] = b"\1" * (last + 1 - first)
            self._made[ranges] = bytes(flags)
        return self._made[ranges]


def _is_in(number: int, ranges: Ranges) -> bool:
    return any(first <= number <= last for first, last in ranges)


def _size(ranges: Ranges) -> int:
    return sum(last + 1 - first for first, last in ranges)


def _numbers(ranges: Ranges) -> Iterable[int]:
    return sorted({number for first, last in ranges for number in range(first, last + 1)})


_ANY_VID: Ranges = ((0, VIDS - 1),)
_NULL_VID: Ranges = ((0, 0),)
