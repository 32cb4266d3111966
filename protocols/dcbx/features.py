"""The features of CEE and CIN: priority groups, PFC, applications, in the words of both (sheet `dcbx.md` 3.3, 4)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from protocols.dcbx.groups import cee_groups, cin_groups, tables_of_cee, tables_of_cin
from protocols.dcbx.model import (
    CEE_OUI,
    Application,
    CeeApplication,
    CeeApplications,
    CeeSelector,
    CinApplication,
    CinPriorityGroups,
    Feature,
    LegacyPfc,
    PriorityGroups,
    Selector,
    SubTlv,
)
from protocols.dcbx.settings import MOST_SAID, PRIORITIES, DcbxSettings, Dialect, Tables
from protocols.dcbx.validity import fault_of_applications, fault_of_pfc, fault_of_remote_tables, sound_applications

FCOE = 0x8906
FCOE_SUB_TYPE = 0

FeatureTlv = PriorityGroups | CinPriorityGroups | LegacyPfc | CeeApplications | CinApplication


class FeatureKind(ABC):
    """What differs between the features; their values are of types of their own."""

    title: ClassVar[str]

    @abstractmethod
    def wanted(self, settings: DcbxSettings) -> Any:
        """This side's configuration."""

    @abstractmethod
    def willing(self, settings: DcbxSettings) -> bool:
        """Whether the peer's may take its place."""

    @abstractmethod
    def tlv(self, dialect: Dialect, settings: DcbxSettings, error: bool) -> FeatureTlv | None:
        """What is said of it; None: this dialect has no words for it."""

    @abstractmethod
    def heard(self, dialect: Dialect, sub_tlvs: Sequence[SubTlv]) -> list[FeatureTlv]:
        """The peer's TLVs of this feature."""

    @abstractmethod
    def value(self, tlv: Any, settings: DcbxSettings, ets: Tables) -> tuple[Any, str]:
        """The peer's configuration; None, and why, when it means nothing here. `ets` is in operation."""

    @abstractmethod
    def compatible(self, dialect: Dialect, own: Any, remote: Any) -> bool:
        """Whether both can be in operation at the two ends (rows 13 and 14). `remote` None: it means nothing here."""

    def taken_over(self, own: Any, remote: Any) -> Any:
        """What is in operation where the peer's configuration is taken."""
        return remote

    def header(self, settings: DcbxSettings, error: bool, sub_type: int = 0) -> Feature:
        return Feature(enable=True, willing=self.willing(settings), error=error, sub_type=sub_type)


class Groups(FeatureKind):
    """Values are `Tables`."""

    title = "priority groups"

    def wanted(self, settings: DcbxSettings) -> Tables:
        return settings.ets

    def willing(self, settings: DcbxSettings) -> bool:
        return settings.ets_willing

    def tlv(self, dialect: Dialect, settings: DcbxSettings, error: bool) -> FeatureTlv | None:
        header = self.header(settings, error)
        if dialect is Dialect.CEE:
            return cee_groups(settings.ets, header, settings.classes)
        return cin_groups(settings.ets, header)

    def heard(self, dialect: Dialect, sub_tlvs: Sequence[SubTlv]) -> list[FeatureTlv]:
        return [one for one in sub_tlvs if isinstance(one, (PriorityGroups, CinPriorityGroups))]

    def value(self, tlv: Any, settings: DcbxSettings, ets: Tables) -> tuple[Tables | None, str]:
        read = tables_of_cee if isinstance(tlv, PriorityGroups) else tables_of_cin
        tables, fault = read(tlv, settings.classes)
        if tables is not None:
            fault = fault_of_remote_tables(tables, settings) or ""
        return (None, fault) if fault else (tables, "")

    def compatible(self, dialect: Dialect, own: Any, remote: Any) -> bool:
        """In CEE each side schedules what it sends as it likes."""
        return dialect is Dialect.CEE or own == remote


class Pfc(FeatureKind):
    """Values are bitmaps of priorities."""

    title = "PFC"

    def wanted(self, settings: DcbxSettings) -> int:
        return settings.pfc

    def willing(self, settings: DcbxSettings) -> bool:
        return settings.pfc_willing

    def tlv(self, dialect: Dialect, settings: DcbxSettings, error: bool) -> FeatureTlv | None:
        classes = settings.capability if dialect is Dialect.CEE else None
        return LegacyPfc(self.header(settings, error), settings.pfc, classes)

    def heard(self, dialect: Dialect, sub_tlvs: Sequence[SubTlv]) -> list[FeatureTlv]:
        return [one for one in sub_tlvs if isinstance(one, LegacyPfc)]

    def value(self, tlv: Any, settings: DcbxSettings, ets: Tables) -> tuple[int | None, str]:
        fault = fault_of_pfc(tlv.enable, ets, settings.capability)
        return (None, fault) if fault else (tlv.enable, "")

    def compatible(self, dialect: Dialect, own: Any, remote: Any) -> bool:
        return bool(own == remote)


