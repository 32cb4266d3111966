"""What the agent, and each of its ports, has counted beside its protocols: mostly of what was too much."""

from collections.abc import Mapping

from evbagent.hostmonitor import HostMonitor
from evbagent.loglimit import LineLimit
from evbagent.netlink import LinkMonitor
from evbagent.port import Port
from evbagent.state import StateWriter
from evbagent.teller import Teller
from evbagent.vsiservice import VsiService


class AgentCounters:
    """`agent.counters` of the state file, and a row of `show statistics`."""

    def __init__(
        self,
        teller: Teller,
        vsis: VsiService,
        state: StateWriter,
        monitors: tuple[LinkMonitor, HostMonitor],
        log_limit: LineLimit,
    ) -> None:
        self._teller = teller
        self._book = vsis.book
        self._state = state
        self._monitors = monitors
        self._log_limit = log_limit

    def __call__(self) -> Mapping[str, int]:
        room = self._book.room
        return {
            **(self._teller.control.counters if self._teller.control else {}),
            "vsis-wanted": room.wanted,
            "vsi-requests-unanswered": len(self._book.waiters),
            "vsi-requests-refused": room.refused,
            "log-lines-left-out": self._log_limit.left_out,
            "netlink-overflows": sum(monitor.overflows for monitor in self._monitors),
            "state-file-failures": self._state.failures,
        }


def port_counters(port: Port) -> Mapping[str, int]:
    """What has come of a port's frames before any protocol had them."""
    if port.driver is None:
        return {}
    frames = port.driver.statistics()
    return {
        "rx-frames": frames.received,
        "rx-lost-frames": frames.lost,
        "rx-ignored-frames": frames.ignored,
        "tx-failed-frames": frames.failed,
    }
