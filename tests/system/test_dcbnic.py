"""Changes of a NIC's DCB settings: only what differs, once, and back again; drivers that refuse or do otherwise."""

from errno import EINVAL, EOPNOTSUPP
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakedcb import IEEE_DEL, IEEE_SET, SDCBX, FakeDcb
from tests.support.namespaces import Namespace, link_pair

pytestmark = pytest.mark.system

CHANGES = [
    "prio-tc 3:0 -> 3:1",
    "tc-tsa 0:strict 1:strict -> 0:ets 1:ets",
    "tc-bw 0:0 1:0 -> 0:50 1:50",
    "prio-pfc 3:off -> 3:on",
    "ethtype-prio - -> 0x8906:3",
    "dgram-port-prio - -> 4791:3",
]


class Nic:
    """eth0 of a namespace, with DCB; each call is another process that knows what the one before has kept."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        self.fake = FakeDcb(directory)
        self.fake.add("eth0")
        self.directory = directory

    def do(self, code: str) -> Any:
        index = self.namespace.interface_index("eth0")
        return self.fake.python(
            self.namespace,
            f"""
store = DcbStore(Path({str(self.directory)!r}))
store.load()
nic = DcbNic(dcb, store, {index}, "eth0")
halves = Tables((0, 0, 0, 1, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (50, 50, 0, 0, 0, 0, 0, 0))
wanted = Wanted(halves, None, True, 8, None, (Application(3, 1, 0x8906), Application(3, 3, 4791)))
outcome = nic.{code}
result = [[str(one) for one in outcome.changed], outcome.error, nic.is_changed]
""",
        )

    def commands(self) -> list[int]:
        return [entry.command for entry in self.fake.writes("python")]

    def shown(self) -> str:
        return self.fake.shown(self.namespace, "eth0")


@pytest.fixture
def nic(namespace: Namespace, tmp_path: Path) -> Nic:
    link_pair(namespace, "eth0", namespace, "eth1")
    return Nic(namespace, tmp_path)


def test_once_and_not_again(nic: Nic) -> None:
    """ETS and PFC go in one message, since drivers reset the port at each."""
    assert nic.do("apply(wanted)") == [CHANGES, "", True]
    assert nic.commands() == [IEEE_SET] * 3
    assert "prio-pfc 0:off 1:off 2:off 3:on" in nic.shown() and "tc-bw 0:50 1:50" in nic.shown()
    assert nic.do("apply(wanted)") == [[], "", True]
    assert nic.commands() == [IEEE_SET] * 3


def test_back_as_it_was(nic: Nic) -> None:
    nic.fake.dcb(nic.namespace, *"ets set dev eth0 tc-tsa 2:ets tc-bw 2:100 prio-tc 5:2 willing on".split())
    nic.fake.dcb(nic.namespace, *"pfc set dev eth0 prio-pfc 5:on delay 7".split())
    nic.fake.dcb(nic.namespace, *"app add dev eth0 dgram-port-prio 4791:4 dscp-prio 46:5".split())
    nic.fake.dcb(nic.namespace, *"dcbx set dev eth0 host cee".split())
    before = nic.shown()
    assert nic.do("restore()") == [[], "", False], "nothing has been changed"
    assert nic.do("apply(wanted)")[1:] == ["", True]
    assert nic.commands() == [SDCBX, *[IEEE_SET] * 3, *[IEEE_DEL] * 2]
    assert "dgram-port-prio 4791:3" in nic.shown() and nic.shown().rstrip().endswith("host ieee")
    assert nic.do("restore()")[1:] == ["", False]
    assert nic.shown() == before
    assert not (nic.directory / "dcb.before").exists()


def test_what_was_before_is_not_what_was_meanwhile(nic: Nic) -> None:
    before = nic.shown()
    nic.do("apply(wanted)")
    nic.do("apply(Wanted(pfc=0x10))")
    nic.fake.dcb(nic.namespace, *"pfc set dev eth0 prio-pfc all:on".split())
    assert nic.do("restore()")[1:] == ["", False]
    assert nic.shown() == before


def test_who_is_refused_says_so_and_keeps_the_rest(nic: Nic) -> None:
    before = nic.shown()
    nic.fake.add("eth0", f"refuse {IEEE_SET} {EINVAL}")
    assert nic.do("apply(wanted)") == [
        [],
        "eth0: set ETS and PFC: Invalid argument (the driver answers 0xea)",
        False,
    ]
    assert nic.commands() == [IEEE_SET], "applications of a class that is not there would be worse than none"
    assert nic.shown() == before
    nic.fake.add("eth0")
    nic.fake.dcb(nic.namespace, *"pfc set dev eth0 prio-pfc 5:on".split())
    meanwhile = nic.shown()
    assert nic.do("restore()") == [[], "", False], "nothing was changed, so what somebody else did meanwhile stays"
    assert nic.shown() == meanwhile
    assert nic.do("apply(wanted)")[1:] == ["", True]
    assert nic.do("restore()")[1:] == ["", False]
    assert nic.shown() == meanwhile


def test_an_operation_that_fails(nic: Nic) -> None:
    nic.fake.add("eth0", f"fail {IEEE_SET} {EOPNOTSUPP}")
    assert nic.do("apply(wanted)")[1] == "eth0: set ETS and PFC: Operation not supported"


def test_a_driver_that_stays_in_its_mode(nic: Nic) -> None:
    nic.fake.add("eth0", "dcbx 0x05", "keep")
    changed, error, _ = nic.do("apply(wanted)")
    assert changed == [] and error.endswith("(it is host cee afterwards)")
    assert nic.commands() == [SDCBX]


def test_firmware_is_left_alone(nic: Nic) -> None:
    nic.fake.add("eth0", "managed")
    assert nic.do("apply(wanted)") == [[], "the NIC's firmware runs DCBX", False]
    assert nic.do("restore()") == [[], "", False]
    assert nic.commands() == []


def test_a_nic_without_dcb_or_without_the_name(nic: Nic) -> None:
    nic.fake.remove("eth0")
    assert nic.do("apply(wanted)") == [[], "the NIC has no DCB", False]
    nic.fake.add("eth0")
    nic.do("apply(wanted)")
    nic.fake.add("other")
    code = "renamed('other') or nic.apply(Wanted(pfc=2))"
    assert nic.do(code) == [[], "other: change DCB settings: Invalid argument (the interface is now eth0)", True]
    assert len(nic.commands()) == 3, "the NIC that has the name now is another"


def test_what_is_too_much_for_the_nic(nic: Nic) -> None:
    nic.fake.add("eth0", "tcs 1")
    assert nic.do("apply(wanted)") == [[], "priority 3 is in traffic class 1, and there are 1", False]
    assert nic.commands() == []
