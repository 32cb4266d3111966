"""Whether systemd-networkd announces the host on a link, by its state and configuration files (systemd.network(5))."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from protocols.frame import Scope

LINKS = "run/systemd/netif/links"
DIRECTORIES = ("etc/systemd/network", "run/systemd/network", "usr/local/lib/systemd/network", "usr/lib/systemd/network")
SCOPES: Mapping[str, Scope] = {
    "nearest-bridge": Scope.NEAREST_BRIDGE,
    "non-tpmr-bridge": Scope.NEAREST_NON_TPMR_BRIDGE,
    "customer-bridge": Scope.NEAREST_CUSTOMER_BRIDGE,
}
TRUE = frozenset({"1", "yes", "y", "true", "t", "on"})


class Emission(NamedTuple):
    """`file`: the .network file to change."""

    scope: Scope
    file: str


def networkd_was_here(root: Path = Path("/")) -> bool:
    """Whether its state files are worth asking for at all."""
    return (root / LINKS).is_dir()


def networkd_emission(ifindex: int, root: Path = Path("/")) -> Emission | None:
    """What EmitLLDP= says of the link; None where it says no, networkd is not there or its files cannot be read."""
    state = dict(_assignments(_text(root / LINKS / str(ifindex))))
    file = state.get("NETWORK_FILE", "")
    if not file.startswith("/"):
        return None
    emit = ""
    for path in (root / file[1:], *_drop_ins(root, Path(file).name)):
        in_network = False
        for line in _text(path).splitlines():
            if line.startswith("["):
                in_network = line.strip() == "[Network]"
            elif in_network:
                emit = dict(_assignments(line)).get("EmitLLDP", emit)
    scope = SCOPES["nearest-bridge"] if emit.lower() in TRUE else SCOPES.get(emit)
    return None if scope is None else Emission(scope, file)


def _drop_ins(root: Path, name: str) -> list[Path]:
    """In the order in which they count: by name. Of two of one name, that in the first of the directories counts."""
    found: dict[str, Path] = {}
    for directory in reversed(DIRECTORIES):
        try:
            found |= {path.name: path for path in (root / directory / f"{name}.d").iterdir() if path.suffix == ".conf"}
        except OSError:
            continue
    return [found[name] for name in sorted(found)]


def _assignments(text: str) -> list[tuple[str, str]]:
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith(("#", ";")))
    return [(key.strip(), value.strip()) for key, equals, value in pairs if equals]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ""
