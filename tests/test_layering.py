"""The import rules and invariants of the project, as far as a program can check them by reading the source."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROTOCOLS = ("lldp", "evb", "dcbx", "ecp", "vdp")
LONGEST_MODULE = 400

# What touches the world, or the agent: a state machine gets time, frames and chance as arguments.
NOT_IN_PROTOCOLS = frozenset(
    "evbagent tests asyncio asyncio_dgram concurrent fcntl io logging msgspec multiprocessing os pathlib pyroute2"
    " random sched scapy secrets select selectors shutil signal socket subprocess tempfile threading time".split()
)
BUILTINS_NOT_IN_PROTOCOLS = frozenset({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})
# Wire forms; every other module of `protocols` is a machine or a value and never sees a construct.Container.
WIRE_MODULES = frozenset(
    "codec bits layout dot1_codec dot3_codec med_codec vendor_codec ratified draft pdu filter ieee cee cdcp".split()
)
# Where protocols meet: ECP carries VDP in `edge` and `edgeroles`; `port` names what goes in and out of the whole, and
# `known` what of LLDPDUs one of them can read.
JOINTS = frozenset(f"protocols.{name}" for name in ("stack", "port", "edge", "edgeroles", "known"))
CAPTURE_TOOLS = frozenset({"evbagent.lab", "evbagent.replay", "evbagent.decode"})
MUTABLE_CALLS = frozenset(
    "list dict set bytearray defaultdict deque Counter OrderedDict ChainMap WeakKeyDictionary WeakValueDictionary"
    " WeakSet count cycle local Lock RLock".split()
)


@dataclass(frozen=True, slots=True)
class Import:
    target: str  # "package.module", or "package.module.name" of a from-import
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    path: Path
    tree: ast.Module
    nodes: tuple[ast.AST, ...]  # all of the tree, walked once for all tests

    @property
    def package(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))

    def imports(self) -> Iterator[Import]:
        """Every import, wherever it stands: also inside functions and under TYPE_CHECKING."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield Import(f"{'.' * node.level}{node.module or ''}.{alias.name}", node.lineno)


def read_modules() -> list[Module]:
    modules = []
    for package in ("evbagent", "protocols"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_bytes(), str(path))
            modules.append(Module(name, path, tree, tuple(ast.walk(tree))))
    return modules


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    found = read_modules()
    assert any(module.name == "protocols.stack" for module in found), "the source is not where it is looked for"
    return found


def test_protocols_touch_nothing_outside(modules: list[Module]) -> None:
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            for found in module.imports()
            if module.package[0] == "protocols" and first(found) in NOT_IN_PROTOCOLS
        ]
    )
    none_of(
        [
            f"{module.path}:{node.lineno} calls {node.func.id}"
            for module in modules
            if module.package[0] == "protocols"
            for node in module.nodes
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in BUILTINS_NOT_IN_PROTOCOLS
        ]
    )


def test_protocols_do_not_know_each_other(modules: list[Module]) -> None:
    """Few modules join them; what they share stands beside them and knows none of them."""
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            if module.package[0] == "protocols" and module.name not in JOINTS
            for found in module.imports()
            if (other := protocol(found.target)) is not None and other != protocol(module.name)
        ]
    )
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            for found in module.imports()
            if module.package[0] == "protocols" and found.target.startswith("protocols.stack")
        ]
    )


def test_machines_do_not_know_construct(modules: list[Module]) -> None:
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            for found in module.imports()
            if first(found) == "construct"
            and (module.package[0] != "protocols" or module.package[-1] not in WIRE_MODULES)
        ]
    )


def test_scapy_is_for_captures_and_tests(modules: list[Module]) -> None:
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            for found in module.imports()
            if first(found) == "scapy" and module.name not in CAPTURE_TOOLS
        ]
    )


def test_imports_are_absolute_and_named(modules: list[Module]) -> None:
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            for found in module.imports()
            if found.target.startswith(".") or found.target.endswith(".*")
        ]
    )


def test_nothing_imports_the_command_line_or_tests(modules: list[Module]) -> None:
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            for found in module.imports()
            if first(found) == "tests"
            or (is_or_is_in(found.target, "evbagent.cli") and module.name != "evbagent.__main__")
        ]
    )


def test_client_knows_only_the_messages(modules: list[Module]) -> None:
    """And evbagent.statefile, which says where the agent's directory is."""
    none_of(
        [
            f"{where(module, found)} imports {found.target}"
            for module in modules
            for found in module.imports()
            if module.name in ("evbagent.client", "evbagent.messages")
            and first(found) in ("evbagent", "protocols")
            and not any(is_or_is_in(found.target, name) for name in ("evbagent.messages", "evbagent.statefile"))
        ]
    )


@pytest.mark.parametrize(
    "name", ["evbagent.statefile", "evbagent.attach", "evbagent.client", "evbagent.messages", "evbagent.cli"]
)
def test_importing_is_light(name: str) -> None:
    """Attachment code and the client start at once, and need none of the agent's libraries."""
    loaded = modules_after(f"import {name}")
    assert name in loaded
    heavy = {"asyncio", "asyncio_dgram", "construct", "pyroute2", "scapy", "protocols", "evbagent.daemon"}
    if name == "evbagent.statefile":
        heavy.add("msgspec")
    assert not heavy & loaded


