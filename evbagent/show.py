"""Tables for people. Light: nothing but the standard library. Text from the network is escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from json import dumps
from typing import Any
from unicodedata import category, east_asian_width

Row = Mapping[str, Any]

WIDEST_CELL = 40
FILTERS_IN_CELL = 2


def render(what: str, data: Any, details: bool = False) -> str:
    """The text for `show WHAT`, newline at the end; empty data say so."""
    if what == "config":
        return dumps(data, indent=2) + "\n"
    if not data:
        return f"no {what}\n"
    if what == "neighbors":
        from evbagent.show_neighbors import render_neighbors

        return render_neighbors(data, details)
    if what == "dcbx" and not details:
        from evbagent.show_dcbx import render_dcbx

        return render_dcbx(data)
    if details or what not in _TABLES:
        return "\n".join(_details(row) for row in data)
    return _TABLES[what](data)


def event_line(event: Row) -> str:
    """One event as a line."""
    name = str(event.get("event") or "event")
    described = _EVENTS[name](event) if name in _EVENTS else _pairs(event)
    time = escape(event.get("time") or "")
    return f"{time:24} {escape(event.get('interface')):12} {escape(name)} {described}".rstrip()


def answer_line(answer: Row) -> str:
    """What the switch has granted, as a line: the VSI's state, and its filters with the VIDs that were assigned."""
    vsi = answer.get("vsi") or {}
    state, filters = vsi.get("state"), vsi.get("filters")
    if not filters or state == "unassociated":
        return f"{'deassociated' if state in (None, 'unassociated') else escape(state)}: {answer_text(answer)}"
    vids = list(dict.fromkeys(escape(entry.get("vid")) for entry in filters))
    return f"{escape(state)}: {_filters(filters)} (VID{'s' if len(vids) > 1 else ''} {', '.join(vids)})"


def answer_text(answer: Row) -> str:
    """Why a request came out as it did, the switch's own word included."""
    text, response = escape(answer.get("text") or answer.get("result")), answer.get("response")
    return text if not response or response == "success" or response in text else f"{text} ({escape(response)})"


