"""`evbagent attach` and `evbagent detach`."""

import argparse
from typing import Any

from evbagent.attach import AttachError, Attachment, PolicyUnmet, VsiRefused, VsiUnanswered, create, remove
from evbagent.show import answer_line, escape
from evbagent.terminal import DONE, FAILED, UNANSWERED, UNMET, USAGE, complain, print_json


def attach(arguments: argparse.Namespace) -> int:
    """Make a guest's device, and say what it is."""
    vsi = None
    if arguments.vsi is not None:
        from evbagent.attach_vsi import parse

        try:
            vsi = parse(arguments.vsi)
        except ValueError as error:
            return complain(f"--vsi: {error}", USAGE)
    try:
        made = create(
            arguments.interface,
            arguments.name,
            kind=arguments.kind,
            policy=arguments.policy,
            mac=arguments.mac,
            vsi=vsi,
            vsi_wait=arguments.vsi_wait,
            state_dir=arguments.state_dir,
        )
    except (PolicyUnmet, VsiRefused) as error:
        return _complain_of(error, UNMET)
    except VsiUnanswered as error:
        return _complain_of(error, UNANSWERED)
    except AttachError as error:
        return _complain_of(error, FAILED)
    if arguments.json:
        print_json(_document(made))
    else:
        device = f", character device {made.character_device}" if made.character_device else ""
        print(f"{made.name}: {made.kind} on {made.uplink}, mode {made.mode} ({made.policy}){device}")
        for line in _vsi_lines(made):
            print(f"{made.name}: {line}")
    return DONE


def detach(arguments: argparse.Namespace) -> int:
    """Remove a guest's device. What is left to be done by others is said, and is no failure."""
    try:
        left = remove(arguments.name, state_dir=arguments.state_dir)
    except AttachError as error:
        return _complain_of(error, FAILED)
    for text in left:
        complain(f"{arguments.name} is removed, but {text}")
    return DONE


def _complain_of(error: AttachError, status: int) -> int:
    complain(str(error))
    for note in getattr(error, "__notes__", ()):
        complain(note)
    return status


def _document(made: Attachment) -> dict[str, Any]:
    vlan = made.vlan
    return {
        "name": made.name,
        "ifindex": made.ifindex,
        "uplink": made.uplink,
        "kind": made.kind,
        "mode": made.mode,
        "policy": made.policy,
        "mac-address": made.mac_address,
        "character-device": made.character_device,
        "vsi": made.vsi,
        "vlan": vlan and {"vid": vlan.vid, "device": vlan.device, "reason": vlan.reason or None},
    }


def _vsi_lines(made: Attachment) -> list[str]:
    if made.vsi is None:
        return []
    lines = [f"VSI {escape(made.vsi.get('vsi-id'))} {answer_line({'vsi': made.vsi})}"]
    if made.vlan is not None:
        lines.append(f"VID {made.vlan.vid} assigned; {made.vlan.reason or f'on {escape(made.vlan.device)}'}")
    return lines
