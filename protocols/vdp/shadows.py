"""What a bridge goes on holding after it was released, as lldpad's does (interop-notes V6)."""

from itertools import islice

from protocols.timers import Instant
from protocols.vdp.vsi import VsiId, VsiTlv

FORGET_AT_ONCE = 2


class Shadows:
    """lldpad keeps a VSI that was released until toutKeepAlive, and says then that it is gone.

    Meanwhile it never answers the same VSI with other filters; what is more, being asked makes it keep the old one for
    ever. A different manager, type, version or filter format makes another VSI to it.
    """

    def __init__(self) -> None:
        self._held: dict[VsiId, tuple[VsiTlv, Instant]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, released: VsiTlv, now: Instant, until: Instant) -> None:
        """What is added later is held longer, so those that are over are the first ones."""
        for vsi_id, (_, over) in list(islice(self._held.items(), FORGET_AT_ONCE)):
            if now >= over:
                del self._held[vsi_id]
        self._held.pop(released.vsi_id, None)
        self._held[released.vsi_id] = released, until

    def until(self, asked: VsiTlv, now: Instant) -> Instant | None:
        """When this can be asked; None: now."""
        shadow = self._held.get(asked.vsi_id)
        if shadow is None:
            return None
        held, until = shadow
        if now >= until:
            del self._held[asked.vsi_id]
            return None
        return until if _profile(asked) == _profile(held) and asked.filters != held.filters else None

    def forget(self, vsi_id: VsiId) -> bool:
        """The bridge has let go of it; whether it held it."""
        return self._held.pop(vsi_id, None) is not None

    def clear(self) -> None:
        self._held.clear()


def _profile(tlv: VsiTlv) -> tuple[bytes, int, int, int]:
    return tlv.manager, tlv.type_id, tlv.version, tlv.filters.format
