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
    eight,
)
from protocols.dcbx.settings import PRIORITIES, Tables
from protocols.dcbx.validity import ALL, ETS, STRICT


def cee_groups(tables: Tables, feature: Feature, classes: int) -> PriorityGroups:
    shares = _shares(tables)
    groups = [number if number in shares else LINK_STRICT_GROUP for number in tables.prio_tc]
    return PriorityGroups(feature, eight(groups), _table(shares), classes)


def cin_groups(tables: Tables, feature: Feature) -> CinPriorityGroups:
    shares = _shares(tables)
    priorities = []
    for priority, number in enumerate(tables.prio_tc):
        if number in shares:
            percent = _part(tables.prio_tc[:priority].count(number), tables.prio_tc.count(number))
            priorities.append(CinPriority(number, StrictPriority.NONE, percent))
        else:
            priorities.append(CinPriority(number, StrictPriority.LINK, 0))
    return CinPriorityGroups(feature, _table(shares), tuple(priorities))


def tables_of_cee(groups: PriorityGroups, classes: int) -> tuple[Tables | None, str]:
    """What they come to in so many classes; None and why not when they mean nothing, or take too many.

    Groups become classes in the order of their numbers, strict priorities the highest class.
    """
    reserved = [number for number in groups.group_ids if PRIORITIES <= number < LINK_STRICT_GROUP]
    if reserved:
        return None, f"the priority group {reserved[0]} is reserved"
    return _tables(groups.group_ids, groups.bandwidth, classes)


def tables_of_cin(groups: CinPriorityGroups, classes: int) -> tuple[Tables | None, str]:
    """The same; how a group is divided among its priorities has no counterpart, and only has to be possible."""
    parts: dict[int, int] = {}
    for priority in groups.priorities:
        if priority.strict not in (StrictPriority.NONE, StrictPriority.LINK):
            return None, "a priority comes before the others of its group, which classes cannot have"
        if priority.strict == StrictPriority.NONE:
            parts[priority.group] = parts.get(priority.group, 0) + priority.percent
    for number, percent in sorted(parts.items()):
        if percent != ALL:
            return None, f"the priorities of the group {number} have {percent} % of it, not {ALL}"
    numbers = [
        LINK_STRICT_GROUP if priority.strict == StrictPriority.LINK else priority.group
        for priority in groups.priorities
    ]
    return _tables(eight(numbers), groups.bandwidth, classes)


def _tables(groups: Eight, shares: Eight, classes: int) -> tuple[Tables | None, str]:
    """Switches give shares to groups without priorities, and none to groups that have some: both are possible."""
    used = sorted({number for number in groups if number != LINK_STRICT_GROUP})
    total = sum(shares)
    if total not in ((ALL,) if used else (0, ALL)):
        return None, f"the bandwidths of the groups are {total} %, not {ALL}"
    strict = int(LINK_STRICT_GROUP in groups)
    if len(used) + strict > classes:
        return None, f"{len(used) + strict} groups, and {classes} traffic classes"
    idle = [number for number, share in enumerate(shares) if share and number not in used]
    kept = sorted(used + idle[: classes - strict - len(used)])
    place = {number: index for index, number in enumerate(kept)} | {LINK_STRICT_GROUP: len(kept)}
    bandwidth = [shares[number] for number in kept]
    if kept:
        bandwidth[-1] += total - sum(bandwidth)  # of groups that nobody is in, and for which there is no class
    left = PRIORITIES - len(kept)
    return Tables(
        eight(place[number] for number in groups),
        eight([int(ETS)] * len(kept) + [int(STRICT)] * left),
        eight(bandwidth + [0] * left),
    ), ""


def _shares(tables: Tables) -> dict[int, int]:
    """Of each class that shares bandwidth. Where nobody has any, all are strict."""
    found = {number: tables.tc_bw[number] for number in range(PRIORITIES) if tables.tc_tsa[number] == ETS}
    return found if any(found.values()) else {}


def _table(shares: dict[int, int]) -> Eight:
    return eight(shares.get(number, 0) for number in range(PRIORITIES))


def _part(index: int, count: int) -> int:
    """The percentage of one of so many that have equal parts of 100, the first ones the more."""
    return ALL // count + (index < ALL % count)
