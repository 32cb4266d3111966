"""What the command line of `evbagent run` says."""

from dataclasses import dataclass
from pathlib import Path

from evbagent.driver import FrameSocket
from evbagent.link import PacketSocket
from evbagent.observe import Muted, listening
from protocols.frame import Scope
from protocols.port import PortSettings


@dataclass(frozen=True, slots=True)
class Options:
    """None leaves it to the configuration. `observe`: only listen."""

    config: Path | None
    state_dir: Path
    interfaces: tuple[str, ...] | None = None
    role: str | None = None
    record: Path | None = None
    observe: bool = False

    def permitted(self, settings: PortSettings) -> PortSettings:
        """Of what a port's machines were to be told."""
        return listening(settings) if self.observe else settings

    def open_socket(self, ifindex: int) -> FrameSocket:
        """What the port's frames go through. OSError when it cannot be had."""
        groups = [scope.address for scope in Scope]
        if self.observe:
            return Muted(PacketSocket(ifindex, groups))
        return PacketSocket(ifindex, groups, ecp=True)
