"""The JSON forms of VSIs: `vsis` of the state file, `show vsis`, the answers to clients, events.

Thousands are in one state file, so each is a few hundred octets that are made when somebody wants them and kept until
the VSI changes. Names are objects of IEEE8021-EVB-MIB in kebab case.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import Encoder

from protocols.timers import Instant
from protocols.vdp.filter import FilterEntry, FilterFormat
from protocols.vdp.organizational import describe
from protocols.vdp.status import Outcome, VsiStatus
from protocols.vdp.vsi import Hint, VsiIdFormat, manager_text

MOST_REMEMBERED = 256


class VsiDocuments:
    """Makes documents. `utc` is an instant as text."""

    def __init__(self, utc: Callable[[Instant], str]) -> None:
        self._utc = utc
        self._encode = Encoder().encode
        self._since: tuple[Instant | None, str] = (None, "")
        self._managers: dict[bytes, str] = {}

    def make(self, status: VsiStatus, vsi_id: str, owner: str | None) -> bytes:
        """The VSI with the ID of this text as JSON. `owner`: whose wish it is; None: not one of this agent."""
        request, filters = status.request, status.filters
        return self._encode(
            _Vsi(
                vsi_id,
                _VSI_ID_FORMATS.get(request.vsi_id.format) or f"format-{request.vsi_id.format}",
                status.state,
                request.mode.word,
                status.response,
                [_filter(entry) for entry in filters.entries],
                _FILTER_FORMATS.get(filters.format) or f"format-{filters.format}",
                self._manager(request.manager),
                request.type_id,
                request.version,
                self._time(status.since),
                owner,
                None if status.pending is None else status.pending.word,
                status.reason,
                _HINTS.get(request.hint, UNSET),
                [describe(tlv) for tlv in request.organizational] if request.organizational else UNSET,
            )
        )

    def _time(self, instant: Instant) -> str:
        """VSIs that share an ECPDU change at the same instant."""
        if self._since[0] != instant:
            self._since = instant, self._utc(instant)
        return self._since[1]

    def _manager(self, octets: bytes) -> str:
        text = self._managers.get(octets)
        if text is None:
            if len(self._managers) >= MOST_REMEMBERED:
                self._managers.clear()
            text = self._managers[octets] = manager_text(octets)
        return text


def vsi_rows(interface: str, documents: Iterable[bytes]) -> list[bytes]:
    """The rows of `show vsis`: each VSI with the interface in front."""
    start = Encoder().encode({"interface": interface})[:-1] + b","
    return [start + document[1:] for document in documents]


def vsi_answer(
    spec_id: Any, outcome: Outcome, text: str, status: VsiStatus | None = None, document: bytes | None = None
) -> dict[str, Any]:
    """What a client is told of its request. The switch's word is in it where the switch has said one."""
    said = status is not None and outcome in _SAID_BY_THE_SWITCH
    return {
        "id": spec_id,
        "result": outcome,
        "response": status.response if said and status else None,
        "text": text,
        "vsi": None if document is None else Raw(document),
    }


class _Filter(Struct, rename="kebab", omit_defaults=True, gc=False):
    vid: int
    pcp: int | None = None
    mac_address: str | None = None
    group_id: int | None = None


class _Vsi(Struct, rename="kebab", omit_defaults=True):
    """What is not there is left out: it would be a third of all, and readers have to take it in each time."""

    vsi_id: str
    vsi_id_format: str
    state: str
    request: str
    response: str | None
    filters: list[_Filter]
    filter_info_format: str
    vsi_manager_id: str
    vsi_type_id: int
    vsi_type_version: int
    since: str
    owner: str | None = None
    pending: str | None = None
    reason: str = ""
    hint: str | UnsetType = UNSET
    organizational: list[dict[str, str | int]] | UnsetType = UNSET


def _filter(entry: FilterEntry) -> _Filter:
    mac = entry.mac
    return _Filter(entry.vid, entry.pcp, None if mac is None else mac.hex(":"), entry.group)


_SAID_BY_THE_SWITCH = frozenset({Outcome.GRANTED, Outcome.REFUSED})
_VSI_ID_FORMATS: Mapping[int, str] = {
    VsiIdFormat.IPV4: "ipv4",
    VsiIdFormat.IPV6: "ipv6",
    VsiIdFormat.MAC: "mac",
    VsiIdFormat.LOCAL: "local",
    VsiIdFormat.UUID: "uuid",
}
_HINTS: Mapping[int, str] = {Hint.SUSPEND: "suspend", Hint.MIGRATE: "migrate", Hint.SUSPEND | Hint.MIGRATE: "both"}
_FILTER_FORMATS: Mapping[int, str] = {
    FilterFormat.VID: "vid",
    FilterFormat.MAC_VID: "mac-vid",
    FilterFormat.GROUP_VID: "group-id-vid",
    FilterFormat.GROUP_MAC_VID: "group-id-mac-vid",
}
