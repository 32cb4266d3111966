"""`evbagent libvirt`: a document's modes decided, libvirt's hook, and the hook's script."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from evbagent.libvirtdomain import Change, Doubt, changes, chooser, doubts, where
from evbagent.libvirtxml import MOST_OCTETS, Document, DocumentError, Place, read, rewrite
from evbagent.policy import MACVLAN_MODES
from evbagent.terminal import DONE, UNMET, complain, print_json

NAMES_OF_STDIN = ("-", "/dev/stdin")
ADAPTABLE = ("migrate", "restore")


def run(arguments: argparse.Namespace) -> int:
    """One of the commands; the exit status."""
    match arguments.libvirt:
        case "domain":
            return domain(arguments)
        case "hook":
            return hook(arguments)
        case "install-hook":
            return install_hook(arguments)
        case _:
            return uninstall_hook(arguments)


def domain(arguments: argparse.Namespace) -> int:
    """Print the document with its modes decided, and say on stderr what was changed and what is in doubt."""
    name = "standard input" if arguments.file in NAMES_OF_STDIN else arguments.file
    choose = chooser(arguments.state_dir, arguments.wait)
    try:
        document = read(_octets(arguments.file))
        made, refused = changes(document, arguments.policy, choose)
        doubted = doubts(document, choose)
    except OSError as error:
        return complain(f"{name}: {error.strerror}")
    except DocumentError as error:
        return complain(f"{name}: {error}")
    for text in refused:
        complain(f"{name}: {text}")
    if refused:
        return UNMET
    octets = rewrite(document, {change.place: change.word for change in made})
    if arguments.json:
        print_json(_document(document, arguments, made, doubted, octets))
        return DONE
    for change in made:
        complain(f"{name}: {where(change.place)}: {_change_text(change)}")
    for doubt in doubted:
        complain(f"{name}: {where(doubt.place)}: {_doubt_text(doubt)}")
    sys.stdout.flush()
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()
    return DONE


def hook(arguments: argparse.Namespace) -> int:
    """Judge the guest on standard input; 3 says no. With `--adapt` one that comes in is changed, and printed."""
    from evbagent.libvirthook import judge, patient_chooser

    try:
        document = read(_octets("-"))
    except OSError as error:
        return complain(f"guest {arguments.guest}: {error.strerror}")
    except DocumentError as error:
        return complain(f"guest {arguments.guest}: {error}")
    # Where nothing is refused, nothing is waited for.
    choose = chooser(arguments.state_dir) if arguments.warn else patient_chooser(arguments.state_dir, arguments.strict)
    judgement = judge(document, arguments.operation, choose, strict=arguments.strict)
    for doubt in judgement.unknown:
        complain(f"guest {arguments.guest}: {_doubt_text(doubt)}")
    changed: dict[Place, str] = {}
    status = DONE
    for doubt in judgement.refused:
        text = f"guest {arguments.guest}: {_doubt_text(doubt)}"
        if arguments.adapt and arguments.operation in ADAPTABLE and doubt.place.mode is not None:
            changed[doubt.place] = MACVLAN_MODES["veb"]
            complain(f"{text}; it comes in as {MACVLAN_MODES['veb']}")
        elif arguments.warn:
            complain(text)
        else:
            complain(f"{text}; use mode='bridge', or have it decided by `evbagent libvirt domain`")
            status = UNMET
    if changed and status == DONE:
        sys.stdout.buffer.write(rewrite(document, changed))
        sys.stdout.buffer.flush()
    return status


def install_hook(arguments: argparse.Namespace) -> int:
    """Put the script where libvirt finds it, and have this machine's running daemons look for it."""
    from evbagent.libvirthook import HookError, install, reload_daemons, script

    command = [*_program(arguments.program), "libvirt", "hook", "--state-dir", os.path.abspath(arguments.state_dir)]
    command += [f"--{option}" for option in ("warn", "strict", "adapt") if getattr(arguments, option)]
    here = arguments.root.resolve() == Path("/")
    if here and not os.access(command[0], os.X_OK):
        return complain(f"{command[0]} cannot be run: name the evbagent for the hook by --program")
    try:
        path = install(arguments.root, script(command, adapt=arguments.adapt))
        told = reload_daemons(arguments.root) if here and arguments.reload else []
    except HookError as error:
        return complain(str(error))
    if arguments.json:
        print_json({"file": str(path), "command": command, "reloaded": told})
    else:
        print(f"{path} written" + (f"; {', '.join(told)} reloaded" if told else ""))
    return DONE


def uninstall_hook(arguments: argparse.Namespace) -> int:
    """Take the script away again. libvirt notices by itself."""
    from evbagent.libvirthook import HookError, uninstall

    try:
        path = uninstall(arguments.root)
    except HookError as error:
        return complain(str(error))
    if arguments.json:
        print_json({"file": path and str(path)})
    else:
        print(f"{path} removed" if path else f"there is no hook of evbagent below {arguments.root}")
    return DONE


def _octets(file: str) -> bytes:
    """All of it, or enough to see that it is too long."""
    with open(0 if file == "-" else file, "rb", closefd=file != "-") as stream:
        return stream.read(MOST_OCTETS + 1)


def _document(
    document: Document, arguments: argparse.Namespace, made: list[Change], doubted: list[Doubt], octets: bytes
) -> dict[str, Any]:
    return {
        "file": arguments.file,
        "root": document.root,
        "policy": arguments.policy,
        "changes": [
            {
                **_place(change.place),
                "uplinks": list(change.place.uplinks),
                "from": change.place.mode,
                "to": change.word,
                "mode": change.mode,
                "reflective-relay": change.reflective_relay,
                "reason": change.reason,
            }
            for change in made
        ],
        "warnings": [
            {
                **_place(doubt.place),
                "uplink": doubt.uplink,
                "reflective-relay": doubt.reflective_relay,
                "reason": doubt.reason,
            }
            for doubt in doubted
        ],
        "xml": octets.decode(document.encoding),
    }


def _place(place: Place) -> dict[str, Any]:
    return {"line": place.line, "column": place.column, "mac-address": place.address}


def _change_text(change: Change) -> str:
    return f"{_who(change.place, *change.place.uplinks)}: {change.place.mode} becomes {change.word}: {change.reason}"


def _doubt_text(doubt: Doubt) -> str:
    cut_off = "would be cut off" if doubt.reflective_relay == "inactive" else "may be cut off"
    default = "" if doubt.place.mode else ", libvirt's default"
    return f"{_who(doubt.place, doubt.uplink)} is in mode vepa{default}, and {cut_off}: {doubt.reason}"


def _who(place: Place, *uplinks: str) -> str:
    on = "on " + ", ".join(uplinks)
    if place.type == "forward":
        return f"network {on}"
    return f"interface {place.address} {on}" if place.address else f"interface {on}"


def _program(named: str | None) -> list[str]:
    """What starts evbagent later on: what was asked for, or what started it now."""
    if named is not None:
        return [os.path.abspath(named)]
    started = os.path.abspath(sys.argv[0])
    if os.path.basename(started) == "evbagent" and os.access(started, os.X_OK) and os.path.isfile(started):
        return [started]
    return [sys.executable, "-m", "evbagent"]