def escape(text: Any) -> str:
    """Text that no terminal takes for anything but text: control and bidi characters are spelled out."""
    if text is None:
        return "-"
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest entry; an empty entry becomes a dash, so that columns can be counted."""
    lines = [list(header), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "".join("  ".join(map(_pad, line, widths)).rstrip() + "\n" for line in lines)


def _neighbors(data: Sequence[Row]) -> str:
    rows = (
        (
            escape(row.get("interface")),
            escape(row.get("scope")),
            _who(row),
            _clip(row.get("port-id")),
            _seconds(row.get("time-to-live")),
            _evb_role(row.get("evb")),
        )
        for row in data
    )
    return table(("INTERFACE", "SCOPE", "SYSTEM", "PORT", "TTL", "EVB"), rows)


def _interfaces(data: Sequence[Row]) -> str:
    rows = []
    for row in data:
        forwarding = row.get("forwarding") or {}
        guests = ", ".join(
            f"{escape(guest.get('name'))} ({escape(guest.get('mode'))})" for guest in row.get("attachments") or ()
        )
        rows.append(
            (
                escape(row.get("name")),
                escape(row.get("oper-status")),
                escape(row.get("role")),
                escape(forwarding.get("mode")),
                escape(forwarding.get("reflective-relay")),
                _bridge_port(row.get("bridge-port")),
                guests,
            )
        )
    warnings = (
        f"{escape(row.get('name'))}: {escape(warning)}\n" for row in data for warning in row.get("warnings") or ()
    )
    header = ("INTERFACE", "STATUS", "ROLE", "MODE", "RELAY", "BRIDGE PORT", "GUESTS")
    return table(header, rows) + "".join(warnings)


def _evb(data: Sequence[Row]) -> str:
    blocks = []
    for row in data:
        forwarding = row.get("forwarding") or {}
        relay, mode = escape(forwarding.get("reflective-relay")), escape(forwarding.get("mode"))
        lines = [f"{escape(row.get('interface'))}: reflective relay {relay}, mode {mode}\n"]
        if forwarding.get("reason"):
            lines.append(f"  {escape(forwarding['reason'])}\n")
        sides = [side for side in ("local", "remote", "operational") if row.get(side)]
        keys = dict.fromkeys(key for side in sides for key in row[side])
        rows = [(escape(key), *(_clip(_value(row[side].get(key))) for side in sides)) for key in keys]
        lines += [f"  {line}\n" for line in table(("", *sides), rows).splitlines() if sides]
        blocks.append("".join(lines))
    return "\n".join(blocks)


def _statistics(data: Sequence[Row]) -> str:
    blocks = []
    for row in data:
        rows = [(escape(key), _value(value)) for key, value in row.items() if key not in ("interface", "scope")]
        indented = "".join(f"  {line}\n" for line in table(("", ""), rows).splitlines()[1:])
        whose = (escape(row[key]) for key in ("interface", "scope") if row.get(key))
        blocks.append(f"{', '.join(whose)}:\n{indented}")
    return "\n".join(blocks)


def _vsis(data: Sequence[Row]) -> str:
    rows = (
        (
            escape(row.get("interface")),
            escape(row.get("vsi-id")),
            _vsi_state(row),
            escape(row.get("request")),
            _clip(_filters(row.get("filters"), FILTERS_IN_CELL)),
            _vsi_type(row),
            escape(row.get("response")),
        )
        for row in data
    )
    return table(("INTERFACE", "VSI", "STATE", "REQUEST", "FILTERS", "MANAGER/TYPE/VERSION", "RESPONSE"), rows)


_TABLES: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "neighbors": _neighbors,
    "interfaces": _interfaces,
    "evb": _evb,
    "statistics": _statistics,
    "vsis": _vsis,
}


def _neighbor_event(event: Row) -> str:
    neighbor = event.get("neighbor") or {}
    port = f"port {escape(neighbor.get('port-id'))} in {escape(event.get('scope'))}"
    return f"{_who(neighbor, None)} {port}" + _because(event, " ({})")


def _relay_event(event: Row) -> str:
    answer = f"{escape(event.get('reflective-relay'))}, mode {escape(event.get('mode'))}"
    was = f" (was {escape(event['was'])})" if event.get("was") else ""
    return answer + was + _because(event)


def _attachment_event(event: Row) -> str:
    mode = f"{escape(event.get('name'))} {escape(event.get('action'))}, mode {escape(event.get('mode'))}"
    return mode + _because(event)


def _configuration_event(event: Row) -> str:
    return "in force" if event.get("ok") else f"refused, the old one stays in force: {escape(event.get('error'))}"


def _vsi_event(event: Row) -> str:
    vsi = event.get("vsi") or {}
    state = "gone" if event.get("gone") else _vsi_state(vsi)
    was = f" (was {escape(event['was'])})" if event.get("was") else ""
    filters = f" {_filters(vsi['filters'], FILTERS_IN_CELL)}" if vsi.get("filters") else ""
    return f"{escape(vsi.get('vsi-id'))} {state}{was}{filters}" + _because(vsi)


def _dcbx_event(event: Row) -> str:
    return f"{escape(event.get('dialect') or 'no version')}{_because(event)}"


def _dcb_event(event: Row) -> str:
    changes = [
        f"{escape(change.get('key'))} {escape(change.get('nic'))} -> {escape(change.get('wanted'))}"
        for change in event.get("changes") or ()
    ]
    return "; ".join([*changes, *([escape(event["error"])] if event.get("error") else [])])


def _many_neighbors_event(event: Row) -> str:
    return f"{_value(event.get('too-many-neighbors'))} in {escape(event.get('scope'))}"


_EVENTS: Mapping[str, Callable[[Row], str]] = {
    "neighbor-added": _neighbor_event,
    "neighbor-updated": _neighbor_event,
    "neighbor-removed": _neighbor_event,
    "too-many-neighbors": _many_neighbors_event,
    "reflective-relay": _relay_event,
    "attachment": _attachment_event,
    "vsi": _vsi_event,
    "configuration": _configuration_event,
    "dcbx": _dcbx_event,
    "dcb-written": _dcb_event,
    "link": lambda event: escape(event.get("oper-status")),
    "warning": lambda event: escape(event.get("warning")),
    "overflow": lambda event: f"{escape(event.get('lost'))} events lost: they came faster than they were read",
}


def _pairs(row: Row) -> str:
    """What there is no form for, the agent of a later version perhaps: every field, objects spelled out."""
    known = ("event", "time", "interface", "v")
    return " ".join(f"{escape(key)}={_value(value)}" for key, value in row.items() if key not in known)


def _details(row: Row) -> str:
    """Everything that is known, one line a value."""
    return "".join(f"{line}\n" for line in _lines(row))


def _lines(row: Row) -> Iterable[str]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield f"{escape(key)}:"
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            yield f"{escape(key)}:"
            for entry in value:
                yield from (f"  {'  ' if at else '- '}{line}" for at, line in enumerate(_lines(entry)))
        else:
            yield f"{escape(key)}: {_value(value)}"


def _value(value: Any) -> str:
    match value:
        case None | [] | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_value(entry) for entry in value)
        case Mapping():
            return dumps(dict(value))
        case _:
            return escape(value)


def _who(neighbor: Row, limit: int | None = WIDEST_CELL) -> str:
    """The system's name if it tells one, and its chassis id."""
    name, chassis = neighbor.get("system-name"), _clip(neighbor.get("chassis-id"), limit)
    return f"{_clip(name, limit)} ({chassis})" if name else chassis


