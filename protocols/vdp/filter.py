"""Filter info: which frames belong to a VSI, and what a switch may say to that (sheet `vdp.md` 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from re import compile as pattern
from types import MappingProxyType
from typing import NamedTuple


class FilterFormat(IntEnum):
    """Filter info formats. All entries of one TLV have the same."""

    VID = 1
    MAC_VID = 2
    GROUP_VID = 3
    GROUP_MAC_VID = 4


class FilterEntry(NamedTuple):
    """One filter. VID 0: the bridge is to choose. `pcp` None: PS is 0. `mac`, `group` None: not in this format."""

    vid: int
    pcp: int | None
    mac: bytes | None
    group: int | None

    @property
    def text(self) -> str:
        """VID[/PCP][-MAC[-GROUP]], as `parse_filters` reads it; without MAC but with GroupID: VID[/PCP]--GROUP."""
        text = str(self.vid) if self.pcp is None else f"{self.vid}/{self.pcp}"
        if self.mac is not None:
            text += f"-{self.mac.hex(':')}"
        elif self.group is not None:
            text += "-"
        return text if self.group is None else f"{text}-{self.group}"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filter info of one VSI.

    Of a format that is not known there are no entries, but their `count` and the `raw` octets after it, to be echoed.
    """

    format: int
    entries: tuple[FilterEntry, ...]
    count: int | None = None
    raw: bytes = b""


MOST_ENTRIES: Mapping[int, int] = MappingProxyType(
    {
        FilterFormat.VID: 243,
        FilterFormat.MAC_VID: 60,
        FilterFormat.GROUP_VID: 81,
        FilterFormat.GROUP_MAC_VID: 40,
    }
)
"""So many fit into a TLV of 511 octets."""


def parse_filters(texts: Sequence[str]) -> Filters:
    """Filters from texts of the form VID[/PCP][-MAC[-GROUP]], or VID[/PCP]--GROUP, all of one shape.

    Raises ValueError that names entry and field: "filter 2: VID 4095 is reserved".
    """
    entries = tuple([_parse(number, text) for number, text in enumerate(texts, 1)])
    if not entries:
        raise ValueError("filter: there is none")
    filters = Filters(_format(entries[0]), entries)
    if fault := validate(filters) or _fault_of_null(filters):
        raise ValueError(fault)
    return filters


def validate(filters: Filters) -> str | None:
    """Why no bridge could grant these filters, in words as those of `parse_filters`; None when nothing is wrong."""
    if filters.format not in MOST_ENTRIES:
        return f"filter: format {filters.format} is not known"
    entries = filters.entries
    if not entries:
        return "filter: there is none"
    if len(entries) > MOST_ENTRIES[filters.format]:
        return f"filter: there are {len(entries)} entries, at most {MOST_ENTRIES[filters.format]} fit into a TLV"
    with_mac, with_group = filters.format in _WITH_MAC, filters.format in _WITH_GROUP
    for number, entry in enumerate(entries, 1):
        if (entry.mac is not None) is not with_mac or (entry.group is not None) is not with_group:
            return f"filter {number}: is not of the same shape as the first one"
        if fault := _fault(entry):
            return f"filter {number}: {fault}"
    if len(entries) > 1:
        return _fault_among(filters.format, entries)
    return None


def matches(request: Filters, answer: Filters) -> str | None:
    """How a bridge's filters differ from what was asked more than they may, in words; None when they do not.

    MAC addresses, GroupIDs and the order repeat. A VID may differ where the request had none, the priority unless the
    request had one.
    """
    if request == answer:
        return None
    if request.format != answer.format:
        return f"filter format {answer.format} instead of {request.format}"
    if request.format not in MOST_ENTRIES:
        return "filter info of an unknown format is not the same"
    if len(request.entries) != len(answer.entries):
        return f"filters: {len(answer.entries)} instead of {len(request.entries)}"
    for number, (asked, told) in enumerate(zip(request.entries, answer.entries, strict=True), 1):
        if told.mac != asked.mac:
            return f"filter {number}: MAC address {_mac(told.mac)} instead of {_mac(asked.mac)}"
        if told.group != asked.group:
            return f"filter {number}: GroupID {told.group} instead of {asked.group}"
        if told.vid != asked.vid and asked.vid:
            return f"filter {number}: VID {told.vid} instead of {asked.vid}"
        if told.pcp != asked.pcp and asked.pcp is not None:
            return f"filter {number}: PCP {'none' if told.pcp is None else told.pcp} instead of {asked.pcp}"
    return None


