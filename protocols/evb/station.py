"""The station's side of EVB: asks for reflective relay and learns whether it has it (sheet `evb-tlv.md` 3)."""

from protocols.evb.role import EvbRole
from protocols.evb.status import RelayStatus, Role, Statement


class EvbStation(EvbRole):
    """Asks; has no timers and nothing to switch."""

    role = Role.STATION
    other = Role.BRIDGE

    @property
    def statement(self) -> Statement:
        peer = self._candidates.peer
        tlv = peer.tlv if peer else None
        request = self.settings.reflective_relay
        if tlv is None:
            status = RelayStatus.UNKNOWN
        else:
            status = RelayStatus.TRUE if tlv.relay_control else RelayStatus.FALSE
        return Statement(
            role=self.role,
            parameters=self.settings.parameters,
            relay_request=request,
            # What the draft calls our configured mode; in the ratified TLV this bit is the bridge's and gets copied.
            relay_control=bool(request and tlv and tlv.relay_capable),
            relay_status=status,
            peer=tlv,
            vsis=self.vsis,
        )

    @property
    def relay_active(self) -> bool:
        statement = self.statement
        peer = statement.peer
        return bool(statement.relay_request and peer and peer.relay_control and statement.peer_has_heard)

    def _why_active(self, name: str) -> str:
        return f"reflective relay agreed with {name}"

    def _why_not(self, name: str) -> str:
        peer = self.statement.peer
        if not self.settings.reflective_relay:
            return "reflective relay is not asked for (configuration)"
        if not (peer and peer.relay_capable):
            return f"{name} cannot do reflective relay"
        if not peer.relay_control:
            return f"{name} is able to do reflective relay but has not switched it on"
        return f"{name} has not heard this station yet"
