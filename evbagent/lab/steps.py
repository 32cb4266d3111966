"""The story that the lab tells, step by step, each measured with real frames."""

from collections.abc import Callable
from time import clock_gettime_ns, monotonic
from typing import Any

from evbagent.lab.inside import COUNT, GUESTS, UPLINK, Lab
from evbagent.lab.namespaces import CLOCK_REALTIME, LabError, wait_for
from evbagent.lab.switches import PORT

Say = Callable[..., None]

QUIET_SECONDS = 0.3
STREAM_AFTER = 50


def run_steps(lab: Lab, say: Say) -> bool:
    """All steps; whether each came out as it must. The story stops at the first that did not."""
    lab.start_agent()
    lab.host.set_link(UPLINK, state="up")
    for step in (vepa_forced, attached, negotiated, withdrawn, offered_again, switch_dies, agent_killed):
        started = monotonic()
        try:
            result = step(lab)
        except LabError as error:
            result = {"ok": False, "detail": str(error)}
        entry = {"name": step.__name__.replace("_", "-"), "ok": False, "seconds": round(monotonic() - started, 3)}
        entry |= {"sent": None, "received": None, "detail": ""} | result
        say(step=entry)
        if not entry["ok"]:
            return False
    return True


def vepa_forced(lab: Lab) -> dict[str, Any]:
    """(a) VEPA on a guess, and a switch that does not reflect: the silent outage."""
    wait_for(lab.forwards, "the switch's port forwards", 10)
    lab.make_forced_guests()
    mode = lab.mode()
    sent, got = count(lab)
    up, back = lab.crossed(sent)
    lab.remove_guests()
    return {
        "ok": not got and mode == "veb" and up == COUNT and back == 0,
        "sent": len(sent),
        "received": len(got),
        "detail": f"guests forced into vepa, the switch does not reflect: {up} frames crossed the uplink, "
        f"{back} came back; `evbagent mode {UPLINK}` says {mode}",
    }


def attached(lab: Lab) -> dict[str, Any]:
    """The same guests by `evbagent attach`: nobody has answered, so they talk inside the host."""
    lab.attach_guests()
    sent, got = count(lab)
    up, _ = lab.crossed(sent)
    modes = guest_modes(lab)
    return {
        "ok": len(got) == COUNT and modes == {"bridge"} and up == 0,
        "sent": len(sent),
        "received": len(got),
        "detail": f"guests by `evbagent attach`: mode {', '.join(map(str, modes))}, frames stay inside the host",
    }


def negotiated(lab: Lab) -> dict[str, Any]:
    """(b) The switch's agent starts, the link comes up: VEPA, by agreement."""
    lab.host.set_link(UPLINK, state="down")
    lab.switch.start()
    since = clock_gettime_ns(CLOCK_REALTIME)
    lab.host.set_link(UPLINK, state="up")
    # Looked for at leisure: the frames carry the kernel's time, and the agents need the processors now.
    wait_for(lambda: lab.agreed_at(since) is not None, "both ends agree on reflective relay", 10, pause=0.05)
    agreed = lab.agreed_at(since) or since
    if not lab.switch.reflects_by_itself:
        lab.set_hairpin(True)
    wait_for(lab.forwards, "the switch's port forwards", 10)
    wait_for(lambda: lab.hairpin() and guest_modes(lab) == {"vepa"}, "the guests are in vepa", 3)
    mode = lab.mode()
    sent, got = count(lab)
    up, back = lab.crossed(sent)
    first = min(seen.time for seen in lab.lldp() if seen.time >= since)
    frames = sum(1 for seen in lab.lldp() if since <= seen.time <= agreed)
    by = "by its agent" if lab.switch.reflects_by_itself else "by the lab, since lldpad does not"
    return {
        "ok": len(got) == COUNT and mode == "vepa" and (up, back) == (COUNT, COUNT),
        "sent": len(sent),
        "received": len(got),
        "convergence-seconds": round((agreed - since) / 1e9, 6),
        "detail": f"agreed {(agreed - since) / 1e6:.1f} ms after link up ({(agreed - first) / 1e6:.1f} ms after the "
        f"first of {frames} LLDPDUs); hairpin of port {PORT} is on (set {by}); mode says {mode}; "
        f"{up} frames crossed the uplink, {back} were reflected",
    }


def withdrawn(lab: Lab) -> dict[str, Any]:
    """(c) The switch withdraws reflective relay while the guests talk."""
    return change_of_mind(lab, lambda: lab.switch.offer(False), "bridge", 5, "the switch withdrew reflective relay")


