"""Frames that somebody has tampered with: octets changed, cut out, put in or cut off."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.support.lldpdus import read_pcap

ROOT = Path(__file__).parents[2]
ETHERTYPES = frozenset(bytes.fromhex(text) for text in ("88cc", "8940", "88b7", "8890"))
HEADER = 14
SHORTEST = 20


def tamper(random: Random, frame: bytes) -> bytes:
    """The frame with up to eight changes, or, for once, without any."""
    data = bytearray(frame)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 8))):
        place = random.randrange(len(data))
        match random.randrange(8):
            case 0:
                del data[place : place + random.randrange(1, 20)]
            case 1:
                data[place:place] = random.randbytes(random.randrange(1, 20))
            case 2 if place > HEADER:
                del data[place:]
            case 3:
                data[place] ^= 1 << random.randrange(8)
            case _:
                data[place] = random.randrange(256)
        if len(data) < SHORTEST:
            break
    return bytes(data)


def mutated(random: Random, sound: Sequence[bytes]) -> Iterator[bytes]:
    """Endlessly."""
    while True:
        yield tamper(random, random.choice(sound))


def captured_frames() -> list[bytes]:
    """LLDP's and ECP's, each once, of the repository's captures."""
    found: dict[bytes, None] = {}
    for folder in ("pcaps", "pcaps/vsi"):
        for file in sorted((ROOT / folder).glob("*.pcap")):
            found |= dict.fromkeys(frame.data for frame in read_pcap(file) if frame.data[12:14] in ETHERTYPES)
    return list(found)
