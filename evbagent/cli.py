"""The command line. Each command imports what it needs, so that `evbagent mode` costs no more than it must."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from evbagent.policy import POLICIES
from evbagent.statefile import default_directory
from evbagent.version import VERSION

DONE, FAILED, UNMET = 0, 1, 3
RETRY_SECONDS = 0.02
SHOWN = ("neighbors", "interfaces", "evb", "vsis", "dcbx", "statistics", "config")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 1 failed, 2 wrong usage, 3 the policy or wait was not met)."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 gets names from the network spelled out, not an error.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough: no traceback, and none from flushing at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evbagent",
        description="Edge virtual bridging agent: finds out whether the adjacent switch reflects, and says so.",
    )
    parser.add_argument("--version", action="version", version=f"evbagent {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = _command(commands, "run", _run, "run the agent in the foreground", json=False)
    run.add_argument("--config", type=Path, metavar="FILE", help="read this file alone, not /etc/evbagent")
    run.add_argument("--interface", action="append", metavar="GLOB", help="serve these links (default: physical ones)")
    run.add_argument("--role", choices=("station", "bridge"), help="play the station (host) or the bridge (switch)")
    run.add_argument("-v", "--verbose", action="store_true", help="log more")

    lab = _command(commands, "lab", _lab, "try all of it in private network namespaces on this machine", state=False)
    lab.add_argument("--switch", choices=("builtin", "lldpad"), default="builtin", help="who plays the switch")
    lab.add_argument("--edition", choices=("ratified", "draft"), default="ratified")
    lab.add_argument("--report", type=Path, metavar="FILE.html", help="write a report too")
    lab.add_argument("--capture", type=Path, metavar="DIR", help="keep the uplink's frames as a pcap here")

    mode = _command(commands, "mode", _mode, "print vepa, veb or private for guests on an uplink")
    mode.add_argument("interface", metavar="IF")
    _policy(mode)
    mode.add_argument("--wait", type=_seconds, default=0.0, metavar="SECONDS", help="give the switch time to answer")

    attach = _command(commands, "attach", _attach, "make a guest's device on an uplink in the right mode")
    attach.add_argument("interface", metavar="IF")
    attach.add_argument("--name", required=True, metavar="GUESTIF")
    attach.add_argument("--kind", choices=("macvtap", "macvlan"), default="macvtap")
    _policy(attach)
    attach.add_argument("--mac", metavar="MAC", help="the device's address (default: the kernel makes one)")

    detach = _command(commands, "detach", _detach, "remove a guest's device made by attach", json=False, state=False)
    detach.add_argument("name", metavar="GUESTIF")

    show = _command(commands, "show", _show, "ask the running agent")
    show.add_argument("what", choices=SHOWN)
    show.add_argument("interface", nargs="?", metavar="IFGLOB")
    show.add_argument("--details", action="store_true", help="everything that is known, not one line each")

    watch = _command(commands, "watch", _watch, "follow events until interrupted")
    watch.add_argument("interface", nargs="?", metavar="IFGLOB")

    wait = _command(commands, "wait", _wait, "return when something holds; 3 on timeout", json=False)
    wait.add_argument("interface", metavar="IF")
    wait.add_argument("--for", dest="condition", required=True, metavar="neighbor|reflective-relay")
    wait.add_argument("--timeout", type=_seconds, default=None, metavar="S")

    config = commands.add_parser("config", help="work on the configuration", description="Work on the configuration.")
    check = _command(
        config.add_subparsers(metavar="COMMAND", required=True), "check", _config_check, "validate", state=False
    )
    check.add_argument("file", nargs="?", type=Path, metavar="FILE")
    return parser


def _command(
    commands: Any,
    name: str,
    function: Callable[[argparse.Namespace], int],
    help_text: str,
    json: bool = True,
    state: bool = True,
) -> argparse.ArgumentParser:
    description = help_text[0].upper() + help_text[1:] + "."
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=description)
    parser.set_defaults(command=function)
    if json:
        parser.add_argument("-j", "--json", action="store_true", help="print JSON")
    if state:
        help_text = "where the state file and the control socket are (default: %(default)s)"
        parser.add_argument("--state-dir", type=Path, default=default_directory(), metavar="DIR", help=help_text)
    return parser


def _policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", choices=POLICIES, default="prefer-vepa", help="default: %(default)s")


def _run(arguments: argparse.Namespace) -> int:
    from evbagent.main import run

    return run(
        config=arguments.config,
        state_dir=arguments.state_dir,
        interfaces=tuple(arguments.interface) if arguments.interface else None,
        role=arguments.role,
        verbose=arguments.verbose,
    )


def _lab(arguments: argparse.Namespace) -> int:
    from evbagent.lab.main import run_lab

    return run_lab(arguments.switch, arguments.edition, arguments.json, arguments.report, arguments.capture)


def _mode(arguments: argparse.Namespace) -> int:
    from evbagent.attach import PolicyUnmet, choose_mode

    try:
        choice = choose_mode(arguments.interface, arguments.policy, state_dir=arguments.state_dir, wait=arguments.wait)
    except PolicyUnmet as error:
        return _complain(str(error), UNMET)
    if arguments.json:
        _print_json(
            {
                "interface": arguments.interface,
                "policy": arguments.policy,
                "mode": choice.mode,
                "reflective-relay": choice.reflective_relay,
                "reason": choice.reason,
            }
        )
    else:
        print(choice.mode)
    return DONE


def _attach(arguments: argparse.Namespace) -> int:
    from evbagent.attach import AttachError, PolicyUnmet, create

    try:
        made = create(
            arguments.interface,
            arguments.name,
            kind=arguments.kind,
            policy=arguments.policy,
            mac=arguments.mac,
            state_dir=arguments.state_dir,
        )
    except PolicyUnmet as error:
        return _complain(str(error), UNMET)
    except AttachError as error:
        return _complain(str(error))
    if arguments.json:
        _print_json(
            {
                "name": made.name,
                "ifindex": made.ifindex,
                "uplink": made.uplink,
                "kind": made.kind,
                "mode": made.mode,
                "policy": made.policy,
                "mac-address": made.mac_address,
                "character-device": made.character_device,
            }
        )
    else:
        device = f", character device {made.character_device}" if made.character_device else ""
        print(f"{made.name}: {made.kind} on {made.uplink}, mode {made.mode} ({made.policy}){device}")
    return DONE


def _detach(arguments: argparse.Namespace) -> int:
    from evbagent.attach import AttachError, remove

    try:
        remove(arguments.name)
    except AttachError as error:
        return _complain(str(error))
    return DONE


def _show(arguments: argparse.Namespace) -> int:
    from evbagent.client import Client, ClientError
    from evbagent.show import render

    try:
        with Client(arguments.state_dir) as client:
            data = client.request("show", what=arguments.what, interface=arguments.interface)
    except ClientError as error:
        return _complain(str(error))
    if arguments.json:
        _print_json(data)
    else:
        print(render(arguments.what, data, details=arguments.details), end="")
    return DONE


def _watch(arguments: argparse.Namespace) -> int:
    from json import dumps

    from evbagent.client import Client, ClientError
    from evbagent.show import event_line

    try:
        with Client(arguments.state_dir) as client:
            for event in client.events(arguments.interface):
                print(dumps(event) if arguments.json else event_line(event), flush=True)
    except ClientError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        pass
    return DONE


def _wait(arguments: argparse.Namespace) -> int:
    from time import monotonic, sleep

    from evbagent.client import AgentNotRunning, Client, ClientError, WaitTimeout

    limit = arguments.timeout
    deadline = None if limit is None else monotonic() + limit
    while True:
        left = None if deadline is None else max(0.0, deadline - monotonic())
        try:
            with Client(arguments.state_dir) as client:
                client.wait(arguments.interface, arguments.condition, left)
            return DONE
        except WaitTimeout:
            return _complain(f"{arguments.interface}: no {arguments.condition} within {limit:g} s", UNMET)
        except AgentNotRunning as error:
            # An agent that starts, or starts again, within the time that was given is waited for as well.
            if left is None:
                return _complain(str(error))
            if left == 0:
                return _complain(f"{arguments.interface}: no {arguments.condition} within {limit:g} s: {error}", UNMET)
            sleep(min(RETRY_SECONDS, left))
        except ClientError as error:
            return _complain(str(error))


def _config_check(arguments: argparse.Namespace) -> int:
    from evbagent.config import DEFAULT_FILE, ConfigError, load

    try:
        load(arguments.file)
    except ConfigError as error:
        return _complain(str(error))
    where = arguments.file or DEFAULT_FILE.parent
    if arguments.json:
        _print_json({"ok": True, "file": str(where)})
    else:
        print(f"{where}: correct")
    return DONE


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def _print_json(data: Any) -> None:
    from json import dumps

    print(dumps(data, indent=2))


def _complain(text: str, status: int = FAILED) -> int:
    print(f"evbagent: {text}", file=sys.stderr)
    return status
