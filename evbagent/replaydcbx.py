"""DCBX in captures: which end is played, and what that end is like, from what it has sent itself."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from protocols.dcbx import cee, ieee
from protocols.dcbx.groups import tables_of_cee, tables_of_cin
from protocols.dcbx.model import (
    CEE_OUI,
    ApplicationPriority,
    CinPriorityGroups,
    EtsConfiguration,
    EtsRecommendation,
    IeeeTlv,
    LegacyPfc,
    LegacyTlv,
    PfcConfiguration,
    PriorityGroups,
)
from protocols.dcbx.settings import DcbxSettings, Tables
from protocols.errors import DecodeError
from protocols.evb.status import Role
from protocols.frame import ETHERTYPE_LLDP, Scope, decode_frame
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import OrganizationalTlv

NEWCOMER = DcbxSettings(advertise=False, ets_willing=True, pfc_willing=True, apps_willing=True)
"""One that says nothing, and would take over what a switch says."""


@dataclass(frozen=True, slots=True)
class _End:
    """What one end of a wire has said last."""

    mac: bytes
    settings: DcbxSettings

    @property
    def is_willing(self) -> bool:
        return self.settings.ets_willing or self.settings.pfc_willing


def dcbx_end(role: Role, frames: Iterable[bytes]) -> tuple[bytes, DcbxSettings] | None:
    """Of two ends that speak DCBX with each other the willing one as station, the other as bridge.

    None when there are not two. Where both are alike, the lower address is the station's.
    """
    ends: dict[bytes, _End] = {}
    for data in frames:
        if tlvs := _dcbx_tlvs(data):
            ends[data[6:12]] = _End(data[6:12], _settings(tlvs))
    if len(ends) != 2:
        return None
    station, bridge = sorted(ends.values(), key=lambda end: (not end.is_willing, end.mac))
    played = station if role is Role.STATION else bridge
    return played.mac, played.settings


def _dcbx_tlvs(data: bytes) -> list[IeeeTlv | LegacyTlv]:
    """Those in a frame to the nearest bridge, as far as they can be read."""
    if data[0:6] != Scope.NEAREST_BRIDGE.address or int.from_bytes(data[12:14], "big") != ETHERTYPE_LLDP:
        return []
    try:
        optional = decode_lldpdu(decode_frame(data).payload).pdu.optional
    except DecodeError:
        return []
    found: list[IeeeTlv | LegacyTlv] = []
    for tlv in optional:
        if isinstance(tlv, OrganizationalTlv) and tlv.oui in (ieee.OUI, CEE_OUI):
            try:
                decoded = (ieee if tlv.oui == ieee.OUI else cee).decode(tlv.subtype, tlv.value)
            except DecodeError:
                continue
            if decoded is not None:
                found.append(decoded)
    return found


def _settings(tlvs: Iterable[IeeeTlv | LegacyTlv]) -> DcbxSettings:
    """What the end wants. In IEEE a willing one says what is in operation, and not what it would have on its own."""
    settings = DcbxSettings()
    for tlv in tlvs:
        match tlv:
            case EtsConfiguration():
                settings = replace(settings, ets_willing=tlv.willing, classes=tlv.traffic_classes)
                if not tlv.willing:
                    tables = Tables(tlv.priority_assignment, tlv.selection, tlv.bandwidth)
                    settings = replace(settings, ets=tables)
            case EtsRecommendation():
                tables = Tables(tlv.priority_assignment, tlv.selection, tlv.bandwidth)
                settings = replace(settings, recommended=tables)
            case PfcConfiguration():
                settings = replace(settings, pfc_willing=tlv.willing, capability=tlv.capability)
                if not tlv.willing:
                    settings = replace(settings, pfc=tlv.enable)
            case ApplicationPriority(applications) if not settings.ets_willing:
                settings = replace(settings, apps=applications)
            case LegacyTlv():
                settings = _legacy_settings(settings, tlv)
    return replace(settings, apps_willing=settings.ets_willing or settings.pfc_willing)


def _legacy_settings(settings: DcbxSettings, tlv: LegacyTlv) -> DcbxSettings:
    for feature in tlv.sub_tlvs:
        match feature:
            case PriorityGroups() | CinPriorityGroups():
                tables, _ = (
                    tables_of_cee(feature, settings.classes)
                    if isinstance(feature, PriorityGroups)
                    else tables_of_cin(feature, settings.classes)
                )
                settings = replace(settings, ets=tables or settings.ets, ets_willing=feature.feature.willing)
            case LegacyPfc():
                settings = replace(settings, pfc=feature.enable, pfc_willing=feature.feature.willing)
    return settings
