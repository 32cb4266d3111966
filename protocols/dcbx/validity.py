"""What a peer's settings have to be like before they may become anybody's (sheet `dcbx.md` 2.4, 3.5)."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from protocols.dcbx.model import Application, Selector, TransmissionSelection, eight
from protocols.dcbx.settings import MOST_APPLICATIONS, DcbxSettings, Tables

ALL = 100
LEAST_ETHERTYPE = 1536
MOST_DSCP = 63
STRICT, CREDIT_BASED_SHAPER, ETS = (
    TransmissionSelection.STRICT_PRIORITY,
    TransmissionSelection.CREDIT_BASED_SHAPER,
    TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION,
)
KNOWN_SELECTIONS = frozenset({STRICT, CREDIT_BASED_SHAPER, ETS})
SELECTIONS_OF_PEERS = KNOWN_SELECTIONS | {TransmissionSelection.VENDOR_SPECIFIC}


def fault_of_tables(tables: Tables, classes: int, selections: Container[int] = KNOWN_SELECTIONS) -> str | None:
    """Why a NIC with so many traffic classes, and these selections, cannot have this; None when it can."""
    for priority, number in enumerate(tables.prio_tc):
        if number >= classes:
            return f"priority {priority} is in traffic class {number}, and there are {classes}"
    for number, selection in enumerate(tables.tc_tsa):
        if selection not in selections:
            return f"traffic class {number} has the transmission selection {selection}, which cannot be had"
    for number, share in enumerate(tables.tc_bw):
        if share > ALL:
            return f"traffic class {number} has {share} % of the bandwidth"
    shared = [share for share, selection in zip(tables.tc_bw, tables.tc_tsa, strict=True) if selection == ETS]
    if shared and sum(shared) != ALL:
        return f"the bandwidths of the ETS classes are {sum(shared)} %, not {ALL}"
    beyond = [
        number
        for number, selection in enumerate(tables.tc_tsa)
        if number >= classes and selection == ETS and tables.tc_bw[number]
    ]
    if beyond:
        return f"traffic class {beyond[0]} has a share, and there are {classes}"
    return None


def fault_of_remote_tables(tables: Tables, settings: DcbxSettings) -> str | None:
    """Why they cannot take the place of this side's. Its own lossless priorities have to be possible with them."""
    selections = KNOWN_SELECTIONS if settings.credit_based_shaper else KNOWN_SELECTIONS - {CREDIT_BASED_SHAPER}
    return fault_of_tables(tables, settings.classes, selections) or fault_of_pfc(
        settings.pfc, tables, settings.capability
    )


def without_idle_shares(tables: Tables) -> Tables:
    """A share of a class that is not ETS means nothing (sheet 1.1), and goes no further."""
    shares = [share if selection == ETS else 0 for share, selection in zip(tables.tc_bw, tables.tc_tsa, strict=True)]
    return replace(tables, tc_bw=eight(shares))


def fault_of_pfc(enable: int, tables: Tables, capability: int) -> str | None:
    """Why so many classes cannot be lossless. `tables`: which class each priority is in."""
    classes = {tables.prio_tc[priority] for priority in range(8) if enable >> priority & 1}
    if len(classes) > capability:
        return f"PFC is asked for in {len(classes)} traffic classes, and {capability} can have it"
    return None


def fault_of_applications(applications: Sequence[Application]) -> str | None:
    """Why a table counts for nothing as a whole."""
    if len(applications) > MOST_APPLICATIONS:
        return f"{len(applications)} applications, more than {MOST_APPLICATIONS}"
    return None


def sound_applications(applications: Iterable[Application]) -> tuple[tuple[Application, ...], tuple[str, ...]]:
    """Those that mean something, each protocol once, and what is wrong with the others."""
    faults: list[str] = []
    priorities: dict[tuple[int, int], set[int]] = {}
    for application in applications:
        fault = _fault_of_application(application)
        if fault:
            faults.append(fault)
        else:
            priorities.setdefault((application.selector, application.protocol), set()).add(application.priority)
    sound: list[Application] = []
    for (selector, protocol), wanted in priorities.items():
        if len(wanted) == 1:
            sound.append(Application(next(iter(wanted)), selector, protocol))
        else:
            words = ", ".join(map(str, sorted(wanted)))
            faults.append(f"application {selector}:{protocol} is to have the priorities {words} at a time")
    return tuple(sound), tuple(faults)


def _fault_of_application(application: Application) -> str | None:
    selector, protocol = application.selector, application.protocol
    if selector not in tuple(Selector):
        return f"application {selector}:{protocol} has a reserved selector"
    if selector == Selector.ETHERTYPE and 0 < protocol < LEAST_ETHERTYPE:
        return f"application {selector}:{protocol} is no EtherType"
    if selector == Selector.DSCP and protocol > MOST_DSCP:
        return f"application {selector}:{protocol} is no DSCP"
    return None