class Applications(FeatureKind):
    """Values are tuples of `Application`. CIN knows FCoE alone; CEE neither DSCPs nor a default priority."""

    title = "applications"

    def wanted(self, settings: DcbxSettings) -> tuple[Application, ...]:
        return settings.apps

    def willing(self, settings: DcbxSettings) -> bool:
        return settings.apps_willing

    def tlv(self, dialect: Dialect, settings: DcbxSettings, error: bool) -> FeatureTlv | None:
        if dialect is Dialect.CIN:
            priorities = _bitmap(settings.apps, Selector.ETHERTYPE, FCOE)
            return CinApplication(self.header(settings, error, FCOE_SUB_TYPE), priorities) if priorities else None
        apps = sayable(dialect, settings.apps)[: MOST_SAID[dialect]]
        entries = dict.fromkeys((_CEE_SELECTORS[one.selector], one.protocol) for one in apps)
        return CeeApplications(
            self.header(settings, error),
            tuple(
                CeeApplication(protocol, selector, CEE_OUI, _cee_bitmap(apps, selector, protocol))
                for selector, protocol in entries
            ),
        )

    def heard(self, dialect: Dialect, sub_tlvs: Sequence[SubTlv]) -> list[FeatureTlv]:
        return [
            one
            for one in sub_tlvs
            if isinstance(one, CeeApplications)
            or (isinstance(one, CinApplication) and one.feature.sub_type == FCOE_SUB_TYPE)
        ]

    def value(self, tlv: Any, settings: DcbxSettings, ets: Tables) -> tuple[tuple[Application, ...] | None, str]:
        if isinstance(tlv, CinApplication):
            told = _applications(Selector.ETHERTYPE, FCOE, tlv.priorities)
        else:
            known = [one for one in tlv.applications if one.oui == CEE_OUI and one.selector in _IEEE_SELECTORS]
            told = [
                app
                for one in known
                for app in _applications(_IEEE_SELECTORS[one.selector], one.protocol, one.priorities)
            ]
        fault = fault_of_applications(told)
        if fault:
            return None, fault
        sound, faults = sound_applications(told)
        return (None, faults[0]) if faults else (sound, "")

    def compatible(self, dialect: Dialect, own: Any, remote: Any) -> bool:
        """No protocol that both name has another priority there."""
        if remote is None:
            return False
        theirs = {_cee_key(one): one.priority for one in remote}
        return all(theirs.get(_cee_key(one), one.priority) == one.priority for one in own)

    def taken_over(self, own: Any, remote: Any) -> Any:
        """The peer's, and of one's own those for other protocols."""
        named = {_cee_key(one) for one in remote}
        return (*remote, *(one for one in own if _cee_key(one) not in named))


FEATURES: Sequence[FeatureKind] = (Groups(), Pfc(), Applications())

_IEEE_SELECTORS: Mapping[int, int] = MappingProxyType(
    {CeeSelector.ETHERTYPE: Selector.ETHERTYPE, CeeSelector.TCP_UDP: Selector.TCP_SCTP_UDP_DCCP}
)
_CEE_SELECTORS: Mapping[int, int] = MappingProxyType(
    {
        Selector.ETHERTYPE: CeeSelector.ETHERTYPE,
        Selector.TCP_SCTP: CeeSelector.TCP_UDP,
        Selector.UDP_DCCP: CeeSelector.TCP_UDP,
        Selector.TCP_SCTP_UDP_DCCP: CeeSelector.TCP_UDP,
    }
)


def sayable(dialect: Dialect, applications: Sequence[Application]) -> Sequence[Application]:
    """Those that the dialect has words for, if there is room."""
    return [one for one in applications if _in_cee(one)] if dialect is Dialect.CEE else applications


def _in_cee(application: Application) -> bool:
    return application.selector in _CEE_SELECTORS and application.protocol != 0


def _cee_key(application: Application) -> tuple[int, int]:
    """Ports of TCP and of UDP are the same to CEE."""
    return _CEE_SELECTORS.get(application.selector, -application.selector), application.protocol


def _bitmap(applications: Sequence[Application], selector: int, protocol: int) -> int:
    priorities = {one.priority for one in applications if (one.selector, one.protocol) == (selector, protocol)}
    return sum(1 << priority for priority in priorities)


def _cee_bitmap(applications: Sequence[Application], selector: int, protocol: int) -> int:
    priorities = {one.priority for one in applications if _in_cee(one) and _cee_key(one) == (selector, protocol)}
    return sum(1 << priority for priority in priorities)


def _applications(selector: int, protocol: int, bitmap: int) -> list[Application]:
    return [Application(priority, selector, protocol) for priority in range(PRIORITIES) if bitmap >> priority & 1]
