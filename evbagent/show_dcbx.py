"""`dcbx show` and `dcbx diff` for people: all sides beside each other, in the words of dcb(8), and why it is so.

Light: nothing but the standard library. Text from the network is escaped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from evbagent.show import escape, table

Row = Mapping[str, Any]

SIDES = ("local", "remote", "operational")
DIALECTS: Mapping[str, str] = MappingProxyType({"ieee": "IEEE 802.1Qaz", "cee": "CEE 1.01", "cin": "CIN 1.0"})
TSA: Mapping[str, str] = MappingProxyType(
    {
        "strict-priority": "strict",
        "credit-based-shaper": "cbs",
        "enhanced-transmission-selection": "ets",
        "vendor-specific": "vendor",
    }
)
APP_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "ethertype": "ethtype-prio",
        "tcp-sctp": "stream-port-prio",
        "udp-dccp": "dgram-port-prio",
        "tcp-sctp-udp-dccp": "port-prio",
        "dscp": "dscp-prio",
    }
)
NOTHING = "-"


def render_dcbx(data: Sequence[Row]) -> str:
    """A block for each interface."""
    return "\n".join("".join(f"{line}\n" for line in _lines(row)) for row in data)


def render_differences(data: Sequence[Row]) -> str:
    """What `dcbx apply` would write, a line each, or why there is nothing."""
    lines = []
    for row in data:
        name, differences = escape(row.get("interface")), row.get("differences") or ()
        lines += [f"{name}: {difference_words(difference)}" for difference in differences]
        if not differences:
            lines.append(f"{name}: {escape(row.get('nic-state'))}")
    return "".join(f"{line}\n" for line in lines)


def difference_words(difference: Row) -> str:
    return " ".join(
        (escape(difference.get("key")), escape(difference.get("nic")), "->", escape(difference.get("wanted")))
    )


def _lines(row: Row) -> Iterator[str]:
    dialect = DIALECTS.get(str(row.get("dialect")))
    spoken = f"DCBX by {dialect}" if dialect else "no DCBX"
    peer = f" with {escape(row['peer'])}" if row.get("peer") else ""
    yield f"{escape(row.get('interface'))}: {spoken}{peer}, mode {escape(row.get('mode'))}"
    if row.get("reason"):
        yield f"  {escape(row['reason'])}"
    sides = [(_result_title(row) if key == "operational" else key, row[key]) for key in SIDES if row.get(key)]
    nic = row.get("nic") or {}
    sides += [
        (title, nic[key]) for key, title in (("settings", "NIC"), ("firmware-peer", "firmware's peer")) if nic.get(key)
    ]
    if sides:
        rows = [(label, *cells) for label, *cells in _rows([side for _, side in sides])]
        yield from (f"  {line}" for line in table(("", *(title for title, _ in sides)), rows).splitlines())
    for key, title in (("ets", "ETS"), ("pfc", "PFC"), ("app", "applications")):
        if reason := (row.get("reasons") or {}).get(key):
            yield f"  {title}: {escape(reason)}"
    if row.get("nic-state"):
        yield f"  NIC: {escape(row['nic-state'])}"
    for difference in row.get("differences") or ():
        yield f"    {difference_words(difference)}"


def _result_title(row: Row) -> str:
    """Nobody has agreed to anything with one that says nothing."""
    return "agreed" if row.get("advertise") else "would be agreed"


def _rows(sides: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """A line for each setting that any of the sides has."""
    for label, path, words in _SETTINGS:
        values = [_at(side, path) for side in sides]
        if any(value is not None for value in values):
            yield label, *(NOTHING if value is None else words(value) for value in values)
    tables = [_applications(side) for side in sides]
    for key in sorted({key for one in tables for key in one}):
        yield " ".join(key), *(one.get(key, NOTHING) for one in tables)


def _at(side: Row, path: tuple[str, ...]) -> Any:
    value: Any = side
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _applications(side: Row) -> dict[tuple[str, ...], str]:
    """Priorities by rule; one rule may have several."""
    found: dict[tuple[str, ...], str] = {}
    for entry in side.get("application-priority-table") or ():
        selector, protocol = str(entry.get("application-priority-selector")), entry.get("application-priority-protocol")
        key: tuple[str, ...] = (escape(APP_KEYS.get(selector, selector)), _protocol(selector, protocol))
        if selector == "ethertype" and protocol == 0:
            key = ("default-prio",)
        priority = escape(entry.get("application-priority"))
        found[key] = f"{found[key]},{priority}" if key in found else priority
    return found


def _protocol(selector: str, protocol: Any) -> str:
    return f"{protocol:#06x}" if selector == "ethertype" and isinstance(protocol, int) else escape(protocol)


def _switch(value: Any) -> str:
    return "on" if value else "off"


def _by_number(value: Any) -> str:
    """Most have one value: dcb's `all`, then what is not like that."""
    values = [TSA.get(str(one), escape(one)) for one in value]
    common = max(dict.fromkeys(values), key=values.count, default=NOTHING)
    return " ".join([f"all:{common}", *(f"{number}:{one}" for number, one in enumerate(values) if one != common)])


def _shares(value: Any) -> str:
    return " ".join(f"{number}:{escape(share)}" for number, share in enumerate(value) if share) or "all:0"


def _priorities(value: Any) -> str:
    return " ".join(f"{escape(priority)}:on" for priority in value) or "all:off"


_SETTINGS: tuple[tuple[str, tuple[str, ...], Callable[[Any], str]], ...] = (
    ("ets willing", ("ets", "willing"), _switch),
    ("prio-tc", ("ets", "priority-assignment-table"), _by_number),
    ("tc-tsa", ("ets", "tsa-assignment-table"), _by_number),
    ("tc-bw", ("ets", "tc-bandwidth-table"), _shares),
    ("ets-cap", ("ets", "traffic-classes-supported"), escape),
    ("reco-prio-tc", ("ets-recommendation", "priority-assignment-table"), _by_number),
    ("reco-tc-tsa", ("ets-recommendation", "tsa-assignment-table"), _by_number),
    ("reco-tc-bw", ("ets-recommendation", "tc-bandwidth-table"), _shares),
    ("pfc willing", ("pfc", "willing"), _switch),
    ("prio-pfc", ("pfc", "enable"), _priorities),
    ("pfc-cap", ("pfc", "number-tc-capable"), escape),
)