def _parse(number: int, text: str) -> FilterEntry:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"filter {number}: {text!r} is not VID[/PCP][-MAC[-GROUP]]")
    vid, pcp, mac, group = found.groups()
    if mac and not _MAC.fullmatch(mac):
        raise ValueError(
            f"filter {number}: MAC address {mac!r} is not six pairs of hexadecimal digits joined by colons"
        )
    if mac == "" and group is None:
        raise ValueError(f"filter {number}: the MAC address after the dash is missing")
    return FilterEntry(
        int(vid),
        None if pcp is None else int(pcp),
        bytes.fromhex(mac.replace(":", "")) if mac else None,
        None if group is None else int(group, 0 if group[:2] in ("0x", "0X") else 10),
    )


def _format(entry: FilterEntry) -> FilterFormat:
    if entry.group is None:
        return FilterFormat.VID if entry.mac is None else FilterFormat.MAC_VID
    return FilterFormat.GROUP_VID if entry.mac is None else FilterFormat.GROUP_MAC_VID


def _fault(entry: FilterEntry) -> str | None:
    if not 0 <= entry.vid <= 4094:
        return f"VID {entry.vid} is {'reserved' if entry.vid == 4095 else 'not in 0 to 4094'}"
    if entry.pcp is not None and not 0 <= entry.pcp <= 7:
        return f"PCP {entry.pcp} is not in 0 to 7"
    mac = entry.mac
    if mac is not None:
        if len(mac) != 6:
            return f"MAC address {_mac(mac)} has {len(mac)} octets"
        if mac[0] & 1:
            return f"MAC address {_mac(mac)} is a group address"
        if mac == _NO_MAC:
            return f"MAC address {_mac(mac)} is null"
    if entry.group is not None and not 1 <= entry.group <= 0xFFFFFFFF:
        return f"GroupID {entry.group} is not in 1 to {0xFFFFFFFF}"
    return None


def _fault_among(form: int, entries: tuple[FilterEntry, ...]) -> str | None:
    """Two null VIDs with nothing to tell them apart are the same twice, so format 1 has one at most."""
    seen: set[tuple[int, bytes | None, int | None]] = set()
    for number, entry in enumerate(entries, 1):
        key = entry.vid, entry.mac, entry.group
        if key in seen:
            null = form == FilterFormat.VID and entry.vid == 0
            return f"filter {number}: " + ("only one VID may be null" if null else f"{entry.text} is there twice")
        seen.add(key)
    return None


def _fault_of_null(filters: Filters) -> str | None:
    """Nothing would tell the entry from the others once the bridge has chosen, and lldpad's refuses it (`vdp.md`)."""
    if filters.format == FilterFormat.VID and len(filters.entries) > 1:
        for number, entry in enumerate(filters.entries, 1):
            if entry.vid == 0:
                return f"filter {number}: VID 0, for the switch to choose, has to be alone"
    return None


def _mac(octets: bytes | None) -> str:
    return "none" if octets is None else octets.hex(":")


_TEXT = pattern(r"([0-9]{1,9})(?:/([0-9]{1,9}))?(?:-([^-]*)(?:-([0-9]{1,12}|0[xX][0-9a-fA-F]{1,9}))?)?")
_MAC = pattern(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")
_NO_MAC = bytes(6)
_WITH_MAC = frozenset({FilterFormat.MAC_VID, FilterFormat.GROUP_MAC_VID})
_WITH_GROUP = frozenset({FilterFormat.GROUP_VID, FilterFormat.GROUP_MAC_VID})
