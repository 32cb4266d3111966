"""DCB settings over netlink: the kernel's own answers where there is no DCB, and a NIC that iproute2 sees as well."""

from errno import EEXIST, EINVAL, ENODEV, ENOENT, EOPNOTSUPP, EPERM
from pathlib import Path

import pytest

from evbagent.dcbnl import Command
from evbagent.dcbsocket import DcbSocket
from evbagent.rtnl import NetlinkError
from protocols.dcbx.model import Application
from tests.support.fakedcb import GDCBX, IEEE_DEL, IEEE_GET, IEEE_SET, SDCBX, FakeDcb
from tests.support.namespaces import Namespace, link_pair

pytestmark = pytest.mark.system

READS = (Command.GDCBX, Command.IEEE_GET, Command.CEE_GET, Command.GCAP)


@pytest.fixture
def host(namespace: Namespace) -> Namespace:
    link_pair(namespace, "eth0", namespace, "eth1")
    return namespace


@pytest.fixture
def nic(host: Namespace, tmp_path: Path) -> FakeDcb:
    fake = FakeDcb(tmp_path)
    fake.add("eth0")
    return fake


def test_an_interface_without_dcb(host: Namespace) -> None:
    """All of it is answered EOPNOTSUPP by the kernel, which is nothing to be told."""

    def ask() -> None:
        with DcbSocket() as dcb:
            assert dcb.mode("eth0") is None
            assert dcb.ieee("eth0") is None
            assert dcb.cee("eth0") is None
            assert dcb.capabilities("eth0") is None
            for command in READS:
                with pytest.raises(NetlinkError) as refused:
                    dcb.get("no-such-link", command)
                assert refused.value.errno == ENODEV

    host.call(ask)


def test_what_may_not_be_changed_there(host: Namespace) -> None:
    """EPERM in a user namespace, and for root the same EOPNOTSUPP: the kernel has understood, and said no."""

    def change() -> None:
        with DcbSocket() as dcb, pytest.raises(NetlinkError) as refused:
            dcb.add_app("eth0", Application(3, 1, 0x8906))
        assert refused.value.errno in (EOPNOTSUPP, EPERM)
        assert "eth0: add application 1/0x8906:3" in str(refused.value)
        assert (refused.value.errno == EPERM) == ("first user namespace" in str(refused.value))

    host.call(change)


def test_dcb_sees_what_we_set(host: Namespace, nic: FakeDcb) -> None:
    nic.python(
        host,
        "dcb.set_ieee('eth0', Ets(8, True, False, (30, 70, 0, 0, 0, 0, 0, 0), (100, 0, 0, 0, 0, 0, 0, 0),"
        " (2, 2, 0, 0, 0, 0, 1, 255), (0, 0, 0, 1, 0, 0, 7, 2), (50, 50, 0, 0, 0, 0, 0, 0),"
        " (2, 2, 0, 0, 0, 0, 0, 0), (0, 0, 0, 1, 1, 0, 0, 0)), Pfc(8, 0x28, True, 4096))",
    )
    for app in ("3, 1, 0x8906", "4, 2, 3260", "3, 3, 4791", "2, 4, 22", "3, 5, 26", "1, 1, 0"):
        nic.python(host, f"dcb.add_app('eth0', Application({app}))")
    assert (
        nic.shown(host, "eth0").split()
        == (
            "willing on ets-cap 8 cbs off"
            " tc-bw 0:30 1:70 2:0 3:0 4:0 5:0 6:0 7:0"
            " pg-bw 0:100 1:0 2:0 3:0 4:0 5:0 6:0 7:0"
            " tc-tsa 0:ets 1:ets 2:strict 3:strict 4:strict 5:strict 6:cbs 7:vendor"
            " prio-tc 0:0 1:0 2:0 3:1 4:0 5:0 6:7 7:2"
            " reco-tc-bw 0:50 1:50 2:0 3:0 4:0 5:0 6:0 7:0"
            " reco-tc-tsa 0:ets 1:ets 2:strict 3:strict 4:strict 5:strict 6:strict 7:strict"
            " reco-prio-tc 0:0 1:0 2:0 3:1 4:1 5:0 6:0 7:0"
            " pfc-cap 8 macsec-bypass on delay 4096"
            " prio-pfc 0:off 1:off 2:off 3:on 4:off 5:on 6:off 7:off"
            " ethtype-prio 8906:3 default-prio 1 dscp-prio 26:3 stream-port-prio 3260:4 dgram-port-prio 4791:3"
            " port-prio 22:2"
            " host cee ieee"
        ).split()
    )
    assert [entry.command for entry in nic.writes("python", "eth0")] == [IEEE_SET] * 7


def test_we_see_what_dcb_has_set(host: Namespace, nic: FakeDcb) -> None:
    nic.dcb(host, *"ets set dev eth0 tc-tsa 0:ets 3:ets tc-bw 0:90 3:10 prio-tc 4:3".split())
    nic.dcb(host, *"pfc set dev eth0 prio-pfc 4:on delay 77".split())
    nic.dcb(host, *"app add dev eth0 dscp-prio 46:5 ethtype-prio 0x8914:4".split())
    nic.dcb(host, *"dcbx set dev eth0 host ieee".split())
    found = nic.python(
        host,
        "i = dcb.ieee('eth0'); result = [i.ets.tc_tx_bw, i.ets.tc_tsa, i.ets.prio_tc, i.pfc.enable, i.pfc.delay,"
        " sorted((a.selector, a.protocol, a.priority) for a in i.apps), mode_words(dcb.mode('eth0')),"
        " dcb.capabilities('eth0')['PG_TCS']]",
    )
    assert found == [
        [90, 0, 0, 10, 0, 0, 0, 0],
        [2, 0, 0, 2, 0, 0, 0, 0],
        [0, 0, 0, 0, 3, 0, 0, 0],
        0x10,
        77,
        [[1, 0x8914, 4], [5, 46, 5]],
        "host ieee",
        0x80,
    ]
    assert not nic.writes("python")


