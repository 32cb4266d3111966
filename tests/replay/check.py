"""What must be so when a capture is played again."""

from itertools import pairwise

from protocols.evb.bridge import EvbBridge
from protocols.evb.status import Operational
from protocols.timers import Instant
from tests.replay.player import Capture, End, Player, play
from tests.support.lldpdus import DRAFT, Captured, evb, evb_octets, time_to_live

# From hearing to answering, on a machine with other work.
TOLERANCE: Instant = 60_000
# lldpad does nothing before its next tick, whatever it is told or hears.
TICK: Instant = 1_200_000


def check_capture(capture: Capture) -> None:
    """Play every end that an evbagent or an lldpad was."""
    for end in capture.ends:
        if end.program == "evbagent":
            check_our_end(capture, end)
        elif end.program == "lldpad":
            check_lldpad_end(capture, end)


def check_our_end(capture: Capture, end: End) -> None:
    """The same frames in the same order at the same times, and the same answers."""
    player = play(capture, end)
    where = f"{capture.file}, {end.interface}"
    captured = capture.sent_by(end)
    for number, (real, played) in enumerate(zip(captured, player.sent, strict=False)):
        late = real.time - played.time
        same = real.data == played.data
        assert same, f"{where}: frame {real.number} ({number} of ours)\n{real.data.hex()}\n{played.data.hex()}"
        assert -TOLERANCE < late < TOLERANCE, f"{where}: frame {real.number} came {late} us after its time"
    assert len(captured) == len(player.sent), f"{where}: {len(captured)} frames captured, {len(player.sent)} played"
    assert player.answers == capture.answers[end.interface], where


def check_lldpad_end(capture: Capture, end: End) -> None:
    """Our machines in lldpad's place come to what lldpad says of itself, whenever it has settled."""
    heard = [frame for frame in capture.frames if frame.data[6:12] not in capture.macs(end)]
    news = [after.time for before, after in pairwise(heard) if before.data != after.data]
    news += [happening.time for happening in capture.happenings if happening.interface == end.interface]
    spoken = [frame for frame in capture.sent_by(end) if is_evb(frame)]
    settled = {after.number for before, after in pairwise(spoken) if before.data == after.data}
    assert settled, f"{capture.file}: {end.interface} never settles"
    compared = 0

    def compare(frame: Captured, player: Player) -> None:
        nonlocal compared
        stack = player.stack
        if frame.number not in settled or stack is None or stack.evb.statement.peer is None:
            return  # of a neighbour that is gone lldpad goes on speaking for a while (interop-notes E6)
        if any(frame.time - TICK < time <= frame.time for time in news):
            return
        where = f"{capture.file}, {end.interface}, frame {frame.number}"
        says = outcome_of(frame)
        comes_to = outcome_here(stack.evb.operational, says)
        assert comes_to == says, f"{where}: lldpad says {says}, we come to {comes_to}"
        assert not isinstance(stack.evb, EvbBridge) or player.hairpin == comes_to[0], where
        compared += 1

    play(capture, end, compare)
    assert compared, f"{capture.file}: {end.interface} was never compared"


def is_evb(frame: Captured) -> bool:
    payload = frame.data[14:]
    return frame.data[12:14] == b"\x88\xcc" and time_to_live(payload) != 0 and bool(evb(payload) or evb(payload, DRAFT))


def outcome_of(frame: Captured) -> tuple[bool | int, ...]:
    """What an lldpad says that it runs on: reflective relay, then R, RTE, RWD and RKA (draft: RTE)."""
    octets = evb_octets(frame.data[14:])
    if octets is not None:
        relay = octets.relay_control if octets.mode == 1 else octets.relay_status == 1
        return relay, octets.retries, octets.rte, octets.rwd, octets.rka
    body = evb(frame.data[14:], DRAFT)
    return body[2] == 0x40 and body[3] != 0, body[8]


def outcome_here(operational: Operational, like: tuple[bool | int, ...]) -> tuple[bool | int, ...]:
    if len(like) == 2:
        return operational.reflective_relay, operational.rte
    values = (operational.retries, operational.rte, operational.rwd, operational.rka)
    return operational.reflective_relay, *values
