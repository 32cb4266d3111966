"""`vsi.d`: the VSIs that files declare, and what is said of files and entries that are no good."""

from pathlib import Path

import pytest

from evbagent.cli import main
from evbagent.vsiconfig import load_vsis, vsi_directory
from evbagent.vsispec import parse_spec
from protocols.vdp.vsi import Mode, parse_vsi_id

FIRST = "a1412857-60f7-4ce1-e95a-216494353f53"
SECOND = "00000000-0000-0000-0000-000000000002"


def entry(instance: str = FIRST, interface: str = "eth0", more: str = "") -> str:
    return f"""
    [[vsi]]
    interface = "{interface}"
    instance = "{instance}"
    manager = "192.0.2.7"
    type = 7
    type-version = 1
    filter = ["100-52:54:00:8e:50:53"]
    {more}
    """


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_nothing_is_declared(tmp_path: Path) -> None:
    assert load_vsis(tmp_path / "absent") == ([], [])
    assert load_vsis(tmp_path) == ([], [])


def test_vsis_of_several_files_in_order(tmp_path: Path) -> None:
    write(tmp_path, "20.toml", entry(SECOND, "ens*", 'request = "preassociate-rr"\nhint = "suspend"\nvm-name = "web"'))
    first = write(tmp_path, "10.toml", entry(FIRST, more='name = "web 1"') + entry(FIRST, "eth1"))
    write(tmp_path, "30.toml.off", "nonsense")
    declared, errors = load_vsis(tmp_path)
    assert errors == []
    assert [(vsi.interface, vsi.tlv.vsi_id) for vsi in declared] == [
        ("eth0", parse_vsi_id(FIRST)),
        ("eth1", parse_vsi_id(FIRST)),
        ("ens*", parse_vsi_id(SECOND)),
    ]
    assert [vsi.source for vsi in declared[:2]] == [f"{first}: vsi 1", f"{first}: vsi 2"]
    assert [vsi.name for vsi in declared] == ["web 1", None, None]
    assert [vsi.tlv.mode for vsi in declared] == [Mode.ASSOCIATE, Mode.ASSOCIATE, Mode.PREASSOCIATE_RR]
    assert declared[2].tlv.organizational


def test_which_interfaces_a_vsi_is_for(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", entry(interface="ens[12]"))
    ((vsi,), _) = load_vsis(tmp_path)
    assert [name for name in ("ens1", "ens2", "ens3", "eth0") if vsi.is_for(name)] == ["ens1", "ens2"]


def test_a_declared_vsi_can_be_said_as_a_request(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", entry(more='name = "x"\nhint = "migrate"\nvm-address = "192.0.2.1"'))
    ((vsi,), _) = load_vsis(tmp_path)
    assert parse_spec(vsi.spec) == vsi.tlv
    assert (vsi.spec["request"], vsi.spec["persistent"], "interface" in vsi.spec) == ("associate", True, False)


def test_a_bad_file_loses_only_itself(tmp_path: Path) -> None:
    broken = write(tmp_path, "1.toml", entry(FIRST) + "\n[[vsi")
    directory = tmp_path / "2.toml"
    directory.mkdir()
    scalar = write(tmp_path, "3.toml", "vsi = 1")
    write(tmp_path, "4.toml", entry(SECOND))
    declared, errors = load_vsis(tmp_path)
    assert [vsi.tlv.vsi_id for vsi in declared] == [parse_vsi_id(SECOND)]
    assert [error.split(": ")[0] for error in errors] == [str(broken), str(directory), str(scalar)]
    assert "is not valid TOML" in errors[0]
    assert "cannot be read" in errors[1]
    assert errors[2] == f"{scalar}: vsi: has to be an array of tables, [[vsi]]"


def test_a_bad_entry_loses_only_itself(tmp_path: Path) -> None:
    file = write(tmp_path, "a.toml", entry(FIRST, more='hint = "x"') + entry(SECOND) + "\n[vsis]\na = 1\n")
    declared, errors = load_vsis(tmp_path)
    assert [vsi.source for vsi in declared] == [f"{file}: vsi 2"]
    assert errors == [f"{file}: vsis: unknown key", f"{file}: vsi 1: hint: Invalid enum value 'x'"]


def test_the_same_vsi_twice_is_named_with_both_files(tmp_path: Path) -> None:
    first = write(tmp_path, "a.toml", entry() + entry(interface="eth1"))
    second = write(tmp_path, "b.toml", entry(FIRST.upper()))
    declared, errors = load_vsis(tmp_path)
    assert len(declared) == 2
    assert errors == [f"{second}: vsi 1: instance: is declared for eth0 already, in {first}: vsi 1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry(interface=""), "interface: is empty"),
        (entry().replace("interface", "port"), "port: unknown key"),
        (entry(more='request = "deassociate"'), "request: Invalid enum value 'deassociate'"),
        (entry(more="persistent = false"), "persistent: unknown key"),
        (entry(more="wait = 3"), "wait: unknown key"),
        (entry().replace('"192.0.2.7"', "12"), "manager: Expected"),
        (entry().replace("type = 7", ""), "type: is missing"),
        (entry().replace("100-", "4095-"), "filter 1: "),
        (entry("x"), "instance: "),
        ("vsi = [1]", "Expected `object`"),
    ],
)
def test_a_mistake_is_named_with_file_entry_and_key(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, "a.toml", text)
    declared, (error,) = load_vsis(tmp_path)
    assert declared == []
    assert error.startswith(f"{file}: vsi 1: {said}")
    assert "\n" not in error


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, "vsi.d", "")
    assert load_vsis(path) == ([], [f"{path}: cannot be read: Not a directory"])


def test_where_the_files_are() -> None:
    assert vsi_directory(None) == Path("/etc/evbagent/vsi.d")
    assert vsi_directory(Path("/tmp/lab/agent.toml")) == Path("/tmp/lab/vsi.d")


def test_config_check_reads_them_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "evbagent.toml"
    config.write_text("")
    assert main(["config", "check", str(config)]) == 0
    (tmp_path / "vsi.d").mkdir()
    (tmp_path / "vsi.d" / "bad.toml").write_text('[[vsi]]\ninterface = "eth0"\ninstance = "x"\n')
    assert main(["config", "check", str(config)]) == 1
    assert "bad.toml: vsi 1: " in capsys.readouterr().err
