"""Which VLANs a switch's VSIs use, and whose VLAN is whose: the book that null VIDs are assigned from."""

from collections.abc import Container, Iterable, Mapping

Ranges = tuple[tuple[int, int], ...]
"""Numbers, as first and last of each range, both included."""

Profile = tuple[bytes, int, int]
"""VSI manager, type ID and type version."""

Owner = int | Profile
"""Who has a VLAN of its own: a GroupID, or where there is none a port profile."""

VIDS = 4096


class Vlans:
    """Counts users; a VLAN without users is free, and an owner has its VLAN as long as somebody uses it as such."""

    def __init__(self) -> None:
        self._users = [0] * VIDS
        # 1 where there are users: `find` is a search in C.
        self._taken = bytearray(VIDS)
        self._owned: dict[Owner, list[int]] = {}  # VID and users

    def of(self, owner: Owner) -> int:
        """The owner's VLAN; 0 if it has none."""
        owned = self._owned.get(owner)
        return 0 if owned is None else owned[0]

    def users(self, vid: int) -> int:
        return self._users[vid]

    def free(self, ranges: Ranges, besides: Container[int]) -> int:
        """The first VLAN of the ranges that has no user and is not one `besides`; 0 when there is none."""
        for first, last in ranges:
            vid = self._taken.find(0, first, last + 1)
            while vid != -1:
                if vid not in besides:
                    return vid
                vid = self._taken.find(0, vid + 1, last + 1)
        return 0

    def take(self, vids: Iterable[int], claims: Mapping[Owner, int]) -> tuple[Owner, ...]:
        """One user more of each VLAN, and of those that owners claim. Returns the owners that have no other VLAN."""
        for vid in vids:
            self._users[vid] += 1
            self._taken[vid] = 1
        owners = []
        for owner, vid in claims.items():
            owned = self._owned.setdefault(owner, [vid, 0])
            if owned[0] == vid:
                owned[1] += 1
                owners.append(owner)
        return tuple(owners)

    def give_back(self, vids: Iterable[int], owners: Iterable[Owner]) -> None:
        """What `take` took, and the owners that it returned."""
        for vid in vids:
            self._users[vid] -= 1
            if not self._users[vid]:
                self._taken[vid] = 0
        for owner in owners:
            owned = self._owned[owner]
            owned[1] -= 1
            if not owned[1]:
                del self._owned[owner]
