"""ETS tables as CEE's priority groups and CIN's bandwidth groups, and back (sheet `dcbx.md` 3.3, 4).

A class that shares bandwidth is a group with its number. A strict class is CEE's group 15, and has CIN's link strict
priorities: neither dialect tells two strict classes apart.
"""

from protocols.dcbx.model import (
    LINK_STRICT_GROUP,
    CinPriority,
    CinPriorityGroups,
    Eight,
    Feature,
    PriorityGroups,
    StrictPriority,
    TransmissionSelection,
)
from protocols.dcbx.settings import PRIORITIES, Tables

ETS = TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION
STRICT = TransmissionSelection.STRICT_PRIORITY
ALL = 100


def cee_groups(tables: Tables, feature: Feature, classes: int) -> PriorityGroups:
    shared = _shared(tables)
    groups = [number if shared[number] else LINK_STRICT_GROUP for number in tables.prio_tc]
    return PriorityGroups(feature, _eight(groups), _shares(tables), classes)


def cin_groups(tables: Tables, feature: Feature) -> CinPriorityGroups:
    shared = _shared(tables)
    priorities = []
    for number in tables.prio_tc:
        members = tables.prio_tc.count(number)
        if shared[number]:
            priorities.append(CinPriority(number, StrictPriority.NONE, ALL // members))
        else:
            priorities.append(CinPriority(number, StrictPriority.LINK, 0))
    return CinPriorityGroups(feature, _shares(tables), tuple(priorities))


def tables_of_cee(groups: PriorityGroups, classes: int) -> tuple[Tables | None, str]:
    """What they come to in so many classes; None and why not when they mean nothing, or take too many.

    Groups become classes in the order of their numbers, those that have only a bandwidth too, so that it sums up;
    strict priorities become the highest class.
    """
    reserved = [number for number in groups.group_ids if PRIORITIES <= number < LINK_STRICT_GROUP]
    if reserved:
        return None, f"the priority group {reserved[0]} is reserved"
    return _tables(groups.group_ids, groups.bandwidth, classes)


def tables_of_cin(groups: CinPriorityGroups, classes: int) -> tuple[Tables | None, str]:
    """The same; what divides a group among its priorities has no counterpart."""
    if any(priority.strict == StrictPriority.GROUP for priority in groups.priorities):
        return None, "a priority comes before the others of its group, which classes cannot have"
    numbers = [
        LINK_STRICT_GROUP if priority.strict == StrictPriority.LINK else priority.group
        for priority in groups.priorities
    ]
    return _tables(_eight(numbers), groups.bandwidth, classes)


def _tables(groups: Eight, shares: Eight, classes: int) -> tuple[Tables | None, str]:
    used = sorted({number for number in groups if number != LINK_STRICT_GROUP})
    total = sum(shares)
    if total not in ((ALL,) if used else (0, ALL)):
        return None, f"the bandwidths of the groups are {total} %, not 100"
    if used:
        used = sorted({*used, *(number for number, share in enumerate(shares) if share)})
    is_strict = LINK_STRICT_GROUP in groups
    needed = len(used) + is_strict
    if needed > classes:
        return None, f"{needed} groups, and {classes} traffic classes"
    place = {number: index for index, number in enumerate(used)} | {LINK_STRICT_GROUP: len(used)}
    bandwidth = [shares[number] for number in used]
    selection = [int(ETS)] * len(used)
    left = PRIORITIES - len(used)
    return Tables(
        _eight([place[number] for number in groups]),
        _eight(selection + [int(STRICT)] * left),
        _eight(bandwidth + [0] * left),
    ), ""


def _shared(tables: Tables) -> tuple[bool, ...]:
    """Which classes share bandwidth and have some."""
    return tuple(tsa == ETS and share > 0 for tsa, share in zip(tables.tc_tsa, tables.tc_bw, strict=True))


def _shares(tables: Tables) -> Eight:
    used = set(tables.prio_tc)
    shared = _shared(tables)
    return _eight([share if shared[n] and n in used else 0 for n, share in enumerate(tables.tc_bw)])


def _eight(numbers: list[int]) -> Eight:
    one, two, three, four, five, six, seven, eight = numbers
    return one, two, three, four, five, six, seven, eight