def test_mode_is_light(tmp_path: Path) -> None:
    loaded = modules_after(
        f"from evbagent.cli import main\ntry:\n    main(['mode', 'lo', '--state-dir', {str(tmp_path)!r}])\n"
        "except SystemExit:\n    pass"
    )
    assert "evbagent.statefile" in loaded
    assert not {"asyncio", "asyncio_dgram", "construct", "pyroute2", "scapy", "msgspec", "socket"} & loaded


def test_init_modules_hold_a_docstring_only(modules: list[Module]) -> None:
    none_of(
        [
            str(module.path)
            for module in modules
            if module.path.name == "__init__.py"
            and (len(module.tree.body) != 1 or ast.get_docstring(module.tree) is None)
        ]
    )


def test_every_module_says_what_it_is_for(modules: list[Module]) -> None:
    none_of([str(module.path) for module in modules if ast.get_docstring(module.tree) is None])


def test_no_mutable_state_in_modules(modules: list[Module]) -> None:
    """A table is a constant: CAPS, and a tuple, a frozenset, or annotated as Mapping."""
    none_of([f"{module.path}:{line} {name}" for module in modules for name, line in mutable_names(module.tree.body)])
    none_of(
        [
            f"{module.path}:{node.lineno} global {', '.join(node.names)}"
            for module in modules
            for node in module.nodes
            if isinstance(node, ast.Global)
        ]
    )


def test_no_code_runs_on_import(modules: list[Module]) -> None:
    """Nothing registers itself: a module defines, and does."""
    none_of(
        [
            f"{module.path}:{statement.lineno}"
            for module in modules
            if module.path.name != "__main__.py"
            for statement in module.tree.body
            if isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant)
        ]
    )


def test_modules_are_short(modules: list[Module]) -> None:
    lengths = {str(module.path): len(module.path.read_text().splitlines()) for module in modules}
    none_of([f"{path} has {lines} lines" for path, lines in lengths.items() if lines > LONGEST_MODULE])


def test_tests_are_no_packages() -> None:
    """An __init__.py here would let pytest import tests/protocols as `protocols`."""
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = []", ["x"]),
        ("X = {}", ["X"]),
        ("_X = {1: 2}", ["_X"]),
        ("X: Mapping[int, int] = {1: 2}", []),
        ("x: Mapping[int, int] = {1: 2}", ["x"]),
        ("X: Final = {1: 2}", ["X"]),
        ("X: Final[Mapping[int, int]] = {1: 2}", []),
        ("X = MappingProxyType({1: 2})", []),
        ("X = frozenset({1, 2})", []),
        ("X = (1, [2])", ["X"]),
        ("X, Y = 1, dict()", ["X, Y"]),
        ("X = collections.deque()", ["X"]),
        ("if True:\n    x = [i for i in ()]", ["x"]),
        ("def f():\n    x = []", []),
        ("class C:\n    x = []", ["C.x"]),
        ("class C:\n    x: list[int] = field(default_factory=list)\n    __slots__ = ('x',)", []),
        ("__all__ = ['x']", []),
    ],
)
def test_what_counts_as_mutable_state(source: str, names: list[str]) -> None:
    assert [name for name, _ in mutable_names(ast.parse(source).body)] == names


def mutable_names(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, int]]:
    """Assignments of mutable values that outlive a call: in modules, their conditional blocks, and class bodies."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from mutable_names(statement.body, f"{within}{statement.name}.")
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for block in ("body", "orelse", "finalbody"):
                yield from mutable_names(getattr(statement, block, []), within)
            for handler in getattr(statement, "handlers", []):
                yield from mutable_names(handler.body, within)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            name = within + ", ".join(ast.unparse(target).strip("()") for target in targets)
            annotation = ast.unparse(statement.annotation) if isinstance(statement, ast.AnnAssign) else ""
            constant = name.upper() == name and "Mapping[" in annotation and "MutableMapping[" not in annotation
            if is_mutable(statement.value) and not constant and name != "__all__":
                yield name, statement.lineno


def is_mutable(value: ast.expr) -> bool:
    match value:
        case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp() | ast.SetComp():
            return True
        case ast.Tuple():
            return any(map(is_mutable, value.elts))
        case ast.IfExp():
            return is_mutable(value.body) or is_mutable(value.orelse)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in MUTABLE_CALLS
    return False


def none_of(violations: list[str]) -> None:
    """Fail with one line for each."""
    assert not violations, "\n" + "\n".join(violations)


def first(found: Import) -> str:
    return found.target.split(".")[0]


def where(module: Module, found: Import) -> str:
    return f"{module.path}:{found.line}"


def is_or_is_in(target: str, module: str) -> bool:
    return target == module or target.startswith(f"{module}.")


def protocol(name: str) -> str | None:
    """The protocol package a dotted name belongs to; None for what is not in one."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "protocols" and parts[1] in PROTOCOLS else None


def modules_after(code: str) -> set[str]:
    """What a fresh interpreter has loaded when it has run `code`."""
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
