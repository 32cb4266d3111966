"""What a port's DCBX machines are told of this side: the configuration, and for what it leaves open, the NIC."""

from dataclasses import replace

from evbagent.dcbnic import DcbNic
from evbagent.dcbnl import Ieee
from evbagent.dcbplan import Wanted, settings_of, why_impossible
from evbagent.dcbxconfig import DcbxConfig, DcbxWishes
from protocols.dcbx.model import Selector
from protocols.dcbx.settings import DcbxResult, DcbxSettings, Dialect, Tables
from protocols.evb.status import Role

MOST_CLASSES = 8
SELECTORS = frozenset(Selector)


def local_settings(config: DcbxConfig, wishes: DcbxWishes, nic: DcbNic, role: Role) -> DcbxSettings | None:
    """None: this port has no part in DCBX, or its NIC's firmware runs it.

    Where nothing is configured, or the NIC cannot have it, it is what the NIC had before the agent changed anything.
    """
    if config.mode == "off" or nic.is_managed:
        return None
    before = nic.before or Ieee()
    own = settings_of(before)
    wishes = _fitting(nic, wishes)
    willing = role is Role.STATION
    ets = wishes.ets or own.ets or Tables()
    configured = {(app.selector, app.protocol) for app in wishes.apps}
    found = tuple(
        app for app in before.apps if app.selector in SELECTORS and (app.selector, app.protocol) not in configured
    )
    return DcbxSettings(
        dialect=None if config.dialect == "auto" else Dialect(config.dialect),
        advertise=advertises(config),
        ets=ets,
        ets_willing=willing if config.ets.willing is None else config.ets.willing,
        recommended=wishes.recommended or (wishes.ets if role is Role.BRIDGE else None),
        pfc=own.pfc or 0 if wishes.pfc is None else wishes.pfc,
        pfc_willing=willing if config.pfc.willing is None else config.pfc.willing,
        apps=wishes.apps + found,
        apps_willing=willing if config.app.willing is None else config.app.willing,
        classes=(before.ets.traffic_classes if before.ets else 0) or MOST_CLASSES,
        capability=before.pfc.capability if before.pfc else MOST_CLASSES,
        credit_based_shaper=before.ets is not None and before.ets.credit_based_shaper,
        mbc=before.pfc is not None and before.pfc.mbc,
    )


def advertises(config: DcbxConfig) -> bool:
    """Whether DCBX TLVs are sent: what nobody applies is not announced unless somebody says so."""
    return config.mode == "apply" if config.advertise is None else config.advertise


def wanted_of(result: DcbxResult, settings: DcbxSettings, config: DcbxConfig, nic: DcbNic) -> Wanted:
    """What the NIC is to have, from what the machines have come to. Entries of other selectors than DCBX has stay."""
    apps = tuple(result.app.operational)
    foreign = () if nic.settings is None else tuple(app for app in nic.settings.apps if app.selector not in SELECTORS)
    return Wanted(
        ets=result.ets.operational,
        recommended=settings.recommended,
        ets_willing=settings.ets_willing,
        pfc=result.pfc.operational,
        delay=config.pfc.delay,
        apps=apps + foreign,
    )


def unfit(nic: DcbNic, wishes: DcbxWishes) -> tuple[str, ...]:
    """What is configured and cannot be on this NIC, so that the NIC's own stands in for it."""
    ets, pfc = _faults(nic, wishes)
    named = (("dcbx.ets", ets), ("dcbx.pfc", pfc))
    return tuple(f"{key} is not in force: {reason}" for key, reasons in named for reason in reasons)


def _fitting(nic: DcbNic, wishes: DcbxWishes) -> DcbxWishes:
    ets, pfc = _faults(nic, wishes)
    return replace(wishes, ets=None if ets else wishes.ets, pfc=None if pfc else wishes.pfc)


def _faults(nic: DcbNic, wishes: DcbxWishes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of ETS; of PFC with the classes that are then in force."""
    settings = nic.settings or Ieee()
    ets = why_impossible(settings, Wanted(ets=wishes.ets))
    both = why_impossible(settings, Wanted(ets=None if ets else wishes.ets, pfc=wishes.pfc))
    return ets, both
