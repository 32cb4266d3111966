"""rtnetlink messages as octets, and the import of their base classes."""

import errno
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from evbagent import rtnl

ROOT = Path(__file__).parents[2]
NLA_F_NESTED = 0x8000


def attribute(number: int, value: bytes) -> bytes:
    data = struct.pack("HH", 4 + len(value), number) + value
    return data + bytes(-len(data) % 4)


def link_message(*attributes: bytes, kind: int = rtnl.RTM_NEWLINK, family: int = 0) -> bytes:
    body = struct.pack("BxHiII", family, 1, 7, 0x11043, 0) + b"".join(attributes)
    return struct.pack("IHHII", 16 + len(body), kind, 0, 99, 0) + body


def decoded(data: bytes) -> dict[str, object]:
    message = rtnl.LinkMessage(data)
    message.decode()
    values: dict[str, object] = message.values()
    return values


def test_known_attributes_are_decoded_and_others_stepped_over() -> None:
    data = link_message(
        attribute(3, b"eth0\0"),
        attribute(7, bytes(96)),
        attribute(1, bytes.fromhex("020000000001")),
        attribute(4, struct.pack("I", 1500)),
        attribute(45, struct.pack("i", -1)),
        attribute(999, b"?"),
        attribute(20, b"evbagent:veb\0"),
    )
    message = rtnl.LinkMessage(data)
    message.decode()
    assert (message["family"], message["ifi_type"], message["index"], message["flags"]) == (0, 1, 7, 0x11043)
    assert message["header"]["type"] == rtnl.RTM_NEWLINK
    assert message.values() == {
        "IFLA_IFNAME": "eth0",
        "IFLA_ADDRESS": bytes.fromhex("020000000001"),
        "IFLA_MTU": 1500,
        "IFLA_NEW_NETNSID": -1,
        "IFLA_IFALIAS": "evbagent:veb",
    }


def test_nested_attributes_are_decoded() -> None:
    data_of_macvtap = attribute(2, attribute(1, struct.pack("I", 2)) + attribute(2, struct.pack("H", 0)))
    port = attribute(5, attribute(1, b"\3") + attribute(4, b"\1") + attribute(5, b"\0"))
    info = attribute(18, attribute(1, b"macvtap\0") + data_of_macvtap + attribute(4, b"bridge\0") + port)
    values = decoded(link_message(info, attribute(3, b"g0\0"))) | {}
    inner = values["IFLA_LINKINFO"].values()  # type: ignore[attr-defined]
    assert (inner["IFLA_INFO_KIND"], inner["IFLA_INFO_SLAVE_KIND"]) == ("macvtap", "bridge")
    assert inner["IFLA_INFO_DATA"].values() == {"IFLA_MACVLAN_MODE": 2}
    assert inner["IFLA_INFO_SLAVE_DATA"].values() == {"IFLA_BRPORT_MODE": 1}
    assert values["IFLA_IFNAME"] == "g0"


def test_flags_in_an_attributes_type_do_not_matter() -> None:
    nested = attribute(12 | NLA_F_NESTED, attribute(4 | 0x4000, b"\1"))
    assert decoded(link_message(nested))["IFLA_PROTINFO"].values() == {  # type: ignore[attr-defined]
        "IFLA_BRPORT_MODE": 1
    }


def test_a_number_that_means_something_shorter_for_another_kind_is_none() -> None:
    info = attribute(18, attribute(1, b"other\0") + attribute(2, attribute(1, b"\1")))
    inner = decoded(link_message(info))["IFLA_LINKINFO"].values()  # type: ignore[attr-defined]
    assert inner["IFLA_INFO_DATA"].values() == {"IFLA_MACVLAN_MODE": None}


def test_text_may_be_anything() -> None:
    values = decoded(link_message(attribute(20, b"caf\xe9\0rest"), attribute(3, b"unterminated")))
    assert values == {"IFLA_IFALIAS": "caf\\xe9", "IFLA_IFNAME": "unterminated"}


def test_an_attribute_of_no_length_ends_the_list() -> None:
    assert decoded(link_message(attribute(3, b"eth0\0"), bytes(8))) == {"IFLA_IFNAME": "eth0"}


def test_a_request_is_encoded_as_the_kernel_wants_it() -> None:
    request = rtnl.LinkMessage()
    request["header"].update(type=rtnl.RTM_SETLINK, flags=5, sequence_number=99)
    request["index"] = 7
    request["family"] = 7
    request["attrs"] = [
        ("IFLA_ADDRESS", bytes.fromhex("020000000001")),
        ("IFLA_IFALIAS", "ü"),
        ("IFLA_PROTINFO", {"attrs": [("IFLA_BRPORT_MODE", 1)]}),
    ]
    request.encode()
    body = struct.pack("BxHiII", 7, 0, 7, 0, 0)
    body += attribute(1, bytes.fromhex("020000000001")) + attribute(20, b"\xc3\xbc\0")
    body += attribute(12 | NLA_F_NESTED, attribute(4, b"\1"))
    expected = struct.pack("IHHII", 16 + len(body), rtnl.RTM_SETLINK, 5, 99, 0) + body
    assert bytes(request.data) == expected
    request.reset()
    request.encode()
    assert bytes(request.data) == expected


def test_a_datagram_is_cut_into_its_messages() -> None:
    first, second = link_message(attribute(3, b"e\0")), link_message(kind=rtnl.RTM_DELLINK)
    assert list(rtnl.messages(first + second)) == [(16, 99, 0), (17, 99, len(first))]
    assert list(rtnl.messages(first + second[:10])) == [(16, 99, 0)]
    assert list(rtnl.messages(bytes(32))) == list(rtnl.messages(b"")) == []


def test_a_refusal_carries_the_kernels_words() -> None:
    error = rtnl.NetlinkError(errno.EPERM, "set it", "you are not allowed")
    assert (error.errno, str(error)) == (errno.EPERM, "set it: Operation not permitted (you are not allowed)")
    assert str(rtnl.NetlinkError(errno.ENODEV, "find it")) == "find it: No such device"
    body = struct.pack("i", -errno.EPERM) + bytes(16) + attribute(1, b"no\0")
    message = rtnl.ErrorMessage(struct.pack("IHHII", 16 + len(body), rtnl.NLMSG_ERROR, 0x300, 1, 0) + body)
    message.decode()
    assert (message["error"], message.values()) == (-errno.EPERM, {"NLMSGERR_ATTR_MSG": "no"})


NOTHING_STAYS = """
import sys
import evbagent.rtnl
assert not [name for name in sys.modules if name.partition(".")[0] == "pyroute2"]
assert "asyncio" not in sys.modules and "multiprocessing" not in sys.modules
"""

ALL_OF_IT_AFTERWARDS = """
import evbagent.rtnl
import pyroute2
from pyroute2 import NDB, IPRoute
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
assert pyroute2.netlink.nlmsg and pyroute2.netlink.rtnl and pyroute2.__file__
assert issubclass(ifinfmsg, pyroute2.netlink.nlmsg)
message = evbagent.rtnl.LinkMessage()
message["attrs"] = [("IFLA_IFNAME", "eth0")]
message.encode()
"""

WHAT_IS_THERE_ALREADY = """
import pyroute2, sys
import evbagent.rtnl
assert evbagent.rtnl.nlmsg is pyroute2.netlink.nlmsg and sys.modules["pyroute2"] is pyroute2
"""


@pytest.mark.parametrize("program", [NOTHING_STAYS, ALL_OF_IT_AFTERWARDS, WHAT_IS_THERE_ALREADY])
def test_the_import_leaves_pyroute2_as_it_was(program: str) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, check=True)
