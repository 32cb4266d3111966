"""Tables for people. Light: nothing but the standard library. Text from the network is escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from json import dumps
from typing import Any

Row = Mapping[str, Any]


def render(what: str, data: Any, details: bool = False) -> str:
    """The text for `show WHAT`, newline at the end; empty data say so."""
    if what == "config":
        return dumps(data, indent=2) + "\n"
    if not data:
        return f"no {what}\n"
    if details:
        return "\n".join(_details(row) for row in data)
    return _TABLES[what](data)


def event_line(event: Row) -> str:
    """One event as a line."""
    name = event.get("event", "event")
    head = f"{event.get('time') or '':24} {escape(event.get('interface') or '-'):12} {escape(name)}"
    match name:
        case "neighbor-added" | "neighbor-updated" | "neighbor-removed":
            neighbor = event.get("neighbor") or {}
            reason = f" ({escape(event['reason'])})" if event.get("reason") else ""
            port = escape(neighbor.get("port-id"))
            return f"{head} {_who(neighbor)} port {port} in {escape(event.get('scope'))}{reason}"
        case "reflective-relay":
            answer = f"{escape(event.get('reflective-relay'))}, mode {escape(event.get('mode'))}"
            return f"{head} {answer}: {escape(event.get('reason'))}"
        case "attachment":
            what = f"{escape(event.get('name'))} {escape(event.get('action'))}, mode {escape(event.get('mode'))}"
            return f"{head} {what}: {escape(event.get('reason'))}"
        case _:
            rest = {key: value for key, value in event.items() if key not in ("event", "time", "interface")}
            return f"{head} " + " ".join(f"{escape(key)}={_value(value)}" for key, value in rest.items())


def escape(text: Any) -> str:
    """Text that no terminal takes for anything but text: control and bidi characters are spelled out."""
    if text is None:
        return "-"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest entry, the last one as long as it likes."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(line.rstrip() + "\n" for line in padded)


def _neighbors(data: Sequence[Row]) -> str:
    rows = (
        (
            escape(row["interface"]),
            escape(row["scope"]),
            _who(row),
            escape(row["port-id"]),
            f"{row['time-to-live']} s",
            _evb_role(row.get("evb")),
        )
        for row in data
    )
    return table(("INTERFACE", "SCOPE", "SYSTEM", "PORT", "TTL", "EVB"), rows)


def _interfaces(data: Sequence[Row]) -> str:
    rows = []
    for row in data:
        forwarding = row["forwarding"]
        port = row.get("bridge-port")
        hairpin = "-" if port is None else f"{escape(port['bridge'])}, hairpin {'on' if port['hairpin'] else 'off'}"
        guests = ", ".join(f"{escape(guest['name'])} ({escape(guest['mode'])})" for guest in row["attachments"])
        rows.append(
            (
                escape(row["name"]),
                escape(row["oper-status"]),
                escape(row["role"]),
                forwarding["mode"],
                forwarding["reflective-relay"],
                hairpin,
                guests or "-",
            )
        )
    warnings = "".join(f"{escape(row['name'])}: {escape(warning)}\n" for row in data for warning in row["warnings"])
    return table(("INTERFACE", "STATUS", "ROLE", "MODE", "RELAY", "BRIDGE PORT", "GUESTS"), rows) + warnings


def _evb(data: Sequence[Row]) -> str:
    blocks = []
    for row in data:
        forwarding = row["forwarding"]
        sides = [side for side in ("local", "remote", "operational") if row.get(side)]
        keys = list(dict.fromkeys(key for side in sides for key in row[side]))
        rows = [(key, *(_value(row[side].get(key)) for side in sides)) for key in keys]
        answer = f"reflective relay {forwarding['reflective-relay']}, mode {forwarding['mode']}"
        head = f"{escape(row['interface'])}: {answer}\n  {escape(forwarding['reason'])}\n"
        indented = "".join(f"  {line}\n" for line in table(("", *sides), rows).splitlines())
        blocks.append(head + indented)
    return "\n".join(blocks)


def _statistics(data: Sequence[Row]) -> str:
    blocks = []
    for row in data:
        rows = [(key, _value(value)) for key, value in row.items() if key not in ("interface", "scope")]
        indented = "".join(f"  {line}\n" for line in table(("COUNTER", "VALUE"), rows).splitlines()[1:])
        blocks.append(f"{escape(row['interface'])}, {escape(row['scope'])}:\n{indented}")
    return "\n".join(blocks)


_TABLES: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "neighbors": _neighbors,
    "interfaces": _interfaces,
    "evb": _evb,
    "statistics": _statistics,
    "vsis": lambda data: dumps(data, indent=2) + "\n",
    "dcbx": lambda data: dumps(data, indent=2) + "\n",
}


def _details(row: Row, indent: str = "") -> str:
    """Everything that is known, one line a value."""
    lines = []
    for key, value in row.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{escape(key)}:\n" + _details(value, indent + "  "))
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines.append(f"{indent}{escape(key)}:\n" + "".join(_details(entry, indent + "  - ") for entry in value))
        else:
            lines.append(f"{indent}{escape(key)}: {_value(value)}\n")
        if indent.endswith("- "):
            indent = indent[:-2] + "  "
    return "".join(lines)


def _value(value: Any) -> str:
    match value:
        case None | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_value(entry) for entry in value)
        case Mapping():
            return escape(dumps(dict(value)))
        case _:
            return escape(value)


def _who(neighbor: Row) -> str:
    name = neighbor.get("system-name")
    chassis = escape(neighbor.get("chassis-id"))
    return f"{escape(name)} ({chassis})" if name else chassis


def _evb_role(evb: Row | None) -> str:
    if not evb:
        return "-"
    return f"{escape(evb.get('evb-mode') or 'symmetric')}, {escape(evb.get('edition'))}"