def test_our_requests_are_those_of_dcb(host: Namespace, nic: FakeDcb) -> None:
    """The same settings, asked for by iproute2 and by us: but for its acknowledgements the same octets."""
    nic.dcb(host, *"app add dev eth0 dscp-prio 26:3".split())
    nic.dcb(host, *"app del dev eth0 dscp-prio 26:3".split())
    nic.dcb(host, *"dcbx set dev eth0 host ieee".split())
    nic.dcb(host, *"pfc set dev eth0 prio-pfc 3:on".split())
    theirs = nic.writes("dcb")
    app = "Application(3, 5, 26)"
    nic.python(host, f"dcb.add_app('eth0', {app})")
    nic.python(host, f"dcb.delete_app('eth0', {app})")
    nic.python(host, "dcb.take_over('eth0')")
    nic.python(host, "dcb.set_ieee('eth0', pfc=Pfc(8, 8))")
    ours = nic.writes("python")
    assert [entry.command for entry in ours] == [IEEE_SET, IEEE_DEL, SDCBX, IEEE_SET]
    assert [entry.message[16:] for entry in ours] == [entry.message[16:] for entry in theirs]
    reads = {entry.message[16:] for entry in nic.log("python") if entry.kind == "REQ" and entry.command == IEEE_GET}
    assert reads <= {entry.message[16:] for entry in nic.log("dcb")}


def test_what_is_there_already_and_what_is_not(host: Namespace, nic: FakeDcb) -> None:
    app = "Application(3, 5, 26)"
    assert nic.python(host, f"dcb.delete_app('eth0', {app})")[0] == ENOENT
    assert nic.python(host, f"dcb.add_app('eth0', {app})") is None
    assert nic.python(host, f"dcb.add_app('eth0', {app})")[0] == EEXIST


def test_an_error_that_hides_in_the_answer(host: Namespace, nic: FakeDcb) -> None:
    """The netlink call succeeds; the driver has said no in one octet."""
    nic.add("eth0", f"refuse {IEEE_SET} {EINVAL}")
    answer = nic.python(host, "dcb.set_ieee('eth0', pfc=Pfc(8, 8))")
    assert answer == [EINVAL, "eth0: set PFC: Invalid argument (the driver answers 0xea)"]
    assert nic.python(host, "result = dcb.ieee('eth0').pfc.enable") == 0
    (refused,) = [entry for entry in nic.log("python") if entry.kind == "ANS" and entry.writes]
    assert refused.command == IEEE_SET and refused.message[24] == 0xEA


def test_operations_that_a_driver_lacks(host: Namespace, nic: FakeDcb) -> None:
    nic.add("eth0", f"fail {GDCBX} {EOPNOTSUPP}", f"fail {IEEE_SET} {EOPNOTSUPP}")
    assert nic.python(host, "result = dcb.mode('eth0')") is None
    assert nic.python(host, "result = dcb.ieee('eth0').pfc.capability") == 8
    assert nic.python(host, "dcb.set_ieee('eth0', pfc=Pfc(8, 8))")[0] == EOPNOTSUPP


@pytest.mark.parametrize("word", ["keep", f"refuse {SDCBX} {EINVAL}"])
def test_a_driver_that_keeps_its_mode(host: Namespace, nic: FakeDcb, word: str) -> None:
    """Whatever it answers, its mode afterwards says it."""
    nic.add("eth0", "dcbx 0x05", word)
    assert nic.python(host, "dcb.take_over('eth0')") == [
        EINVAL,
        "eth0: set the DCBX mode to host and IEEE: Invalid argument (it is host cee afterwards)",
    ]
    nic.add("eth0")
    assert nic.python(host, "dcb.take_over('eth0')") is None
    assert nic.dcb(host, "dcbx", "show", "dev", "eth0").split() == ["host", "ieee"]


def test_firmware_that_runs_dcbx(host: Namespace, nic: FakeDcb) -> None:
    nic.add("eth0", "managed", "dcbx 0x0d")
    assert nic.python(host, "result = mode_words(dcb.mode('eth0'))") == "lld-managed cee ieee"
    code = "i = dcb.ieee('eth0'); result = [i.peer_ets.prio_tc, i.peer_pfc.enable, i.peer_apps[0].protocol]"
    assert nic.python(host, code) == [[0, 0, 0, 1, 0, 0, 0, 0], 8, 4791]
    code = "c = dcb.cee('eth0'); result = [c.peer_groups, c.peer_bandwidth, c.peer_pfc]"
    assert nic.python(host, code) == [[0, 0, 0, 1, 0, 0, 0, 0], [60, 40, 0, 0, 0, 0, 0, 0], 8]
    assert nic.python(host, "dcb.take_over('eth0')")[0] == EINVAL
    assert nic.python(host, "dcb.set_ieee('eth0', pfc=Pfc(8, 8))")[0] == EINVAL


def test_dcb_itself_agrees_on_interfaces_without_dcb(host: Namespace, nic: FakeDcb) -> None:
    """The fake NIC is eth0; of eth1 the kernel is asked."""
    assert "ets-cap 8" in nic.dcb(host, "ets", "show", "dev", "eth0")
    answer = host.run(["dcb", "ets", "show", "dev", "eth1"], env=nic.environment, check=False)
    assert answer.returncode != 0 and "not supported" in answer.stderr
    assert nic.python(host, "result = dcb.ieee('eth1')") is None
