"""DCBX on one uplink, between what its machines have come to and what the NIC has."""

from asyncio import TimerHandle
from dataclasses import dataclass, field

from evbagent.dcbnic import DcbNic, Outcome
from evbagent.dcbnl import Ieee
from evbagent.dcbplan import Plan, Wanted
from evbagent.dcbxconfig import DcbxConfig, DcbxWishes
from evbagent.dcbxlocal import unfit, wanted_of
from evbagent.dcbxview import Json, dcbx_document
from protocols.dcbx.settings import DcbxSettings
from protocols.frame import Scope
from protocols.lldp.tlvs import SystemName, printable
from protocols.stack import PortStack


@dataclass(slots=True)
class DcbUplink:
    """`settled`: since the link came up, the peer has been heard or has had its time. `held`: restored by hand.

    `wanted` and `plan`: what the machines have agreed on, and what of it the NIC does not have. `in_vain`: what was
    wanted, and what the NIC had all the same: to write it again would change nothing, or start a quarrel.
    """

    nic: DcbNic
    config: DcbxConfig
    wishes: DcbxWishes
    settings: DcbxSettings | None = None
    spoken: str = ""
    wanted: Wanted = field(default_factory=Wanted)
    plan: Plan = field(default_factory=Plan)
    outcome: Outcome = field(default_factory=Outcome)
    settled: bool = False
    held: bool = False
    in_vain: tuple[Wanted, Ieee | None] | None = None
    next_write: float = 0.0
    timer: TimerHandle | None = None
    writer: TimerHandle | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_off(self) -> bool:
        return self.config.mode == "off"

    def document(self, stack: PortStack) -> Json | None:
        """`dcbx` of the state file; None where it is off."""
        if self.is_off:
            return None
        return dcbx_document(
            stack.dcbx.result, self.settings, self.config, self.nic, self.plan, self.nic_state, describe_peer(stack)
        )

    def compare(self, stack: PortStack) -> None:
        """What the machines have come to, beside what the NIC has."""
        if self.settings is None or stack.dcbx.result is None:
            self.wanted, self.plan = Wanted(), Plan()
        else:
            self.wanted = wanted_of(stack.dcbx.result, self.settings, self.config, self.nic)
            self.plan = self.nic.plan(self.wanted)

    @property
    def may_write(self) -> bool:
        """Whether what differs is to be written, and now, as far as is known here."""
        again = self.in_vain == (self.wanted, self.nic.settings)
        return self.config.mode == "apply" and bool(self.plan) and self.settled and not self.held and not again

    @property
    def nic_state(self) -> str:
        """How the NIC stands to what is in operation, for people."""
        nic, name = self.nic, self.nic.name
        if nic.obstacle:
            return nic.obstacle
        if not self.plan:
            return "it has what is agreed" + (", set by evbagent" if nic.is_changed else "")
        if self.config.mode == "observe":
            return f"it differs, and mode observe writes nothing: `evbagent dcbx apply {name}` does"
        if self.held:
            return f"it has been restored, and is left alone until `evbagent dcbx apply {name}`"
        if self.outcome.error:
            return f"it differs: {self.outcome.error}"
        if not self.settled:
            return "it differs, and is left alone until the peer has been heard, or has had its time"
        return "it differs"

    def complaints(self) -> tuple[str, ...]:
        """What somebody should do something about."""
        if self.is_off:
            return ()
        found = list(unfit(self.nic, self.wishes))
        name = self.nic.name
        if self.nic.is_managed:
            found.append(
                "the NIC's firmware runs DCBX (lld-managed): evbagent looks on, and says nothing to the nearest bridge"
            )
        elif self.nic.error:
            found.append(f"DCB settings cannot be read: {self.nic.error}")
        elif self.config.mode == "apply" and self.plan and not self.held:
            if self.outcome.error:
                found.append(f"DCB settings are not as agreed: {self.outcome.error}")
            elif self.in_vain is not None:
                found.append(
                    f"somebody else has changed the NIC's DCB settings: `evbagent dcbx diff {name}` says what is "
                    f"different, `evbagent dcbx apply {name}` writes what was agreed"
                )
        return tuple(found)


def describe_peer(stack: PortStack) -> str:
    """The peer, for people; empty when there is none."""
    result = stack.dcbx.result
    remote = None
    if result is not None and result.peer is not None:
        remote = stack.agents[Scope.NEAREST_BRIDGE].rx.remotes.get(result.peer)
    if remote is None:
        return ""
    names = (tlv.text for tlv in remote.pdu.optional if isinstance(tlv, SystemName))
    name, chassis = printable(next(names, "")), printable(remote.pdu.chassis_id.text)
    return f"{name} ({chassis})" if name else chassis
