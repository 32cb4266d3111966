"""What of a NIC's DCB settings is not as it is to be: told in the words of dcb(8), and as what is to be written.

Only what decides how frames are treated counts. What drivers do not keep (recommendations, the share of a class that is
not ets, bandwidth of the receiving side) is written along, and never a reason to write.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from evbagent.dcbnl import Ets, Ieee, Pfc
from evbagent.dcbxconfig import DSCP_WORDS, SELECTION_WORDS
from protocols.dcbx.model import Application, Eight, Selector, TransmissionSelection
from protocols.dcbx.settings import Tables
from protocols.dcbx.validity import fault_of_pfc, fault_of_tables

APP_KEYS: Mapping[int, str] = MappingProxyType(
    {
        Selector.ETHERTYPE: "ethtype-prio",
        Selector.TCP_SCTP: "stream-port-prio",
        Selector.UDP_DCCP: "dgram-port-prio",
        Selector.TCP_SCTP_UDP_DCCP: "port-prio",
        Selector.DSCP: "dscp-prio",
    }
)
DSCP_NAMES: Mapping[int, str] = MappingProxyType(
    {number: name.upper() for name, number in DSCP_WORDS.items() if number}
)
NOTHING = "-"
MOST_CLASSES = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a NIC is to have; None: that is not touched. `pfc` has bit n for priority n. `apps` is the whole table."""

    ets: Tables | None = None
    recommended: Tables | None = None
    ets_willing: bool = False
    pfc: int | None = None
    delay: int | None = None
    apps: tuple[Application, ...] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """`key` as in dcb(8); what the NIC has and what it is to have, in dcb's form, `-` for nothing."""

    key: str
    nic: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.key} {self.nic} -> {self.wanted}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be written so that a NIC has what it is to have; nothing when it has."""

    ets: Ets | None = None
    pfc: Pfc | None = None
    delete: tuple[Application, ...] = ()
    add: tuple[Application, ...] = ()
    differences: tuple[Difference, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ets or self.pfc or self.delete or self.add)


def make_plan(nic: Ieee, wanted: Wanted) -> Plan:
    """From what a NIC has to what it is to have. A feature that its driver does not have is left alone."""
    ets = _ets(nic.ets, wanted)
    pfc = _pfc(nic.pfc, wanted)
    delete: tuple[Application, ...] = ()
    add: tuple[Application, ...] = ()
    if wanted.apps is not None:
        delete = tuple(app for app in nic.apps if app not in wanted.apps)
        add = tuple(app for app in dict.fromkeys(wanted.apps) if app not in nic.apps)
    differences = [
        *(_table_differences(nic.ets, ets) if ets and nic.ets else ()),
        *(_pfc_differences(nic.pfc, pfc) if pfc and nic.pfc else ()),
        *_app_differences(delete, add),
    ]
    return Plan(ets, pfc, delete, add, tuple(differences))


def why_impossible(nic: Ieee, wanted: Wanted) -> tuple[str, ...]:
    """What the NIC cannot have, whatever its driver says to it."""
    reasons: list[str | None] = []
    if wanted.ets is not None and nic.ets is not None:
        reasons.append(fault_of_tables(wanted.ets, nic.ets.traffic_classes or MOST_CLASSES))
    if wanted.pfc is not None and nic.pfc is not None:
        tables = wanted.ets or (tables_of(nic.ets) if nic.ets else Tables())
        reasons.append(fault_of_pfc(wanted.pfc, tables, nic.pfc.capability))
    return tuple(reason for reason in reasons if reason)


def settings_of(nic: Ieee) -> Wanted:
    """All that the NIC has now, as what it is to have again."""
    ets, pfc = nic.ets, nic.pfc
    return Wanted(
        ets=None if ets is None else tables_of(ets),
        recommended=None if ets is None else Tables(ets.reco_prio_tc, ets.tc_reco_tsa, ets.tc_reco_bw),
        ets_willing=ets is not None and ets.willing,
        pfc=None if pfc is None else pfc.enable,
        delay=None if pfc is None else pfc.delay,
        apps=nic.apps,
    )


def tables_of(ets: Ets) -> Tables:
    """What it does with what is sent."""
    return Tables(ets.prio_tc, ets.tc_tsa, ets.tc_tx_bw)


def app_words(app: Application) -> str:
    if (app.selector, app.protocol) == (Selector.ETHERTYPE, 0):
        return f"default-prio {app.priority}"
    if app.selector == Selector.ETHERTYPE:
        protocol = f"{app.protocol:#06x}"
    elif app.selector == Selector.DSCP:
        protocol = DSCP_NAMES.get(app.protocol, str(app.protocol))
    else:
        protocol = str(app.protocol)
    return f"{APP_KEYS.get(app.selector, f'selector-{app.selector}')} {protocol}:{app.priority}"


def selection_word(kind: int) -> str:
    return next((word for word, value in SELECTION_WORDS.items() if value == kind), f"reserved-{kind}")


def _ets(nic: Ets | None, wanted: Wanted) -> Ets | None:
    if nic is None or wanted.ets is None or _effect(nic) == _effect_of(wanted.ets):
        return None
    tables = _effect_of(wanted.ets)
    recommended = wanted.recommended or tables
    return replace(
        nic,
        willing=wanted.ets_willing,
        tc_tx_bw=tables.tc_bw,
        tc_tsa=tables.tc_tsa,
        prio_tc=tables.prio_tc,
        tc_reco_bw=recommended.tc_bw,
        tc_reco_tsa=recommended.tc_tsa,
        reco_prio_tc=recommended.prio_tc,
    )


def _pfc(nic: Pfc | None, wanted: Wanted) -> Pfc | None:
    if nic is None or wanted.pfc is None:
        return None
    delay = nic.delay if wanted.delay is None else wanted.delay
    if (nic.enable, nic.delay) == (wanted.pfc, delay):
        return None
    return replace(nic, enable=wanted.pfc, delay=delay)


def _effect(ets: Ets) -> Tables:
    return _effect_of(tables_of(ets))


def _effect_of(tables: Tables) -> Tables:
    """Without the shares of classes that do not share."""
    ets = TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION
    a, b, c, d, e, f, g, h = (
        share if kind == ets else 0 for share, kind in zip(tables.tc_bw, tables.tc_tsa, strict=True)
    )
    return replace(tables, tc_bw=(a, b, c, d, e, f, g, h))


def _table_differences(nic: Ets, ets: Ets) -> list[Difference]:
    has, gets = _effect(nic), _effect(ets)
    rows: tuple[tuple[str, Eight, Eight, Callable[[int], str]], ...] = (
        ("prio-tc", has.prio_tc, gets.prio_tc, str),
        ("tc-tsa", has.tc_tsa, gets.tc_tsa, selection_word),
        ("tc-bw", has.tc_bw, gets.tc_bw, str),
    )
    return [_of_eight(key, old, new, word) for key, old, new, word in rows if old != new]


def _pfc_differences(nic: Pfc, pfc: Pfc) -> list[Difference]:
    found = []
    if nic.enable != pfc.enable:
        found.append(
            _of_eight("prio-pfc", _switches(nic.enable), _switches(pfc.enable), lambda on: "on" if on else "off")
        )
    if nic.delay != pfc.delay:
        found.append(Difference("delay", str(nic.delay), str(pfc.delay)))
    return found


def _of_eight(key: str, has: Sequence[int], gets: Sequence[int], word: Callable[[int], str]) -> Difference:
    """The entries that change, so that dcb(8) takes them."""
    changed = [number for number in range(8) if has[number] != gets[number]]
    return Difference(
        key,
        " ".join(f"{number}:{word(has[number])}" for number in changed),
        " ".join(f"{number}:{word(gets[number])}" for number in changed),
    )


def _switches(bits: int) -> list[int]:
    return [bits >> number & 1 for number in range(8)]


def _app_differences(delete: Iterable[Application], add: Iterable[Application]) -> list[Difference]:
    found = []
    for app in delete:
        key, _, rule = app_words(app).partition(" ")
        found.append(Difference(key, rule, NOTHING))
    for app in add:
        key, _, rule = app_words(app).partition(" ")
        found.append(Difference(key, NOTHING, rule))
    return found
