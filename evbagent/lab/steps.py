"""What the lab shows, step by step, each with real frames from guest A to guest B."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import CLOCK_REALTIME, clock_gettime_ns, monotonic
from typing import Any

from evbagent.client import ClientError
from evbagent.lab.dcbxsteps import dcbx_agreed
from evbagent.lab.guests import GuestError
from evbagent.lab.inside import UPLINK, Lab
from evbagent.lab.neighborsteps import neighbors_shown
from evbagent.lab.outcome import Outcome
from evbagent.lab.switches import PORT
from evbagent.lab.vsisteps import agent_restarted, vsi_withdrawn, vsis_associated, vsis_return
from evbagent.lab.wire import LabError, agreement, says_active

COUNT = 100
QUIET_SECONDS = 1.0
GRACE_SECONDS = 0.1
CHANGE_SECONDS = 10.0
STREAMED = 30

MACVLAN_MODES: Mapping[str, str] = {"vepa": "vepa", "veb": "bridge"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """Frames from A to B: how many were sent and received, and crossed the uplink to the switch and back."""

    sent: int
    received: int
    up: int
    back: int


CUT_OFF = Exchange(COUNT, 0, COUNT, 0)
INSIDE = Exchange(COUNT, COUNT, 0, 0)
REFLECTED = Exchange(COUNT, COUNT, COUNT, COUNT)


def run_steps(lab: Lab, tell: Callable[[dict[str, Any]], None]) -> bool:
    """Do all steps and tell of each; whether all came out as they must. Ends with the first that did not."""
    for name, step in STEPS:
        began = monotonic()
        try:
            outcome = step(lab)
        except (LabError, GuestError, ClientError, OSError) as error:
            outcome = Outcome(False, str(error))
        tell(
            {
                "name": name,
                "ok": outcome.ok,
                "seconds": round(monotonic() - began, 3),
                "sent": outcome.sent,
                "received": outcome.received,
                "detail": outcome.detail,
                "lost": outcome.lost,
                "outage-seconds": outcome.outage_seconds,
                "convergence-seconds": outcome.convergence_seconds,
            }
        )
        if not outcome.ok:
            return False
    return True


def vepa_forced(lab: Lab) -> Outcome:
    """(a) VEPA on a guess, and a switch that does not reflect: the silent outage."""
    lab.start_agent()
    lab.force_vepa()
    seen = exchange(lab, CUT_OFF)
    mode, modes, hairpin = lab.agent.mode(), lab.modes(), lab.hairpin()
    lab.detach()
    return Outcome(
        seen == CUT_OFF and mode == "veb" and modes == {"vepa"} and not hairpin,
        f"forced by hand, hairpin of {PORT} is off: {crossing(seen)}; `evbagent mode {UPLINK}` says {mode}",
        seen.sent,
        seen.received,
    )


def attached(lab: Lab) -> Outcome:
    """`evbagent attach` while nobody has answered: the guests talk inside the host."""
    lab.attach()
    seen = exchange(lab, INSIDE)
    return Outcome(
        seen == INSIDE and lab.modes() == {"bridge"},
        f"by `evbagent attach`, in veb: {crossing(seen)} ({lab.places()})",
        seen.sent,
        seen.received,
    )


def negotiated(lab: Lab) -> Outcome:
    """(b) The switch speaks, the link comes up, both agree: VEPA, and every frame crosses the uplink both ways."""
    lab.switch_side.set_up(PORT, False)
    lab.switch.start()
    lab.journal.wait_for(lambda: lab.agent.uplink().get("oper-status") != "up", "the host sees its link go down")
    heard = len(lab.journal.lldp)
    began = clock_gettime_ns(CLOCK_REALTIME)
    lab.switch_side.set_up(PORT)
    agreed = lab.journal.wait_for(
        lambda: agreement(lab.journal.lldp[heard:], lab.edition), "both ends have said that reflective relay is on"
    )
    lab.switch.open_port()
    convergence = (agreed.time - began) / 1e9
    frames = sum(frame.time <= agreed.time and frame.evb() is not None for frame in lab.journal.lldp[heard:])
    lab.journal.wait_for(lambda: lab.hairpin() and lab.modes() == {"vepa"}, "the guests are in vepa")
    seen, mode = exchange(lab, REFLECTED), lab.agent.mode()
    return Outcome(
        seen == REFLECTED and mode == "vepa",
        f"agreed {convergence * 1000:.1f} ms after link up, with {frames} LLDPDUs; hairpin of {PORT} is on, set "
        f"{lab.switch.by}; `mode` says {mode}; {crossing(seen)}",
        seen.sent,
        seen.received,
        convergence_seconds=round(convergence, 6),
    )


def withdrawn(lab: Lab) -> Outcome:
    """(c) The switch withdraws reflective relay while the guests talk."""
    return change(lab, lab.switch.withdraw, "veb", "the switch withdraws")


def offered_again(lab: Lab) -> Outcome:
    """(c) And offers it again."""
    return change(lab, lab.switch.offer, "vepa", "the switch offers again")


def switch_dies(lab: Lab) -> Outcome:
    """(d) The switch dies without a word: the guests return when what it said has expired."""
    lab.switch.prepare_to_die()
    return change(lab, lab.switch.die, "veb", "the switch is dead, TTL 3 s")


def switch_returns(lab: Lab) -> Outcome:
    """A switch that starts late is known at once."""
    return change(lab, lab.switch.start, "vepa", "the switch is started again")


def agent_killed(lab: Lab) -> Outcome:
    """(e) The agent is killed: what it said is void at once. Its guests stay where they are, and so does the switch."""
    before = lab.agent.mode()
    lab.agent.kill()
    began = monotonic()
    mode = lab.agent.mode()
    took = monotonic() - began
    refused = lab.agent.command("mode", UPLINK, "--policy", "require-vepa")
    seen = exchange(lab, REFLECTED)
    return Outcome(
        (before, mode, refused.returncode) == ("vepa", "veb", 3) and seen == REFLECTED,
        f"`mode` said {before}; after SIGKILL it says {mode}, {took * 1000:.0f} ms later (all of it the command's own "
        f"time), and require-vepa is refused; the guests still talk: {crossing(seen)}",
        seen.sent,
        seen.received,
    )


STEPS: Sequence[tuple[str, Callable[[Lab], Outcome]]] = (
    ("vepa-forced", vepa_forced),
    ("attached", attached),
    ("negotiated", negotiated),
    ("vsis-associated", vsis_associated),
    ("vsi-withdrawn", vsi_withdrawn),
    ("dcbx-agreed", dcbx_agreed),
    ("withdrawn", withdrawn),
    ("offered-again", offered_again),
    ("switch-dies", switch_dies),
    ("switch-returns", switch_returns),
    ("vsis-return", vsis_return),
    ("agent-killed", agent_killed),
    ("agent-restarted", agent_restarted),
    ("neighbors-shown", neighbors_shown),
)


def change(lab: Lab, act: Callable[[], None], mode: str, what: str) -> Outcome:
    """A frame a millisecond goes from A to B while the switch does something: what does it cost until all is well?"""
    wanted = MACVLAN_MODES[mode]
    lab.a.start_stream(lab.b)
    arrives(lab, STREAMED)
    heard, events = len(lab.journal.lldp), len(lab.journal.events)
    began = clock_gettime_ns(CLOCK_REALTIME)
    act()
    lab.journal.wait_for(lambda: lab.modes() == {wanted}, f"the guests are in {mode}", CHANGE_SECONDS)
    arrives(lab, STREAMED)
    stream = lab.a.stop_stream()
    with suppress(LabError):
        lab.journal.wait_for(lambda: lab.b.last_received() >= stream[-1][0], "the last has arrived", QUIET_SECONDS)
    lost, outage = losses(stream, lab.b.received())
    expected = REFLECTED if mode == "vepa" else INSIDE
    seen, says = exchange(lab, expected), lab.agent.mode()
    told = news(lab, heard, events, began, mode)
    cost = f"{lost} of {len(stream)} frames lost" + (f", traffic flows again after {outage:.3f} s" if lost else "")
    return Outcome(
        seen == expected and says == mode,
        f"{what}: {cost}; {told}`mode` says {says}; {crossing(seen)}",
        seen.sent,
        seen.received,
        lost,
        round(outage, 6),
    )


def exchange(lab: Lab, expected: Exchange) -> Exchange:
    """`COUNT` frames from A to B, and what came of them: as soon as it is as expected, and stays so for a moment."""
    numbers = lab.a.send(lab.b, COUNT)

    def seen() -> Exchange:
        return Exchange(len(numbers), len(numbers & lab.b.received()), *lab.journal.crossed(numbers))

    with suppress(LabError):
        lab.journal.wait_for(lambda: seen() == expected, "the frames have come where they belong", QUIET_SECONDS)
    with suppress(LabError):
        lab.journal.wait_for(lambda: seen() != expected, "some come where they do not belong", GRACE_SECONDS)
    return seen()


def arrives(lab: Lab, count: int) -> None:
    """Wait until so many more frames of the stream have reached B."""
    first = lab.b.last_received()
    lab.journal.wait_for(lambda: lab.b.last_received() >= first + count, "frames from A reach B", CHANGE_SECONDS)


def losses(stream: Sequence[tuple[int, int]], received: set[int]) -> tuple[int, float]:
    """How many frames of a stream (number, time sent in ns) are missing, and how many seconds it took to recover.

    That is from the first that is missing to the one after the last.
    """
    missing = [place for place, (number, _) in enumerate(stream) if number not in received]
    if not missing:
        return 0, 0.0
    well = stream[min(missing[-1] + 1, len(stream) - 1)]
    return len(missing), (well[1] - stream[missing[0]][1]) / 1e9


def news(lab: Lab, heard: int, events: int, began: int, mode: str) -> str:
    """How long after the frame that brought the news the guests were re-moded, by the agent's own word."""
    moved = [event for event in lab.journal.events[events:] if event.get("action") == "re-moded"]
    if not moved:
        return ""
    at = max(datetime.fromisoformat(event["time"]).timestamp() for event in moved)
    for frame in lab.journal.lldp[heard:]:
        found = frame.evb() if frame.to_host else None
        if found and says_active(found[1], by_bridge=True) == (mode == "vepa"):
            return f"guests re-moded {max(0.0, at - frame.time / 1e9) * 1000:.0f} ms after the frame that said so; "
    return f"guests re-moded {at - began / 1e9:.1f} s after; "


def crossing(seen: Exchange) -> str:
    """What the cable has seen of the frames."""
    if not seen.up and not seen.back:
        return "no frame crosses the uplink"
    return f"{seen.up} cross the uplink, {seen.back} come back"