def offered_again(lab: Lab) -> dict[str, Any]:
    """(c) And offers it again."""

    def offer() -> None:
        if not lab.switch.reflects_by_itself:
            lab.set_hairpin(True)
        lab.switch.offer(True)

    return change_of_mind(lab, offer, "vepa", 5, "the switch offered reflective relay again")


def switch_dies(lab: Lab) -> dict[str, Any]:
    """(d) The switch dies without a word: its TTL has to run out."""
    lab.switch.expire_soon()
    frames = len(lab.lldp())
    if not lab.switch.reflects_by_itself:
        wait_for(lambda: any(s.outgoing for s in lab.lldp()[frames:]), "lldpad's LLDPDU with a TTL of 3 s", 5)

    def die() -> None:
        lab.switch.kill()
        lab.set_hairpin(False)

    return change_of_mind(lab, die, "bridge", 8, "the switch died without a word (and stopped reflecting), TTL 3 s")


def agent_killed(lab: Lab) -> dict[str, Any]:
    """(e) The host's agent is killed: what it said is void at once."""
    lab.kill_agent()
    killed = monotonic()
    mode = lab.mode()
    took = monotonic() - killed
    refused = lab.evbagent("mode", UPLINK, "--policy", "require-vepa", "--state-dir", str(lab.state_dir))
    return {
        "ok": mode == "veb" and refused.returncode == 3,
        "detail": f"agent killed: mode says {mode} ({took * 1000:.0f} ms later, the time to start the command); "
        f"--policy require-vepa: {refused.stderr.strip()}",
    }


def change_of_mind(lab: Lab, act: Callable[[], None], mode: str, timeout: float, what: str) -> dict[str, Any]:
    """Guests talk, the switch changes its mind: when are they in the other mode, and how many frames are lost?"""
    before = lab.stream(after(STREAM_AFTER), timeout)
    at = clock_gettime_ns(CLOCK_REALTIME)
    act()
    acted = clock_gettime_ns(CLOCK_REALTIME)
    checked = monotonic()

    def changed() -> bool:
        nonlocal checked
        if monotonic() - checked < 0.02:
            return False
        checked = monotonic()
        return guest_modes(lab) == {mode}

    sent = before + lab.stream(changed, timeout)
    if mode == "bridge" and not lab.switch.reflects_by_itself:
        lab.set_hairpin(False)
    sent += lab.stream(after(STREAM_AFTER), timeout)
    settle(lab, {n for n, _ in sent})
    got = lab.received()
    lost = [(n, time) for n, time in sent if n not in got]
    outage = 0.0
    if lost:
        first, last = min(time for _, time in lost), max(time for _, time in lost)
        outage = (min((time for n, time in sent if n in got and time > last), default=acted) - first) / 1e9
    probe, arrived = count(lab)
    says = lab.mode()
    expected = {"bridge": "veb", "vepa": "vepa"}[mode]
    return {
        "ok": len(arrived) == COUNT and says == expected,
        "sent": len(sent) + len(probe),
        "received": len([n for n, _ in sent if n in got]) + len(arrived),
        "seconds": round((clock_gettime_ns(CLOCK_REALTIME) - at) / 1e9, 3),
        "lost": len(lost),
        "outage-seconds": round(outage, 6),
        "detail": f"{what}: guests re-moded to {expected}; {len(lost)} of {len(sent)} frames in flight "
        f"(one every 2 ms) lost{f' within {outage * 1000:.0f} ms' if lost else ''}; "
        f"then {len(arrived)} of {COUNT} arrive; mode says {says}",
    }


def count(lab: Lab) -> tuple[set[int], set[int]]:
    """Send `COUNT` frames from guest to guest: what was sent, and what arrived within a moment."""
    sent = {lab.send() for _ in range(COUNT)}
    settle(lab, sent)
    return sent, sent & lab.received().keys()


def settle(lab: Lab, sent: set[int]) -> None:
    """Give frames the time that they need to arrive, but not for ever."""
    deadline = monotonic() + QUIET_SECONDS
    while monotonic() < deadline and not sent <= lab.received().keys():
        pass


def after(frames: int) -> Callable[[], bool]:
    """A condition that holds once it was asked for as long as it takes to send this many frames."""
    end = monotonic() + frames * 0.002
    return lambda: monotonic() > end


def guest_modes(lab: Lab) -> set[str | None]:
    return {lab.guest_mode(name) for name in GUESTS}
