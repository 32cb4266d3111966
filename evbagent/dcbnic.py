"""One NIC's DCB settings: what they are, what they were before the agent changed any, how they are changed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from errno import EAGAIN, EBUSY, EEXIST, EINTR, EINVAL, ENOBUFS, ENOENT, ENOMEM, ETIMEDOUT
from socket import if_indextoname

from evbagent.dcbnl import Cee, DcbxMode, Ieee
from evbagent.dcbplan import Difference, Plan, Wanted, make_plan, settings_of, why_impossible
from evbagent.dcbsocket import DcbSocket, mode_words
from evbagent.dcbstore import Before, DcbStore
from evbagent.rtnl import NetlinkError
from protocols.dcbx.model import Application

OURS = DcbxMode.HOST | DcbxMode.IEEE
PASSING = frozenset({EAGAIN, EBUSY, EINTR, ENOBUFS, ENOMEM, ETIMEDOUT})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a change: what has been written, and why not more (empty: all is as it is to be).

    `is_passing`: the driver was busy, or so, and may do it in a while.
    """

    changed: tuple[Difference, ...] = ()
    error: str = ""
    is_passing: bool = False


class DcbNic:
    """`settings` None: the NIC has no DCB, or `error` says why it cannot be read. `firmware`: what one with CEE tells.

    Nothing but `apply` and `restore` writes.
    """

    def __init__(self, socket: DcbSocket, store: DcbStore, index: int, name: str) -> None:
        self.name = name
        self.mode: DcbxMode | None = None
        self.settings: Ieee | None = None
        self.firmware: Cee | None = None
        self.error = ""
        self._socket = socket
        self._store = store
        self._index = index

    @property
    def is_managed(self) -> bool:
        """Firmware runs DCBX: nobody else may."""
        return self.mode is not None and DcbxMode.LLD_MANAGED in self.mode

    @property
    def before(self) -> Ieee | None:
        """What it had before the agent changed anything: now, if it has not."""
        kept = self._store.get(self.name, self._index)
        return self.settings if kept is None else kept.settings

    @property
    def is_changed(self) -> bool:
        """By us, or an agent before us, and not restored."""
        return self._store.get(self.name, self._index) is not None

    @property
    def obstacle(self) -> str:
        """Why nothing can be changed; empty: it can."""
        if self.error:
            return self.error
        if self.settings is None:
            return "the NIC has no DCB"
        return "the NIC's firmware runs DCBX" if self.is_managed else ""

    def look(self) -> bool:
        """Read it all; whether it has changed. What cannot be read is in `error`."""
        seen = self.mode, self.settings, self.firmware, self.error
        try:
            self.mode = self._socket.mode(self.name)
            self.settings = self._socket.ieee(self.name)
            is_cee = self.is_managed and self.mode is not None and DcbxMode.CEE in self.mode
            self.firmware = self._socket.cee(self.name) if is_cee else None
            self.error = ""
        except NetlinkError as error:
            self.mode = self.settings = self.firmware = None
            self.error = str(error)
        return seen != (self.mode, self.settings, self.firmware, self.error)

    def plan(self, wanted: Wanted) -> Plan:
        """What would be written. Nothing where nothing can be."""
        return Plan() if self.settings is None or self.is_managed else make_plan(self.settings, wanted)

    def apply(self, wanted: Wanted) -> Outcome:
        """Write what differs, if anything does."""
        self.look()
        if self.settings is None or self.is_managed:
            return Outcome(error=self.obstacle)
        plan = make_plan(self.settings, wanted)
        if not plan:
            return Outcome()
        if reasons := why_impossible(self.settings, wanted):
            return Outcome(error="; ".join(reasons))
        mode, settings, is_first = self.mode, self.settings, not self.is_changed
        if is_first:
            self._store.keep(self.name, self._index, Before(None if mode is None else int(mode), settings))
        outcome = self._write(plan, lambda: make_plan(self.settings or Ieee(), wanted))
        if is_first and (self.mode, self.settings) == (mode, settings):
            self._store.forget(self.name, self._index)  # all was refused: what others change from now on is theirs
        return outcome

    def restore(self) -> Outcome:
        """All as it was before the agent changed anything; nothing if it has not."""
        kept = self._store.get(self.name, self._index)
        self.look()
        if kept is None:
            return Outcome()
        if self.settings is None or self.is_managed:
            return Outcome(error=self.obstacle)
        wanted = settings_of(kept.settings)
        outcome = self._write(make_plan(self.settings, wanted), lambda: make_plan(self.settings or Ieee(), wanted))
        if not outcome.error and kept.mode is not None and self.mode is not None and int(self.mode) != kept.mode:
            try:
                self._socket.set_mode(self.name, DcbxMode(kept.mode))
            except NetlinkError as error:
                outcome = Outcome(outcome.changed, str(error))
            self.look()
        if not outcome.error:
            self._store.forget(self.name, self._index)
        return outcome

    def renamed(self, name: str) -> None:
        self._store.renamed(self.name, name, self._index)
        self.name = name

    def gone(self) -> None:
        """And with it its settings."""
        self._store.forget(self.name, self._index)

    def _write(self, plan: Plan, left: Callable[[], Plan]) -> Outcome:
        """Do it, and see what has come of it."""
        try:
            self._check_name()
            self._become_host(plan)
            if plan.ets or plan.pfc:
                self._socket.set_ieee(self.name, plan.ets, plan.pfc)
            for app in plan.add:
                self._unless(EEXIST, self._socket.add_app, app)
            for app in plan.delete:
                self._unless(ENOENT, self._socket.delete_app, app)
        except NetlinkError as error:
            refusal, is_passing = str(error), error.errno in PASSING
        else:
            refusal, is_passing = "", False
        self.look()
        if self.settings is None:
            return Outcome((), refusal or f"what has come of it is not known: {self.obstacle}", is_passing)
        still = left().differences
        if still and not refusal:
            refusal = f"the driver took it, and has not done it: {'; '.join(map(str, still))}"
        return Outcome(tuple(one for one in plan.differences if one not in still), refusal, is_passing)

    def _become_host(self, plan: Plan) -> None:
        if plan and self.mode is not None and self.mode & OURS != OURS:
            log.info("%s: DCBX mode %s -> %s", self.name, mode_words(self.mode), mode_words(OURS))
            self._socket.take_over(self.name)

    def _check_name(self) -> None:
        """The kernel knows no other way to say which NIC is meant: what if it has just been given another name?"""
        try:
            name = if_indextoname(self._index)
        except OSError:
            name = ""
        if name != self.name:
            raise NetlinkError(EINVAL, f"{self.name}: change DCB settings", f"the interface is now {name or 'gone'}")

    def _unless(self, number: int, do: Callable[[str, Application], None], app: Application) -> None:
        """What somebody else has done already is done."""
        try:
            do(self.name, app)
        except NetlinkError as error:
            if error.errno != number:
                raise
