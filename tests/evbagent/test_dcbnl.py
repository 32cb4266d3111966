"""DCB messages: lldpad's own requests as recorded, structures cut short, and what comes of answers."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from evbagent.dcbnl import (
    Cee,
    Command,
    DcbChange,
    DcbMessage,
    DcbxMode,
    Ets,
    Features,
    Ieee,
    Pfc,
    dcb_request,
    pack_ets,
    pack_pfc,
    read_cee,
    read_ets,
    read_ieee,
    read_pfc,
)
from evbagent.dcbsocket import mode_words
from protocols.dcbx.model import CEE_OUI, Application, CeeApplication

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
NESTED = 0x8000


def transcript(name: str) -> list[tuple[str, int, bytes]]:
    """Direction, command and message of each line."""
    path = CAPTURES / f"dcbnl-{name}.txt"
    if not path.exists():
        pytest.skip(f"no transcript beside the repository: {path} is looked for")
    lines = (line.split() for line in path.read_text().splitlines())
    return [(line[0], int(line[2].removeprefix("cmd=")), bytes.fromhex(line[3])) for line in lines]


def decoded(message: bytes) -> DcbMessage:
    """As the agent reads it: answers to RTM_SETDCB in their own form."""
    (kind,) = struct.unpack_from("H", message, 4)
    is_answer = len(message) <= 28 and kind == 79
    found = (DcbChange if is_answer else DcbMessage)(message)
    found.decode()
    return found


def plain(message: DcbMessage) -> list[tuple[str, object]]:
    """The attributes, as a request is given them."""
    return [
        (name, None if name.endswith("_ALL") and name != "DCB_ATTR_SET_ALL" else as_value(value))
        for name, value in message["attrs"]
    ]


def as_value(value: object) -> object:
    return value if isinstance(value, int | str | bytes) else {"attrs": plain(value)}


def without_nested_flags(data: bytes, offset: int = 20) -> bytes:
    """Requests may have the flag or not."""
    out = bytearray(data)
    clear(out, offset, len(data))
    return bytes(out)


def clear(data: bytearray, offset: int, end: int) -> None:
    while offset + 4 <= end:
        length, kind = struct.unpack_from("HH", data, offset)
        if kind & NESTED:
            struct.pack_into("H", data, offset + 2, kind & ~NESTED)
            clear(data, offset + 4, offset + length)
        offset += (max(length, 4) + 3) & ~3


@pytest.mark.parametrize("name", ["ieee-nw-w-a", "ieee-nw-w-b", "cee-nw-w-a", "cee-nw-w-b"])
def test_requests_of_lldpad_come_out_as_they_were(name: str) -> None:
    """Every request it made, decoded and put together again by our classes."""
    requests = [(command, message) for direction, command, message in transcript(name) if direction == "REQ"]
    commands = set()
    for command, message in requests:
        found = DcbMessage(message)
        found.decode()
        kind, flags, sequence, pid = struct.unpack_from("HHII", message, 4)
        if command == 15:  # the switch for all of PFC, which is not ours to use
            continue
        again = dcb_request(DcbMessage, kind, "va", Command(command), ())
        again["attrs"] = plain(found)
        again.reset()
        again["header"].update(flags=flags, sequence_number=sequence, pid=pid)
        again.encode()
        assert without_nested_flags(bytes(again.data)) == without_nested_flags(message), Command(command).name
        commands.add(command)
    expected = {1, 11, 12, 19, 20, 21, 22, 23, 27} if "ieee" in name else {1, 4, 6, 8, 9, 11, 12, 19, 22, 23}
    assert expected <= commands


def test_what_the_recorded_nic_was_told() -> None:
    """The willing lldpad has taken over ETS 40/60, PFC on priority 3, FCoE."""
    answers = [
        message for direction, command, message in transcript("ieee-nw-w-b") if (direction, command) == ("REP", 21)
    ]
    ieee = read_ieee(decoded(answers[-1]).values())
    shares, selection, classes = (40, 60, 0, 0, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (0, 0, 0, 1, 0, 0, 0, 2)
    assert ieee.ets == Ets(8, False, False, shares, shares, selection, classes, shares, selection, classes)
    assert ieee.pfc == Pfc(capability=8, enable=1 << 3)
    assert ieee.apps == (Application(3, 1, 0x8906),)
    assert (ieee.peer_ets, ieee.peer_pfc, ieee.peer_apps) == (None, None, ())


@pytest.mark.parametrize("name", ["ieee-nw-w-b", "cee-nw-w-a"])
def test_answers_to_changes_are_octets(name: str) -> None:
    lines = [(command, message) for direction, command, message in transcript(name) if direction == "REP"]
    changes = [message for command, message in lines if message[4] == 79 and command != 15]
    octets = [[found for _, found in decoded(message)["attrs"]] for message in changes]
    assert changes
    assert all(len(found) == 1 and isinstance(found[0], int) for found in octets)
    assert octets.count([0]) > len(octets) / 2, "SET_ALL answers 1 for nothing to do"


def test_structures_there_and_back() -> None:
    ets = Ets(4, True, True, *(tuple(range(n, n + 8)) for n in range(7)))  # type: ignore[arg-type]
    pfc = Pfc(4, 0x18, True, 0x1234)
    assert len(pack_ets(ets)) == 59 and len(pack_pfc(pfc)) == 136
    assert read_ets(pack_ets(ets)) == ets
    assert read_pfc(pack_pfc(pfc)) == pfc
    assert pack_pfc(pfc)[:6] == bytes([4, 0x18, 1, 0]) + struct.pack("H", 0x1234)
    assert read_pfc(pack_pfc(pfc)[:8] + bytes(range(128))) == pfc, "counters are not looked at"


def test_structures_that_are_too_short_say_nothing() -> None:
    assert read_ets(None) is None and read_pfc(None) is None
    assert not any(read_ets(pack_ets(Ets())[:length]) for length in range(59))
    assert not any(read_pfc(pack_pfc(Pfc())[:length]) for length in range(136))
    assert read_ets(pack_ets(Ets(3)) + b"later") == Ets(3), "a structure that has grown"


def attribute(number: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), number) + value + bytes(-len(value) % 4)


def message(command: int, *attributes: bytes) -> bytes:
    body = bytes([0, command, 0, 0]) + b"".join(attributes)
    return struct.pack("IHHII", 16 + len(body), 78, 0, 1, 0) + body


def ieee_answer() -> bytes:
    apps = attribute(1, struct.pack("BBH", 1, 3, 0x8906)) + attribute(2, struct.pack("BBH", 255, 3, 3))
    nest = attribute(1, pack_ets(Ets(8))) + attribute(2, pack_pfc(Pfc(8))) + attribute(3, apps)
    nest += attribute(4, pack_ets(Ets(0, True))) + attribute(5, pack_pfc(Pfc(2, 8)))
    nest += attribute(6, attribute(1, struct.pack("BBH", 3, 3, 4791))) + attribute(11, b"later")
    return message(21, attribute(1, b"eth0\0"), attribute(13, nest), attribute(14, b"\x09"))


def test_everything_that_firmware_may_tell() -> None:
    found = decoded(ieee_answer()).values()
    assert read_ieee(found) == Ieee(
        Ets(8),
        Pfc(8),
        (Application(3, 1, 0x8906),),  # and not the one that is selected by PCP
        Ets(0, True),
        Pfc(2, 8),
        (Application(3, 3, 4791),),
    )
    assert found["DCB_ATTR_DCBX"] == 9


def test_what_firmware_tells_of_cee() -> None:
    groups = struct.pack("4B8B8B", 1, 0, 1, 8, *(60, 40, 0, 0, 0, 0, 0, 0), *(0, 0, 0, 1, 0, 0, 0, 15))
    nest = attribute(1, groups) + attribute(2, struct.pack("4B", 1, 0, 8, 8))
    table = attribute(1, struct.pack("BB", 1, 0)) + attribute(2, struct.pack("BBH", 0, 8, 0x8906))
    nest += attribute(3, table) + attribute(8, attribute(2, b"\x0e") + attribute(3, b"\x01"))
    assert read_cee(decoded(message(26, attribute(16, nest))).values()) == Cee(
        peer_groups=(0, 0, 0, 1, 0, 0, 0, 15),
        peer_bandwidth=(60, 40, 0, 0, 0, 0, 0, 0),
        peer_pfc=8,
        peer_applications=(CeeApplication(0x8906, 0, CEE_OUI, 8),),
        features={"pg": Features.ENABLE | Features.WILLING | Features.ADVERTISE, "pfc": Features.ERROR},
    )
    assert read_cee({}) == Cee() and read_ieee({}) == Ieee()


def changed_octets(data: bytes) -> Iterator[bytes]:
    for at in range(16, len(data)):
        for value in (0x00, 0x01, 0x04, 0x7F, 0x80, 0xFF):
            yield data[:at] + bytes([value]) + data[at + 1 :]


def test_answers_cut_short_or_damaged_are_no_accident() -> None:
    """The kernel does not do that; a driver's structure may be of another size, though."""
    answer = ieee_answer()
    for length in range(20, len(answer)):
        whole = struct.pack("I", length) + answer[4:length]
        read_ieee(decoded(whole).values())
    for damaged in changed_octets(answer):
        found = decoded(damaged).values()
        if not isinstance(found.get("DCB_ATTR_IEEE"), int):
            read_ieee(found)


def test_modes_in_the_words_of_dcb() -> None:
    assert mode_words(DcbxMode(0x0D)) == "host cee ieee"
    assert mode_words(DcbxMode(0x12)) == "lld-managed static"
    assert mode_words(DcbxMode(0)) == "none"
    assert mode_words(None) == "unknown"
