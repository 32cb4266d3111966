"""What ratified VDP and the draft have in common, and where they differ: one frozen value for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocols.errors import DecodeError
from protocols.timers import Instant
from protocols.vdp.vsi import VsiTlv


@dataclass(frozen=True, slots=True)
class Timers:
    """Durations in microseconds (sheet `vdp.md` 3)."""

    response_wait: Instant  # respWaitDelay: the station gives up on an answer
    keep_alive: Instant  # reinitKeepAlive: the station repeats what is confirmed
    tolerance: Instant  # toutKeepAlive: the bridge gives up on keep-alives
    resource_wait: Instant  # rsrcWaitDelay: the bridge gives up on its VSI manager


@dataclass(frozen=True, slots=True)
class Reading:
    """What was in an ULPDU.

    `errors`: one for each TLV that was dropped, its offset counts in the ULPDU. `skipped`: TLVs of types that are not
    known. `explicit_end`: an End TLV follows the last TLV.
    """

    vsis: tuple[VsiTlv, ...]
    errors: tuple[DecodeError, ...] = ()
    explicit_end: bool = False
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Edition:
    """VDP in one edition.

    name: "ratified" or "draft".
    decode(payload, from_station): what is in an ULPDU; DecodeError when all of it has to be dropped.
    encode_tlv(tlv): the octets of one VSI, with its organizational TLVs behind it where the edition has them.
    assemble(manager, tlvs): an ULPDU of encoded VSIs, which is `overhead` octets longer than these.
    one_manager: the VSIs of an ULPDU share the manager ID.
    repeats_refusals: a DeAssociate of what was just refused is answered with the same refusal, not with success.
    timers(retries, rte, rwd, rka): from the operational values of the EVB TLVs.
    check(tlv): why a station cannot ask this in this edition, in words that begin with the field; None when it can.
    """

    name: str
    decode: Callable[[bytes, bool], Reading]
    encode_tlv: Callable[[VsiTlv], bytes]
    assemble: Callable[[bytes, Sequence[bytes]], bytes]
    overhead: int
    one_manager: bool
    repeats_refusals: bool
    timers: Callable[[int, int, int, int], Timers]
    check: Callable[[VsiTlv], str | None]
