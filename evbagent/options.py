"""What the command line of `evbagent run` says."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evbagent.config import Config
from evbagent.driver import FrameSocket
from evbagent.link import PacketSocket
from evbagent.loglimit import LineLimit
from evbagent.observe import Muted, listening
from protocols.evb.status import Role
from protocols.frame import Scope
from protocols.port import PortSettings

if TYPE_CHECKING:
    from evbagent.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Options:
    """None leaves it to the configuration. `observe`: only listen."""

    config: Path | None
    state_dir: Path
    interfaces: tuple[str, ...] | None = None
    role: str | None = None
    record: Path | None = None
    observe: bool = False
    log_limit: LineLimit = field(default_factory=LineLimit)

    def permitted(self, settings: PortSettings) -> PortSettings:
        """Of what a port's machines were to be told."""
        return listening(settings) if self.observe else settings

    def recorder(self, interface: str, role: Role, settings: PortSettings, config: Config) -> "Recorder | None":
        """Takes down what goes into the machines of a port."""
        if self.record is None:
            return None
        from evbagent.recorder import record_port
        from evbagent.switchconfig import switch_rules

        return record_port(self.record, interface, role, settings, switch_rules(config.switch))

    def open_socket(self, ifindex: int) -> FrameSocket:
        """What the port's frames go through. OSError when it cannot be had."""
        groups = [scope.address for scope in Scope]
        if self.observe:
            return Muted(PacketSocket(ifindex, groups))
        return PacketSocket(ifindex, groups, ecp=True)
