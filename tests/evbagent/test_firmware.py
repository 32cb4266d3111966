"""LLDP agents in firmware, as drivers tell: made-up answers, a real refusal, and messages of another program."""

import ctypes
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from evbagent.firmware import (
    LLD_MANAGED,
    Firmware,
    PrivateFlag,
    dcbx_mode,
    decode_get_dcbx,
    encode_get_dcbx,
    lldp_flags,
    read_firmware,
)

TRANSCRIPT = Path(__file__).parents[3] / "shared" / "captures" / "dcbnl-ieee-nw-w-a.txt"
SSET_INFO, STRINGS, FLAGS = 0x37, 0x1B, 0x27


class Driver:
    """Answers SIOCETHTOOL in the caller's memory, as the kernel does."""

    def __init__(self, names: Sequence[str], bits: int = 0, refuses: frozenset[int] = frozenset()) -> None:
        self.names = names
        self.bits = bits
        self.refuses = refuses
        self.asked: list[bytes] = []

    def __call__(self, descriptor: int, request: int, argument: bytes) -> int:
        assert request == 0x8946 and len(argument) == 40
        name, address = struct.unpack("16sP16x", argument)
        self.asked.append(name.rstrip(b"\0"))
        (command,) = struct.unpack("I", ctypes.string_at(address, 4))
        if command in self.refuses:
            raise OSError(95, "Operation not supported")
        if command == SSET_INFO:
            assert ctypes.string_at(address, 16) == struct.pack("IIQ", SSET_INFO, 0, 1 << 2)
            answer = struct.pack("IIQI", SSET_INFO, 0, 1 << 2 if self.names else 0, len(self.names))
        elif command == STRINGS:
            assert struct.unpack("III", ctypes.string_at(address, 12)) == (STRINGS, 2, len(self.names))
            octets = b"".join(name.encode().ljust(32, b"\0") for name in self.names)
            answer = struct.pack("III", STRINGS, 2, len(self.names)) + octets
        else:
            answer = struct.pack("II", FLAGS, self.bits)
        ctypes.memmove(address, answer, len(answer))
        return 0


@pytest.mark.parametrize(
    ("names", "bits", "flags"),
    [
        (["link-down-on-close", "fw-lldp-agent", "vf-true-promisc"], 0b010, [("fw-lldp-agent", True, True)]),
        (["link-down-on-close", "fw-lldp-agent"], 0b001, [("fw-lldp-agent", False, False)]),
        (["disable-fw-lldp"], 0, [("disable-fw-lldp", False, True)]),
        (["disable-fw-lldp"], 1, [("disable-fw-lldp", True, False)]),
        (["enable-fw-lldp", "LLDP"], 0b11, [("enable-fw-lldp", True, True), ("LLDP", True, True)]),
        (["legacy-rx"] * 32, 0xFFFFFFFF, []),
        ([], 0, []),
    ],
)
def test_private_flags(names: list[str], bits: int, flags: list[tuple[str, bool, bool]]) -> None:
    driver = Driver(names, bits)
    found = lldp_flags("eth0", driver)
    assert [(flag.name, flag.on, flag.firmware_speaks) for flag in found] == flags
    assert set(driver.asked) == {b"eth0"}


@pytest.mark.parametrize("command", [SSET_INFO, STRINGS, FLAGS])
def test_a_driver_that_refuses(command: int) -> None:
    assert lldp_flags("eth0", Driver(["fw-lldp-agent"], 1, frozenset({command}))) == ()


def test_more_flags_than_there_can_be() -> None:
    assert lldp_flags("eth0", Driver([f"lldp{number}" for number in range(33)])) == ()


@pytest.mark.parametrize("name", ["lo", "no-such-link", "", "longer-than-any-name"])
def test_links_without_any_of_it(name: str) -> None:
    assert read_firmware(name) == Firmware((), 0)
    assert dcbx_mode(name[:15]) == 0


def test_the_question_is_the_one_that_lldpad_asks() -> None:
    lines = [line.split() for line in transcript()]
    asked = [bytes.fromhex(line[3]) for line in lines if line[:3] == ["REQ", "type=78", "cmd=22"]]
    answers = [bytes.fromhex(line[3]) for line in lines if line[:3] == ["REP", "type=78", "cmd=22"]]
    ours = encode_get_dcbx("va")
    for question in asked:
        assert question[:4] == ours[:4] and question[16:] == ours[16:]
    assert [decode_get_dcbx(answer) for answer in answers] == [answer[24] for answer in answers]
    assert not any(decode_get_dcbx(answer) & LLD_MANAGED for answer in answers)


def transcript() -> list[str]:
    if not TRANSCRIPT.exists():
        pytest.skip(f"no transcript beside the repository: {TRANSCRIPT} is looked for")
    return TRANSCRIPT.read_text().splitlines()


def test_answers() -> None:
    header = struct.pack("IHHII", 28, 78, 0, 1, 0) + bytes([0, 22, 0, 0])
    managed = header + struct.pack("HHB3x", 5, 14, 0x0A)
    assert decode_get_dcbx(managed) == 0x0A
    assert decode_get_dcbx(header + struct.pack("HH4s", 8, 1, b"eth0") + managed[20:]) == 0x0A
    error = struct.pack("IHHII", 36, 2, 0, 1, 0) + struct.pack("i", -95) + bytes(16)
    assert decode_get_dcbx(error) == 0
    assert decode_get_dcbx(header + struct.pack("HH", 0, 1) + bytes(8)) == 0, "a length that leads nowhere"
    for length in range(len(managed)):
        assert decode_get_dcbx(managed[:length]) in (0, 0x0A)


def test_what_a_flag_says() -> None:
    assert PrivateFlag("no-fw-lldp", False).firmware_speaks and not PrivateFlag("no_lldp", True).firmware_speaks
