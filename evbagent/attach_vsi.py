"""The VSI of a guest that `attach` makes a device for: associated before the device is made, deassociated with it.

What is said of it: `manager`, `type` and `type-version`, which have to be there; `instance` (default: a random UUID),
`vid` (default 0: the switch chooses), `pcp`, `group`, `hint`, `vm-name`, `vm-uuid`, `vm-address`. The filter is made of
`vid`, `pcp`, `group` and the device's address.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from evbagent.attach import AttachError, VsiRefused, VsiUnanswered, copy_notes
from evbagent.client import Client, ClientError, WaitTimeout
from evbagent.netlink import Link, NetlinkError, RouteSocket
from evbagent.policy import marked_vsi
from evbagent.show import answer_text
from evbagent.vlan import locked, remove_unused
from protocols.vdp.vsi import parse_vsi_id

NEEDED = ("manager", "type", "type-version")
NUMBERS = ("type", "type-version", "vid", "pcp", "group")
KEYS = (*NEEDED, "instance", "vid", "pcp", "group", "hint", "vm-name", "vm-uuid", "vm-address")
PASSED_ON = ("manager", "type", "type-version", "hint", "vm-name", "vm-uuid", "vm-address")
DEASSOCIATE_SECONDS = 5.0
GRACE_SECONDS = 5.0


class Confirmed:
    """A VSI that the switch has let in: its document, the instance as the agent writes it, and its VLAN (0: none)."""

    __slots__ = ("document", "instance", "vid")

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.instance = str(document["vsi-id"])
        filters = document.get("filters") or [{}]
        self.vid = int(filters[0].get("vid") or 0)


def parse(text: str) -> dict[str, Any]:
    """`KEY=VALUE,...` as the command line has it. ValueError names what is wrong."""
    vsi: dict[str, Any] = {}
    for entry in text.split(","):
        key, separator, value = entry.partition("=")
        if not separator or not value:
            raise ValueError(f"{entry!r} is not KEY=VALUE")
        if key in vsi:
            raise ValueError(f"{key}: given twice")
        vsi[key] = value
        if key in NUMBERS:
            if not (value.isascii() and value.isdigit()):
                raise ValueError(f"{key}: {value!r} is not a number")
            vsi[key] = int(value)
    _check(vsi)
    return vsi


def local_address() -> bytes:
    """An address for a device: the filter has to name it before the kernel could make one up."""
    first, *rest = os.urandom(6)
    return bytes([(first & 0xFC) | 0x02, *rest])


@contextmanager
def associated(
    route: RouteSocket, directory: str, interface: str, vsi: Mapping[str, Any], address: bytes, wait: float
) -> Iterator[Confirmed]:
    """The guest's VSI, associated; deassociated again when what follows fails. Raises AttachError."""
    try:
        _check(vsi)
    except ValueError as error:
        raise AttachError(f"vsi: {error}") from error
    try:
        instance = parse_vsi_id(str(vsi.get("instance") or uuid4())).text  # as marks have it
    except ValueError as error:
        raise AttachError(f"vsi: instance: {error}") from error
    for link in route.dump_links():
        # The switch would take the new device's address instead of the other's.
        if marked_vsi(link.alias) == instance:
            raise AttachError(f"VSI {instance} is that of {link.name}: choose another instance, or remove {link.name}")
    confirmed = _associate(directory, interface, instance, vsi, address, wait)
    with _undone(directory, interface, confirmed.instance):
        yield confirmed


def remove_guest(route: RouteSocket, link: Link, instance: str, directory: str) -> list[str]:
    """Remove a guest's device, its VSI before it and its VLAN device after it; returns what could not be done."""
    lower = _below(route, link)
    vlan = lower if lower and lower.kind == "vlan" else None
    uplink = _below(route, vlan) if vlan else lower
    left = [
        _deassociate(directory, uplink.name, instance)
        if uplink
        else f"VSI {instance} is not deassociated: the uplink of {link.name} is not in this network namespace"
    ]
    if vlan is None:
        route.delete(link.index)
    else:
        with locked(directory):
            route.delete(link.index)
            try:
                remove_unused(route, vlan)
            except NetlinkError as error:
                left.append(f"VLAN device {vlan.name} is not removed: {error}")
    return [text for text in left if text]


def _associate(
    directory: str, interface: str, instance: str, vsi: Mapping[str, Any], address: bytes, wait: float
) -> Confirmed:
    spec = {key: vsi[key] for key in PASSED_ON if vsi.get(key) is not None}
    spec |= {"request": "associate", "instance": instance, "filter": [_filter(vsi, address)], "wait": wait}
    spec["owner"] = "attach"
    try:
        with Client(Path(directory)) as client, client.vsi(interface) as session:
            session.request([spec])
            with _undone(directory, interface, instance):
                answer = next(session.answers(wait + GRACE_SECONDS))
    except WaitTimeout as error:
        raise copy_notes(error, VsiUnanswered(f"VSI {instance}: {error}")) from error
    except ClientError as error:
        raise copy_notes(error, AttachError(f"VSI {instance} is not associated: {error}")) from error
    text = f"VSI {instance}: {answer_text(answer)}"
    match answer.get("result"):
        case "granted":
            return Confirmed(answer.get("vsi") or {"vsi-id": instance})
        case "refused":
            raise VsiRefused(text)
        case "timed-out" | "link-lost":
            raise VsiUnanswered(text)
    raise AttachError(text)


@contextmanager
def _undone(directory: str, interface: str, instance: str) -> Iterator[None]:
    """Deassociates the VSI when what follows fails; a note on the error says so if that fails too."""
    try:
        yield
    except BaseException as error:
        if left := _deassociate(directory, interface, instance):
            error.add_note(left)
        raise


def _deassociate(directory: str, interface: str, instance: str) -> str | None:
    """What there is to say when the agent does not confirm it."""
    spec = {"request": "deassociate", "instance": instance, "wait": DEASSOCIATE_SECONDS}
    try:
        with Client(Path(directory)) as client, client.vsi(interface) as session:
            session.request([spec])
            answer = next(session.answers(DEASSOCIATE_SECONDS + GRACE_SECONDS))
    except ClientError as error:
        return f"VSI {instance} is not deassociated: {error}"
    if answer.get("result") == "granted":
        return None
    return f"VSI {instance} is perhaps not deassociated: {answer_text(answer)}"


def _below(route: RouteSocket, link: Link) -> Link | None:
    """What a device stands on, if that is in this network namespace."""
    return None if link.parent is None else route.get_link(index=link.parent)


def _check(vsi: Mapping[str, Any]) -> None:
    for key in vsi:
        if key not in KEYS:
            raise ValueError(f"there is no {key!r}: choose of {', '.join(KEYS)}")
    for key in NEEDED:
        if vsi.get(key) is None:
            raise ValueError(f"{key}: is missing")


def _filter(vsi: Mapping[str, Any], address: bytes) -> str:
    pcp, group = vsi.get("pcp"), vsi.get("group")
    vid = f"{vsi.get('vid') or 0}" + ("" if pcp is None else f"/{pcp}")
    return f"{vid}-{address.hex(':')}" + ("" if group is None else f"-{group}")
