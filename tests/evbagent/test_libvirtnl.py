"""libvirt's netlink messages, against what libvirt and lldpad were recorded to say; and whatever else may come."""

import struct
from errno import EINVAL, EOPNOTSUPP
from sys import byteorder

import pytest

from evbagent.libvirtnl import (
    BrokenMessage,
    ListQuery,
    MessageError,
    PortProfile,
    Query,
    VsiQuery,
    decode,
    encode_entry,
    encode_error,
    encode_list,
    encode_notification,
    messages,
)
from protocols.vdp.vsi import Mode
from tests.support.libvirtmessages import (
    ACCEPTED,
    ANSWERED,
    GETLINK,
    IN_PROGRESS,
    MAC,
    OWNER,
    SETLINK,
    UUID,
    VDPTEST,
    setlink,
    with_length,
)

pytestmark = pytest.mark.skipif(byteorder != "little", reason="the recordings are a little-endian machine's")

PROFILE = PortProfile(11, 0x123457, 2, UUID)
ASKED = VsiQuery(2, "veth0", Mode.ASSOCIATE, PROFILE, MAC, 0, 0)


def read(datagram: bytes) -> Query:
    [(header, body)] = messages(datagram)
    return decode(header, body)


def fault(datagram: bytes) -> MessageError:
    with pytest.raises(MessageError) as raised:
        read(datagram)
    return raised.value


def without(octets: str) -> bytes:
    """SETLINK without an attribute; the nests around it grow no shorter by themselves, so it gets another number."""
    assert SETLINK.count(bytes.fromhex(octets)) == 1
    unknown = bytes.fromhex(octets)[:2] + b"\x7f\x00"
    return SETLINK.replace(bytes.fromhex(octets), unknown)


def test_requests() -> None:
    assert read(SETLINK) == ASKED
    assert read(VDPTEST) == ASKED
    assert read(GETLINK) == ListQuery(2, None)
    assert [read(setlink(number)).mode for number in range(4)] == [  # type: ignore[union-attr]
        Mode.PREASSOCIATE,
        Mode.PREASSOCIATE_RR,
        Mode.ASSOCIATE,
        Mode.DEASSOCIATE,
    ]


def test_headers() -> None:
    [(header, _)] = messages(SETLINK)
    assert (header.kind, header.sequence, header.port_id) == (19, 0x6700F6D1, OWNER)
    assert header.wants_an_answer
    for kind, flags in ((2, 5), (3, 5), (19, 0), (16, 0)):
        message = SETLINK[:4] + struct.pack("=HH", kind, flags) + SETLINK[8:]
        assert not next(messages(message))[0].wants_an_answer


def test_many_messages_in_a_datagram() -> None:
    found = [decode(header, body) for header, body in messages(SETLINK + GETLINK + VDPTEST)]
    assert found == [ASKED, ListQuery(2, None), ASKED]


def test_answers_are_as_recorded() -> None:
    [(header, _)] = messages(SETLINK)
    assert encode_error(header, 0) == ACCEPTED
    assert struct.unpack_from("=i", encode_error(header, 93), 16) == (-93,)
    [(header, _)] = messages(GETLINK)
    assert encode_list(header, 2, [encode_entry(UUID, None)]) == IN_PROGRESS
    assert encode_list(header, 2, [encode_entry(UUID, 0)]) == ANSWERED
    nothing = encode_list(header, 2, [])
    assert len(nothing) == 32 and nothing[:4] == struct.pack("=I", 32)


def test_a_notification_reads_as_the_request_that_it_is_about() -> None:
    message = encode_notification(ASKED, 2, "veth0", 77, 4242)
    assert len(message) == 164, "as long as lldpad's"
    assert struct.unpack_from("=IHHII", message) == (164, 19, 0, 77, 4242)
    assert message.endswith(bytes.fromhex("05000600 03000000")), "the request is one octet"
    assert read(message) == VsiQuery(2, "veth0", Mode.DEASSOCIATE, PROFILE, MAC, 0, 0)
    only_vlan = VsiQuery(2, "veth0", Mode.ASSOCIATE, PROFILE, None, 5, 3)
    assert read(encode_notification(only_vlan, 3, "eth0", 1, 1)) == VsiQuery(
        3, "eth0", Mode.DEASSOCIATE, PROFILE, None, 5, 3
    )


def test_more_vsis_than_an_attribute_can_hold() -> None:
    """The first ones, whole, for libvirt's is among them."""
    [(header, _)] = messages(GETLINK)
    entries = [
        encode_entry(bytes([number >> 8, number & 255]).ljust(16, b"\0"), number % 2 or None) for number in range(2000)
    ]
    message = encode_list(header, 2, entries)
    length, kind = struct.unpack_from("=HH", message, 32)
    assert kind == 0x8018 and length == len(message) - 32 <= 0xFFFF
    held = message[36:]
    assert b"".join(entries).startswith(held)
    assert len(held) > 0xFFFF - 4 - 44, "none that would have had room is left out"
    assert any(held == b"".join(entries[:number]) for number in range(1400, 2000))