def _seconds(value: Any) -> str:
    return "-" if value is None else f"{escape(value)} s"


def _evb_role(evb: Row | None) -> str:
    if not evb:
        return "-"
    return f"{escape(evb.get('evb-mode') or 'symmetric')}, {escape(evb.get('edition'))}"


def _bridge_port(port: Row | None) -> str:
    if not port:
        return "-"
    return f"{escape(port.get('bridge'))}, hairpin {'on' if port.get('hairpin') else 'off'}"


def _vsi_state(vsi: Row) -> str:
    state = escape(vsi.get("state"))
    return f"{state} ({escape(vsi['pending'])} pending)" if vsi.get("pending") else state


def _vsi_type(vsi: Row) -> str:
    return "/".join(escape(vsi.get(key)) for key in ("vsi-manager-id", "vsi-type-id", "vsi-type-version"))


def _filters(filters: Sequence[Row] | None, limit: int | None = None) -> str:
    """As on the command line; those beyond the limit are counted."""
    if not filters:
        return "-"
    more = len(filters) - limit if limit is not None else 0
    return ", ".join(map(_filter, filters[:limit])) + (f" +{more}" if more > 0 else "")


def _filter(entry: Row) -> str:
    """VID[/PCP][-MAC[-GROUP]], and VID[/PCP]--GROUP without an address."""
    pcp, mac, group = entry.get("pcp"), entry.get("mac-address"), entry.get("group-id")
    text = escape(entry.get("vid")) + ("" if pcp is None else f"/{escape(pcp)}")
    if group is not None:
        return f"{text}-{escape(mac or '')}-{escape(group)}"
    return text if mac is None else f"{text}-{escape(mac)}"


def _because(event: Row, form: str = ": {}") -> str:
    return form.format(escape(event["reason"])) if event.get("reason") else ""


def _clip(text: Any, limit: int | None = WIDEST_CELL) -> str:
    """For a column: one neighbour of a long name must not push everybody's lines off the screen."""
    escaped = escape(text)
    return escaped if limit is None or len(escaped) <= limit else escaped[: limit - 3] + "..."


def _pad(text: str, width: int) -> str:
    return text.ljust(width) if text.isascii() else text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Columns of a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if category(c) in ("Mn", "Me") else 2 if east_asian_width(c) in "WF" else 1 for c in text)
