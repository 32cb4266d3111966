"""A process that floods an interface with tampered frames; run as `python -m tests.bench.mutator`.

They are made while it sends, so that none comes twice. What it has done is printed as JSON.
"""

import json
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from tests.bench.lldpflood import frames, typical
from tests.support import lldpdus
from tests.support.mutated import ETHERTYPES, captured_frames, mutated

BURST = 24
SHORTEST, LONGEST = 17, 1514
SWITCH = bytes.fromhex("0200000000f0")
SOUND_EVERY = 500
LLDP = lldpdus.ETHERTYPE
GROUPS = frozenset((lldpdus.NEAREST_BRIDGE, lldpdus.NEAREST_NON_TPMR_BRIDGE, lldpdus.NEAREST_CUSTOMER_BRIDGE))
VLAN_TAGS = frozenset((b"\x81\x00", b"\x88\xa8"))


def main(argv: Sequence[str]) -> int:
    parser = ArgumentParser()
    parser.add_argument("interface")
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--receiver", type=bytes.fromhex, required=True)
    arguments = parser.parse_args(argv)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((arguments.interface, 0))
    source = flood(Random(arguments.seed), arguments.receiver)
    sent = wanted = 0
    begun = time.monotonic()
    while (now := time.monotonic()) - begun < arguments.seconds:
        for tampered in islice(source, BURST):
            frame = tampered[:LONGEST].ljust(SHORTEST, b"\0")
            wire.send(frame)
            sent += 1
            wanted += passes(frame, arguments.receiver)
        wait = begun + sent / arguments.rate - now
        if wait > 0:
            time.sleep(wait)
    print(json.dumps({"sent": sent, "wanted": wanted, "seconds": time.monotonic() - begun}))
    return 0


def flood(random: Random, receiver: bytes) -> Iterator[bytes]:
    """Half LLDP, half ECP of both editions, all of it tampered with; and now and then a switch that agrees to VDP, or
    the receiver would not look into ECPDUs at all.
    """
    captured = captured_frames()
    lldp = [frame for frame in captured if frame[12:14] == LLDP] + frames(typical(number) for number in range(100))
    ecp = [frame for frame in captured if frame[12:14] != LLDP]
    ecp += [receiver + frame[6:] for frame in ecp]
    sources = mutated(random, lldp), mutated(random, ecp)
    switch = lldpdus.frame(SWITCH, lldpdus.lldpdu(SWITCH, lldpdus.evb_tlv(lldpdus.BRIDGE_REFLECTS)))
    while True:
        yield switch
        for frame in (next(random.choice(sources)) for _ in range(SOUND_EVERY)):
            if frame[6:12] != receiver:  # counted as its own, in the scope that it came in
                yield frame


def passes(frame: bytes, receiver: bytes) -> bool:
    """Whether the receiver's kernel lets its agent have the frame: no tag, LLDP to a group, ECP to one or to itself."""
    destination, ethertype = frame[:6], frame[12:14]
    if ethertype in VLAN_TAGS:  # one with VID 0 carries a priority only, and is taken out
        vid = int.from_bytes(frame[14:16], "big") & 0xFFF
        return not vid and passes(frame[:12] + frame[16:], receiver)
    return ethertype in ETHERTYPES and (destination in GROUPS or (destination == receiver and ethertype != LLDP))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
