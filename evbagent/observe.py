"""`evbagent run --observe`: listen, and do nothing else. And what an agent may not do, in words.

Nothing rests on the machines' good will alone: they are told to ask for nothing and to say nothing, and what they said
all the same would not get out.
"""

from dataclasses import replace
from pathlib import Path

from evbagent.driver import FrameSocket
from protocols.lldp.agent import AdminStatus
from protocols.port import PortSettings

ONLY_OBSERVES = "this agent only observes (evbagent run --observe)"
CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN = 12, 19, 21
STATUS = Path("/proc/thread-self/status")


class Muted:
    """A packet socket that sends nothing, as if all of it were lost on the wire."""

    def __init__(self, socket: FrameSocket) -> None:
        self.fileno = socket.fileno
        self.receive = socket.receive
        self.listen_for_ecp_to = socket.listen_for_ecp_to
        self.drops = socket.drops
        self.close = socket.close

    def send(self, frame: bytes) -> None:
        pass


def listening(settings: PortSettings) -> PortSettings:
    """The same port, which only listens: in those scopes in which it would have listened."""
    return replace(
        settings,
        admin_status={scope: _receiving(status) for scope, status in settings.admin_status.items()},
        evb=replace(settings.evb, reflective_relay=False),
    )


def restrictions(observes: bool, held: frozenset[int]) -> tuple[str, ...]:
    """What the agent may not do, and why. `held`: the numbers of its capabilities."""
    if observes:
        return (f"{ONLY_OBSERVES}: it sends nothing, asks for nothing and changes nothing",)
    texts = []
    if CAP_NET_ADMIN not in held:
        texts.append("guests' devices are not moved and no hairpin flag is set: that takes CAP_NET_ADMIN")
    if not held >= {CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE}:
        texts.append(
            "guests' devices in other network namespaces are not moved: that takes CAP_NET_ADMIN, CAP_SYS_ADMIN and "
            "CAP_SYS_PTRACE"
        )
    return tuple(texts)


def capabilities(status: Path = STATUS) -> frozenset[int]:
    """The numbers of the capabilities in force in this thread; none where that cannot be told."""
    try:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        bits = int(lines["CapEff"], 16)
    except (OSError, KeyError, ValueError):
        return frozenset()
    return frozenset(number for number in range(bits.bit_length()) if bits >> number & 1)


def _receiving(status: AdminStatus) -> AdminStatus:
    return AdminStatus.RX_ONLY if status.rx else AdminStatus.DISABLED
