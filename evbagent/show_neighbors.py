"""`show neighbors` for people: a line a neighbor, or, with `--details`, all that it says in the words of lldpcli.

Light: nothing but the standard library. Text from the network is escaped.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from time import time
from typing import Any

from evbagent.show import WIDEST_CELL, escape, table
from evbagent.show_tlvs import Line, management_addresses, port_lines, remaining_lines, said, vlan_and_med_lines
from evbagent.show_words import CAPABILITIES, ID_KINDS

Row = Mapping[str, Any]

HEADER = ("INTERFACE", "SYSTEM", "CHASSIS", "PORT", "CAPABILITIES", "TTL LEFT", "AGE", "SCOPE", "EVB")
NARROW_CELL = 24
RULE = "-" * 79
TITLE_WIDTH = 13
MINUTE, HOUR, DAY = 60, 3600, 86400


def render_neighbors(data: Sequence[Row], details: bool = False, now: float | None = None) -> str:
    """`data` as the agent answers; `now` in seconds since 1970 is what ages count from."""
    now = time() if now is None else now
    if not details:
        return table(HEADER, (_cells(row, now) for row in data))
    blocks = ("".join(f"{_text(line)}\n" for line in _lines(row, now)) for row in data)
    return f"{RULE}\nLLDP neighbors:\n{RULE}\n" + f"{RULE}\n".join(blocks) + f"{RULE}\n"


def _cells(row: Row, now: float) -> tuple[str, ...]:
    left, age = _left(row, now), _since(row, "first-heard", now)
    stale = " (stale)" if row.get("stale") else ""
    return (
        escape(row.get("interface")),
        _clip(row.get("system-name")),
        _clip(row.get("chassis-id"), NARROW_CELL),
        _clip(row.get("port-id"), NARROW_CELL),
        _clip(", ".join(_capabilities(row.get("system-capabilities-enabled"))), NARROW_CELL),
        f"{'-' if left is None else left} of {escape(row.get('time-to-live'))} s{stale}",
        "" if age is None else _short(age),
        escape(row.get("scope")),
        _evb_role(row.get("evb")),
    )


def _lines(row: Row, now: float) -> Iterator[Line]:
    """lldpcli's order: the system, its port, VLANs, LLDP-MED; then what lldpcli does not know."""
    tlvs = row.get("tlvs") or ()
    known = f"RID: {said(row.get('remote-index'))}, Time: {_long(_since(row, 'last-change', now))}"
    where = f"Scope: {said(row.get('scope'))}" + (", Stale: yes" if row.get("stale") else "")
    yield Line(0, "Interface", f"{said(row.get('interface'))}, via: LLDP, {known}, {where}")
    yield Line(1, "Chassis")
    yield Line(2, "ChassisID", f"{_id_kind(row, 'chassis-id-subtype')} {said(row.get('chassis-id'))}")
    yield from _given(2, "SysName", row.get("system-name"))
    yield from _description_lines(row.get("system-description"))
    for address in management_addresses(tlvs) or row.get("management-address") or ():
        yield from _management_lines(address)
    enabled = _capabilities(row.get("system-capabilities-enabled"))
    for word in _capabilities(row.get("system-capabilities-supported")):
        yield Line(2, "Capability", f"{word}, {'on' if word in enabled else 'off'}")
    yield Line(1, "Port")
    yield Line(2, "PortID", f"{_id_kind(row, 'port-id-subtype')} {said(row.get('port-id'))}")
    yield from _given(2, "PortDescr", row.get("port-desc"))
    yield Line(2, "TTL", said(row.get("time-to-live")))
    left = _left(row, now)
    if left is not None:
        yield Line(2, "TTL left", str(left))
    yield from port_lines(tlvs)
    yield from vlan_and_med_lines(tlvs)
    yield from remaining_lines(tlvs)
    yield Line(1, "LLDPDUs")
    yield from _given(2, "Source", row.get("source-mac-address"))
    yield from _given(2, "First heard", row.get("first-heard"))
    yield from _given(2, "Last heard", row.get("last-heard"))
    yield from _given(2, "Changes", row.get("remote-changes"))
    yield from _given(2, "Refreshes", row.get("remote-refreshes"))


def _management_lines(address: Row) -> Iterator[Line]:
    family, text = said(address.get("address-subtype")), said(address.get("address"))
    if family in ("ipv4", "ipv6"):
        yield Line(2, "MgmtIP", text)
    else:
        yield Line(2, "MgmtAddress", f"{family} {text}")
    number = address.get("if-id")
    if number:
        kind = address.get("if-subtype")
        yield Line(2, "MgmtIface", f"{number}" if kind == "if-index" else f"{number} ({said(kind)})")
    identifier = address.get("object-identifier") or address.get("object-identifier-octets")
    if identifier:
        yield Line(2, "MgmtOID", said(identifier))


def _description_lines(text: Any) -> Iterator[Line]:
    """Its lines below each other, as most senders mean it: none can be taken for another field's."""
    if text is not None:
        first, *more = str(text).replace("\r\n", "\n").split("\n")
        yield Line(2, "SysDescr", first)
        yield from (Line(2, "", line) for line in more)


def _text(line: Line) -> str:
    title = f"{escape(line.title)}:" if line.title else ""
    return f"{'  ' * line.level}{title:{TITLE_WIDTH}} {escape(line.text)}".rstrip()


def _given(level: int, title: str, value: Any) -> Iterator[Line]:
    """What is not said has no line; an empty text is said."""
    if value is not None:
        yield Line(level, title, said(value))


def _capabilities(words: Sequence[Any] | None) -> list[str]:
    known = [name for word, name in CAPABILITIES.items() if word in (words or ())]
    return known + [str(word) for word in words or () if word not in CAPABILITIES]


def _id_kind(row: Row, key: str) -> str:
    word = said(row.get(key))
    return ID_KINDS.get(word, word)


def _evb_role(evb: Row | None) -> str:
    if not evb:
        return ""
    return f"{escape(evb.get('evb-mode') or 'symmetric')}, {escape(evb.get('edition'))}"


def _left(row: Row, now: float) -> int | None:
    """Seconds until it ages out, if nothing more is heard."""
    silent, ttl = _since(row, "last-heard", now), row.get("time-to-live")
    return None if silent is None or not isinstance(ttl, int) else max(0, round(ttl - silent))


def _since(row: Row, key: str, now: float) -> float | None:
    try:
        return max(0.0, now - datetime.fromisoformat(str(row.get(key))).timestamp())
    except ValueError:
        return None


def _short(seconds: float) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"


def _long(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    days, rest = divmod(int(seconds), DAY)
    return f"{days} day{'s' if days > 1 else ''}, {rest // HOUR:02}:{rest // MINUTE % 60:02}:{rest % MINUTE:02}"


def _clip(text: Any, limit: int = WIDEST_CELL) -> str:
    """For a column: one neighbor of a long name must not push everybody's lines off the screen."""
    escaped = "" if text is None else escape(text)
    return escaped if len(escaped) <= limit else escaped[: limit - 3] + "..."
