"""The JSON forms of DCBX: what both ends want, what is agreed, what the NIC has (contract section 2, `dcbx`).

Keys within the sides are the leaves of ieee802-dot1q-lldp-dcbx-tlv; tables are arrays, by priority or traffic class.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from evbagent.dcbnic import DcbNic
from evbagent.dcbnl import Cee, Ets, Ieee, Pfc
from evbagent.dcbplan import Difference, Plan, tables_of
from evbagent.dcbsocket import mode_words
from evbagent.dcbxconfig import DcbxConfig
from evbagent.tlvview_basic import basic_document
from evbagent.words import bit_numbers, word
from protocols.dcbx.ieee import OUI, decode
from protocols.dcbx.model import (
    Application,
    EtsConfiguration,
    IeeeTlv,
    PfcConfiguration,
    Selector,
    TransmissionSelection,
)
from protocols.dcbx.settings import DcbxResult, DcbxSettings, Dialect, PeerKey, State, Tables
from protocols.errors import DecodeError
from protocols.lldp.tlvs import ChassisId, PortId

Json = dict[str, Any]


def dcbx_document(
    result: DcbxResult | None,
    settings: DcbxSettings | None,
    config: DcbxConfig,
    nic: DcbNic,
    plan: Plan,
    nic_state: str,
    peer: str,
) -> Json:
    """`peer`: who it is, in words; `nic_state`: how the NIC stands to what is in operation.

    `result` and `settings` are None where evbagent has no part in DCBX.
    """
    return {
        "mode": config.mode,
        "advertise": settings is not None and settings.advertise,
        **agreement_document(result, settings),
        "peer": peer or None,
        "nic": nic_document(nic),
        "nic-state": nic_state,
        "differences": [difference_document(difference) for difference in plan.differences],
    }


_NOBODY: Mapping[str, Any] = MappingProxyType(
    {
        "dialect": None,
        "state": str(State.OFF),
        "reason": "",
        "local": None,
        "remote": None,
        "operational": None,
        "reasons": None,
        "errors": (),
        "sequence": None,
        "remote-tlvs": (),
    }
)


def agreement_document(result: DcbxResult | None, settings: DcbxSettings | None) -> Mapping[str, Any]:
    """What both ends say, and what comes of it."""
    if result is None or settings is None:
        return _NOBODY
    return {
        "dialect": None if result.dialect is None else str(result.dialect),
        "state": str(result.state),
        "reason": result.reason,
        "local": _local(result, settings),
        "remote": _remote(result),
        "operational": {
            "ets": _tables(result.ets.operational),
            "pfc": {"enable": bit_numbers(result.pfc.operational)},
            "application-priority-table": _applications(result.app.operational),
        },
        "reasons": {"ets": result.ets.reason, "pfc": result.pfc.reason, "app": result.app.reason},
        "errors": [name for name in ("ets", "pfc", "app") if getattr(result, name).error],
        "sequence": None if result.seq_no is None else {"seq-no": result.seq_no, "ack-no": result.ack_no},
        "remote-tlvs": [
            {**_neighbor(key), "oui": oui.hex(), "subtype": subtype, "hex": octets.hex()}
            for key, (oui, subtype, octets) in result.heard
        ],
    }


def nic_document(nic: DcbNic) -> Json:
    """What the kernel says of the NIC; `settings` and the peers are null where it says nothing."""
    settings = nic.settings
    return {
        "dcbx-mode": None if nic.mode is None else mode_words(nic.mode).split(),
        "settings": None if settings is None else _side(settings.ets, settings.pfc, settings.apps),
        "firmware-peer": _firmware_peer(settings, nic.firmware) if nic.is_managed and settings else None,
        "changed-by-agent": nic.is_changed,
        "error": nic.error or None,
    }


def difference_document(difference: Difference) -> Json:
    return {"key": difference.key, "nic": difference.nic, "wanted": difference.wanted}


def _local(result: DcbxResult, settings: DcbxSettings) -> Json:
    ets, pfc = result.ets, result.pfc
    found = {
        "ets": {
            "willing": ets.willing,
            "traffic-classes-supported": settings.classes,
            "credit-based-shaper": settings.credit_based_shaper,
            **_tables(ets.local),
        },
        "pfc": {
            "willing": pfc.willing,
            "number-tc-capable": settings.capability,
            "macsec-bypass-capable": settings.mbc,
            "enable": bit_numbers(pfc.local),
        },
        "app": {"willing": result.app.willing},
        "application-priority-table": _applications(result.app.local),
    }
    if settings.recommended is not None:
        found["ets-recommendation"] = _tables(settings.recommended)
    return found


def _remote(result: DcbxResult) -> Json | None:
    """What the peer says it has, and what it recommends."""
    if result.peer is None:
        return None
    ets, pfc, app = result.ets, result.pfc, result.app
    found: Json = {
        "ets": None,
        "pfc": None if pfc.remote is None else {"willing": pfc.remote_willing, "enable": bit_numbers(pfc.remote)},
        "app": None if app.remote is None else {"willing": app.remote_willing},
        "application-priority-table": None if app.remote is None else _applications(app.remote),
    }
    if result.dialect is not Dialect.IEEE:
        # In CEE and CIN a side's settings are its proposal as well.
        found["ets"] = ets.remote and {"willing": ets.remote_willing, **_tables(ets.remote)}
        return found
    found["ets-recommendation"] = ets.remote and _tables(ets.remote)
    for _, (oui, subtype, octets) in result.heard:
        match _decoded(oui, subtype, octets):
            case EtsConfiguration() as tlv if found["ets"] is None:
                found["ets"] = {
                    "willing": tlv.willing,
                    "traffic-classes-supported": tlv.traffic_classes,
                    "credit-based-shaper": tlv.credit_based_shaper,
                    **_tables(Tables(tlv.priority_assignment, tlv.selection, tlv.bandwidth)),
                }
            case PfcConfiguration() as tlv if found["pfc"] is not None and "number-tc-capable" not in found["pfc"]:
                found["pfc"] |= {"number-tc-capable": tlv.capability, "macsec-bypass-capable": tlv.mbc}
    return found


def _neighbor(key: PeerKey) -> Json:
    chassis, chassis_id, port, port_id = key
    return {**basic_document(ChassisId(chassis, chassis_id)), **basic_document(PortId(port, port_id))}


def _decoded(oui: bytes, subtype: int, octets: bytes) -> IeeeTlv | None:
    try:
        return decode(subtype, octets) if oui == OUI else None
    except DecodeError:
        return None


def _side(ets: Ets | None, pfc: Pfc | None, apps: Iterable[Application]) -> Json:
    return {
        "ets": ets
        and {
            "willing": ets.willing,
            "traffic-classes-supported": ets.traffic_classes,
            "credit-based-shaper": ets.credit_based_shaper,
            **_tables(tables_of(ets)),
        },
        "pfc": pfc
        and {
            "number-tc-capable": pfc.capability,
            "macsec-bypass-capable": pfc.mbc,
            "enable": bit_numbers(pfc.enable),
            "delay": pfc.delay,
        },
        "application-priority-table": _applications(apps),
    }


def _firmware_peer(settings: Ieee, cee: Cee | None) -> Json:
    """What firmware has heard, as far as it tells."""
    found = _side(settings.peer_ets, settings.peer_pfc, settings.peer_apps)
    if cee is not None:
        found["cee"] = {
            "priority-group-ids": cee.peer_groups,
            "bandwidth": cee.peer_bandwidth,
            "pfc": None if cee.peer_pfc is None else bit_numbers(cee.peer_pfc),
            "applications": [
                {"protocol": app.protocol, "selector": app.selector, "priorities": bit_numbers(app.priorities)}
                for app in cee.peer_applications
            ],
            "features": {name: str(flags.name or "").lower().split("|") for name, flags in cee.features.items()},
        }
    return found


def _tables(tables: Tables) -> Json:
    return {
        "priority-assignment-table": list(tables.prio_tc),
        "tc-bandwidth-table": list(tables.tc_bw),
        "tsa-assignment-table": [word(TransmissionSelection, kind) for kind in tables.tc_tsa],
    }


def _applications(apps: Iterable[Application]) -> list[Json]:
    return [
        {
            "application-priority": app.priority,
            "application-priority-selector": word(Selector, app.selector),
            "application-priority-protocol": app.protocol,
        }
        for app in apps
    ]
