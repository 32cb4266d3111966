"""What network cards say, from the kernel's answers."""

import struct

import pytest

from evbagent.ethtool import LinkModes, Port, PowerSupply, link_modes, power_supply
from tests.support.netlink import attribute, word


def bitset(value: int, mask: int | None = None, size: int = 121) -> bytes:
    """The compact form: words of the machine's byte order."""
    octets = b"" if mask is None else attribute(5, words(mask))
    return word(2, size) + attribute(4, words(value)) + octets


def words(bits: int) -> bytes:
    return struct.pack("4I", *(bits >> 32 * place & 0xFFFFFFFF for place in range(4)))


def test_a_card_on_a_cable() -> None:
    answer = {
        2: b"\1",
        3: bitset(1 << 5 | 1 << 97, 1 << 5 | 1 << 6 | 1 << 97),
        4: bitset(1 << 5),
        5: struct.pack("I", 1000),
        6: b"\1",
    }
    found = link_modes(answer, b"\0")
    assert found == LinkModes(True, 1 << 5 | 1 << 6 | 1 << 97, 1 << 5 | 1 << 97, 1 << 5, 1000, True, Port.TWISTED_PAIR)


def test_a_card_without_a_cable() -> None:
    answer = {2: b"\0", 3: bitset(0, 1 << 43), 5: b"\xff" * 4, 6: b"\xff"}
    assert link_modes(answer, None) == LinkModes(False, 1 << 43, 0, 0, None, None, Port.OTHER)
    assert link_modes({3: bitset(0, 1 << 43), 5: bytes(4), 6: b"\0"}, b"\3") == LinkModes(
        False, 1 << 43, 0, 0, None, False, Port.FIBRE
    )
    assert link_modes({3: bitset(0, 1)}, None) == LinkModes(False, 1, 0)


@pytest.mark.parametrize("answer", [{}, {3: bitset(0, 0), 5: struct.pack("I", 10_000), 6: b"\1"}, {3: b""}])
def test_a_virtual_interface_has_no_modes(answer: dict[int, bytes]) -> None:
    assert link_modes(answer, b"\0") is None


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({5: struct.pack("I", 3), 8: struct.pack("I", 4), 7: struct.pack("I", 4)}, PowerSupply(True, 4)),
        ({5: struct.pack("I", 2)}, PowerSupply(False, None)),
        ({2: struct.pack("I", 3)}, None),
        ({}, None),
    ],
)
def test_power(answer: dict[int, bytes], found: PowerSupply | None) -> None:
    assert power_supply(answer) == found