@pytest.mark.parametrize(
    ("message", "errno", "words"),
    [
        (without("28000100"), None, ""),
        (without("10000200"), EINVAL, "IFLA_VF_VLAN is missing"),
        (without("40001680"), EINVAL, "IFLA_VFINFO_LIST is missing"),
        (without("3c000180"), EINVAL, "IFLA_VF_INFO is missing"),
        (without("30001880"), EINVAL, "IFLA_VF_PORTS is missing"),
        (without("2c000180"), EINVAL, "IFLA_VF_PORT is missing"),
        (without("0c000300"), EINVAL, "IFLA_PORT_VSI_TYPE is missing"),
        (without("14000400"), EINVAL, "IFLA_PORT_INSTANCE_UUID is missing"),
        (without("05000600"), EINVAL, "IFLA_PORT_REQUEST is missing"),
        (without("0a000300"), None, ""),
        (setlink(4), EINVAL, "IFLA_PORT_REQUEST 4 is not known"),
        (setlink(255), EINVAL, "IFLA_PORT_REQUEST 255 is not known"),
        (SETLINK.replace(MAC, b"\xff" * 6), EINVAL, "ff:ff:ff:ff:ff:ff is nobody's"),
        (SETLINK.replace(MAC, bytes(6)), EINVAL, "00:00:00:00:00:00 is nobody's"),
        (SETLINK.replace(b"veth0", b"\0eth0"), EINVAL, "IFLA_IFNAME has 0 octets"),
        (SETLINK.replace(b"veth0", b"\xffeth0"), EINVAL, "is no text"),
        (SETLINK[:4] + b"\x10\0" + SETLINK[6:], EOPNOTSUPP, "message type 16"),
        (SETLINK[:4] + b"\x12\1" + SETLINK[6:], EOPNOTSUPP, "message type 274"),
        (GETLINK[:20] + bytes(4) + GETLINK[24:], EINVAL, "neither IFLA_IFNAME nor"),
        (GETLINK[:20] + b"\xff" * 4 + GETLINK[24:], EINVAL, "neither IFLA_IFNAME nor"),
        (with_length(GETLINK[:31]), EINVAL, "ifinfomsg has 15 octets"),
        (with_length(GETLINK[:34]), EINVAL, "2 octets are no attribute"),
        (b"\0", 0, "1 octets are no message"),
    ],
)
def test_what_is_wrong_is_said(message: bytes, errno: int | None, words: str) -> None:
    if errno is None:
        read(message)
        return
    found = fault(message)
    assert words in str(found) and found.errno == errno


@pytest.mark.parametrize(("vid", "priority", "good"), [(0, 0, True), (4094, 7, True), (4095, 0, False), (1, 8, False)])
def test_vlans(vid: int, priority: int, good: bool) -> None:
    vlan = bytes.fromhex("10000200ffffffff")
    message = SETLINK.replace(vlan + bytes(8), vlan + struct.pack("=II", vid, priority))
    if good:
        query = read(message)
        assert isinstance(query, VsiQuery) and (query.vid, query.priority) == (vid, priority)
    else:
        assert fault(message).errno == EINVAL


@pytest.mark.parametrize("length", range(16))
def test_a_header_of_a_wrong_length_can_be_answered(length: int) -> None:
    for wrong in (length, len(SETLINK) + 1 + length, 0xFFFFFFFF - length):
        with pytest.raises(BrokenMessage) as raised:
            list(messages(struct.pack("=I", wrong) + SETLINK[4:]))
        assert raised.value.header.sequence == 0x6700F6D1 and raised.value.errno == EINVAL


@pytest.mark.parametrize("message", [SETLINK, GETLINK, VDPTEST], ids=["setlink", "getlink", "vdptest"])
def test_every_truncation(message: bytes) -> None:
    """As it comes, and as a message of that length."""
    for length in range(1, len(message)):
        assert fault(message[:length]).errno == (EINVAL if length >= 16 else 0)
        if length >= 16 and (message, length) != (GETLINK, 32):  # which is whole without its only attribute
            assert fault(with_length(message[:length])).errno == EINVAL


@pytest.mark.parametrize("message", [SETLINK, GETLINK, VDPTEST], ids=["setlink", "getlink", "vdptest"])
def test_every_change_of_an_octet(message: bytes) -> None:
    """A query or a clear error, and never another query that cannot be."""
    for offset in range(len(message)):
        for value in range(256):
            changed = message[:offset] + bytes([value]) + message[offset + 1 :]
            try:
                found = [decode(header, body) for header, body in messages(changed)]
            except MessageError as error:
                assert str(error) and error.errno in (0, EINVAL, EOPNOTSUPP)
                continue
            for query in found:
                assert query.interface or query.index > 0
                if isinstance(query, VsiQuery):
                    assert query.vid <= 4094 and query.priority <= 7 and len(query.profile.uuid) == 16
                    assert query.mac is None or (len(query.mac) == 6 and not query.mac[0] & 1)
