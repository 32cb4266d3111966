"""What a peer's settings have to be like before they may become anybody's (sheet `dcbx.md` 2.4, 3.5)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from protocols.dcbx.model import Application, Selector, TransmissionSelection
from protocols.dcbx.settings import MOST_APPLICATIONS, Tables

LEAST_ETHERTYPE = 1536
MOST_DSCP = 63
KNOWN_SELECTIONS = frozenset(
    {
        TransmissionSelection.STRICT_PRIORITY,
        TransmissionSelection.CREDIT_BASED_SHAPER,
        TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION,
    }
)


def fault_of_tables(tables: Tables, classes: int, shaper: bool = True) -> str | None:
    """Why a NIC with so many traffic classes cannot have this, None when it can. `shaper`: it has credit based ones."""
    for priority, number in enumerate(tables.prio_tc):
        if number >= classes:
            return f"priority {priority} is in traffic class {number}, and there are {classes}"
    for number, selection in enumerate(tables.tc_tsa):
        if selection not in KNOWN_SELECTIONS:
            return f"traffic class {number} has the transmission selection {selection}, which no NIC knows"
        if selection == TransmissionSelection.CREDIT_BASED_SHAPER and not shaper:
            return f"traffic class {number} has a credit based shaper, which this NIC does not know"
    if max(tables.tc_bw) > 100:
        return f"a traffic class has a bandwidth of {max(tables.tc_bw)} %"
    shared = [
        share
        for share, selection in zip(tables.tc_bw, tables.tc_tsa, strict=True)
        if selection == TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION
    ]
    if shared and sum(shared) != 100:
        return f"the bandwidths of the ETS classes are {sum(shared)} %, not 100"
    beyond = [
        number
        for number, selection in enumerate(tables.tc_tsa)
        if number >= classes
        and selection == TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION
        and tables.tc_bw[number]
    ]
    if beyond:
        return f"traffic class {beyond[0]} has a share, and there are {classes}"
    return None


def without_idle_shares(tables: Tables) -> Tables:
    """A bandwidth means something in ETS classes only; some peers give others one, too."""
    first, second, third, fourth, fifth, sixth, seventh, eighth = (
        share if selection == TransmissionSelection.ENHANCED_TRANSMISSION_SELECTION else 0
        for share, selection in zip(tables.tc_bw, tables.tc_tsa, strict=True)
    )
    return replace(tables, tc_bw=(first, second, third, fourth, fifth, sixth, seventh, eighth))


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
