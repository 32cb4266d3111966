"""Declared VSIs: the files of `vsi.d`, whose VSIs the agent asks for by itself and keeps associated."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from msgspec import ValidationError, convert

from evbagent.config import DEFAULT_FILE, ConfigError, read_toml
from evbagent.tables import in_words
from evbagent.vsispec import Text, VsiFields, vsi_tlv
from protocols.vdp.vsi import VsiId, VsiTlv


@dataclass(frozen=True, slots=True)
class DeclaredVsi:
    """A VSI that is wanted on each interface that `interface` names. `spec`: the same request as a client says it."""

    interface: str
    tlv: VsiTlv
    source: str
    spec: dict[str, Any]
    name: str | None = None

    def is_for(self, interface: str) -> bool:
        return fnmatchcase(interface, self.interface)


def vsi_directory(config: Path | None) -> Path:
    """`vsi.d` beside the configuration file in use; None: the default one."""
    return (config or DEFAULT_FILE).parent / "vsi.d"


def load_vsis(directory: Path) -> tuple[list[DeclaredVsi], list[str]]:
    """The VSIs of `*.toml` in order, and what is wrong with the files, a line each. A bad entry loses only itself."""
    declared: list[DeclaredVsi] = []
    errors: list[str] = []
    sources: dict[tuple[str, VsiId], str] = {}
    try:
        files = sorted(path for path in directory.iterdir() if path.name.endswith(".toml"))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{directory}: cannot be read: {error.strerror}"]
    for file in files:
        for found in _read(file):
            if isinstance(found, str):
                errors.append(found)
                continue
            key = found.interface, found.tlv.vsi_id
            if key in sources:
                errors.append(f"{found.source}: instance: is declared for {found.interface} already, in {sources[key]}")
                continue
            sources[key] = found.source
            declared.append(found)
    return declared, errors


def _read(file: Path) -> Iterator[DeclaredVsi | str]:
    """Each VSI of a file, or what is wrong with it."""
    try:
        document = read_toml(file)
    except ConfigError as error:
        yield str(error)
        return
    for key in document:
        if key != "vsi":
            yield f"{file}: {key}: unknown key"
    entries = document.get("vsi", [])
    if not isinstance(entries, list):
        yield f"{file}: vsi: has to be an array of tables, [[vsi]]"
        return
    for number, entry in enumerate(entries, 1):
        source = f"{file}: vsi {number}"
        try:
            yield _declared(entry, source)
        except ValueError as error:
            yield f"{source}: {error}"


def _declared(table: Any, source: str) -> DeclaredVsi:
    try:
        entry = convert(table, _Entry)
    except ValidationError as error:
        raise ValueError(in_words(str(error))) from error
    asked = {key: value for key, value in table.items() if key not in ("interface", "name")}
    spec = {"request": entry.request, **asked, "persistent": True}
    return DeclaredVsi(entry.interface, vsi_tlv(entry), source, spec, entry.name)


class _Entry(VsiFields, frozen=True, kw_only=True):
    interface: Text
    request: Literal["associate", "preassociate", "preassociate-rr"] = "associate"
    name: Text | None = None
