"""The command line. Each command imports what it needs, so that `evbagent mode` costs no more than it must."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evbagent.parsers import command, group
from evbagent.policy import POLICIES
from evbagent.terminal import DONE, FAILED, NO_ROOM, UNMET, complain, discard_output, prepare_output, print_json
from evbagent.version import VERSION

RETRY_SECONDS = 0.02
VSI_REQUESTS = (
    ("associate", "let its frames pass"),
    ("preassociate", "find out whether an association would be granted"),
    ("preassociate-rr", "find out, and have resources reserved for the association"),
    ("deassociate", "end its association"),
)
DCBX_COMMANDS = (
    ("show", "local, remote and in operation beside each other, and why it is so"),
    ("diff", "what of it the NIC does not have"),
    ("apply", "write that to the NIC now"),
    ("restore", "give the NIC back the settings that it had before evbagent changed any"),
)
SHOWN = ("neighbors", "interfaces", "evb", "vsis", "dcbx", "statistics", "config")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong usage, and see `terminal` for others."""
    prepare_output()
    arguments = _parser().parse_args(argv)
    try:
        status = int(arguments.command(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough: no traceback, and none from flushing at exit either.
        discard_output()
        return FAILED
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        discard_output()
        return complain(f"the output cannot be written: {error.strerror}")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evbagent",
        description="Edge virtual bridging agent: finds out whether the adjacent switch reflects, and says so.",
    )
    parser.add_argument("--version", action="version", version=f"evbagent {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = command(commands, "run", _run, "run the agent in the foreground", json=False)
    run.add_argument("--config", type=Path, metavar="FILE", help="read this file alone, not /etc/evbagent")
    run.add_argument("--interface", action="append", metavar="GLOB", help="serve these links (default: physical ones)")
    run.add_argument("--role", choices=("station", "bridge"), help="play the station (host) or the bridge (switch)")
    run.add_argument("--observe", action="store_true", help="only listen: send nothing, change nothing")
    run.add_argument("--record", type=Path, metavar="DIR", help="take down all input there, for `evbagent replay`")
    run.add_argument("-v", "--verbose", action="store_true", help="log more")

    lab = command(commands, "lab", _lab, "try all of it in private network namespaces on this machine", state=False)
    lab.add_argument("--switch", choices=("builtin", "lldpad"), default="builtin", help="who plays the switch")
    lab.add_argument("--edition", choices=("ratified", "draft"), default="ratified")
    lab.add_argument("--report", type=Path, metavar="FILE.html", help="write a report too")
    lab.add_argument("--capture", type=Path, metavar="DIR", help="keep the uplink's frames as a pcap here")

    mode = command(commands, "mode", _mode, "print vepa, veb or private for guests on an uplink")
    mode.add_argument("interface", metavar="IF")
    _policy(mode)
    mode.add_argument("--wait", type=_seconds, default=0.0, metavar="SECONDS", help="give the switch time to answer")

    attach = command(commands, "attach", _attach, "make a guest's device on an uplink in the right mode")
    attach.add_argument("interface", metavar="IF")
    attach.add_argument("--name", required=True, metavar="GUESTIF")
    attach.add_argument("--kind", choices=("macvtap", "macvlan"), default="macvtap")
    _policy(attach)
    attach.add_argument("--mac", metavar="MAC", help="the device's address (default: the kernel makes one)")
    attach.add_argument(
        "--vsi",
        metavar="KEY=VALUE,...",
        help="associate the guest's VSI first: manager=ID,type=N,type-version=N and perhaps instance=ID (default: "
        "a random UUID), vid=N (default 0: the switch chooses), pcp=N, group=N, hint=suspend|migrate, vm-name=TEXT, "
        "vm-uuid=UUID, vm-address=IPV4",
    )
    attach.add_argument("--vsi-wait", type=_seconds, default=30.0, metavar="S", help="give the switch so many seconds")

    detach = command(commands, "detach", _detach, "remove a guest's device made by attach", json=False)
    detach.add_argument("name", metavar="GUESTIF")

    vsi = group(commands, "vsi", "ask the switch about a virtual station interface; 3 refused, 4 not answered")
    for name, help_text in VSI_REQUESTS:
        _vsi_request(command(vsi, name, _vsi, help_text), name)

    switch = group(commands, "switch", "what the bridge role does when told to")
    deassociate = command(switch, "deassociate", _switch_deassociate, "end associations of stations' VSIs")
    deassociate.add_argument("interface", nargs="?", metavar="IFGLOB")
    which = deassociate.add_mutually_exclusive_group(required=True)
    which.add_argument("--instance", metavar="ID", help="this VSI")
    which.add_argument("--all", action="store_true", help="every VSI")

    dcbx = group(commands, "dcbx", "data center bridging: what both ends want, what is agreed, what the NIC has")
    for name, help_text in DCBX_COMMANDS:
        one = command(dcbx, name, _dcbx, help_text)
        one.set_defaults(action=name)
        looks = name in ("show", "diff")
        one.add_argument("interface", nargs="?" if looks else None, metavar="IFGLOB" if looks else "IF")

    show = command(commands, "show", _show, "ask the running agent")
    show.add_argument("what", choices=SHOWN)
    show.add_argument("interface", nargs="?", metavar="IFGLOB")
    show.add_argument("--details", action="store_true", help="everything that is known, not one line each")

    watch = command(commands, "watch", _watch, "follow events until interrupted")
    watch.add_argument("interface", nargs="?", metavar="IFGLOB")

    wait = command(commands, "wait", _wait, "return when something holds; 3 on timeout", json=False)
    wait.add_argument("interface", metavar="IF")
    wait.add_argument("--for", dest="condition", required=True, metavar="neighbor|reflective-relay|vsi=ID")
    wait.add_argument("--timeout", type=_seconds, default=None, metavar="S")

    decode = command(commands, "decode", _decode, "print the LLDP, ECP and VDP frames of a capture", state=False)
    decode.add_argument("file", metavar="FILE", help="pcap or pcapng, gzipped or not; - is standard input")

    replay = command(commands, "replay", _replay, "run a capture or a recording through the machines", state=False)
    replay.add_argument("file", metavar="FILE", help="pcap, pcapng, or a file of `evbagent run --record`")
    replay.add_argument("--role", choices=("station", "bridge"), default="station", help="the end of a capture to play")

    command(commands, "reload", _service("reload"), "have the running agent read its configuration again", json=False)

    install = command(
        commands, "install", _service("install"), "make a service of it: units, user, directories", state=False
    )
    install.add_argument("--program", type=Path, metavar="PATH", help="what the units start (default: this program)")
    install.add_argument("--drop-in", action="append", default=[], metavar="NAME", help="also permit: see README")
    install.add_argument("--print", dest="print_only", action="store_true", help="print the files, write nothing")
    uninstall = command(commands, "uninstall", _service("uninstall"), "stop the service, remove it", False, False)
    for staged in (install, uninstall):
        root = os.environ.get("DESTDIR")
        staged.add_argument("--root", type=Path, default=root and Path(root), metavar="DIR", help="default: $DESTDIR")
        staged.add_argument("--prefix", type=Path, default=Path("/usr/local"), metavar="DIR", help="%(default)s")
    _libvirt_commands(group(commands, "libvirt", "the decision in libvirt's terms"))

    config = group(commands, "config", "work on the configuration")
    check = command(config, "check", _config_check, "validate", state=False)
    check.add_argument("file", nargs="?", type=Path, metavar="FILE")
    return parser


def _vsi_request(parser: argparse.ArgumentParser, name: str) -> None:
    ends = name == "deassociate"  # and the agent knows the rest
    parser.set_defaults(request=name)
    parser.add_argument("interface", metavar="IF")
    parser.add_argument("--instance", required=True, metavar="ID", help="UUID, IPv4, IPv6 or MAC address, or local:HEX")
    parser.add_argument("--manager", required=not ends, metavar="ID", help="VSI manager: an address, UUID, hex or text")
    parser.add_argument("--type", required=not ends, type=int, metavar="N", help="VSI type, up to 16777215")
    parser.add_argument("--type-version", required=not ends, type=int, metavar="N", help="up to 255")
    parser.add_argument(
        "--filter",
        required=not ends,
        action="append",
        metavar="VID[/PCP][-MAC[-GROUP]]",
        help="what is the VSI's on the wire; VID 0: the switch chooses. May be repeated",
    )
    parser.add_argument("--hint", choices=("none", "suspend", "migrate"), help="what the VM is about to do")
    if not ends:
        parser.add_argument("--vm-name", metavar="TEXT", help="told to switches of Cisco, as the next two")
        parser.add_argument("--vm-uuid", metavar="UUID")
        parser.add_argument("--vm-address", metavar="IPV4")
        parser.add_argument("--persistent", action="store_true", help="keep asking until deassociated")
    parser.add_argument("--wait", type=_seconds, default=30.0, metavar="S", help="for an answer (default: %(default)g)")


def _libvirt_commands(commands: Any) -> None:
    def add(name: str, help_text: str, **options: bool) -> argparse.ArgumentParser:
        parser = command(commands, name, _libvirt, help_text, **options)
        parser.set_defaults(libvirt=name)
        return parser

    domain = add("domain", "decide each mode='auto' of a domain's, interface's or network's XML, and print it")
    domain.add_argument("file", nargs="?", default="-", metavar="FILE", help="- is standard input, the default")
    _policy(domain)
    domain.add_argument("--wait", type=_seconds, default=0.0, metavar="SECONDS", help="give the switch time to answer")

    hook = add("hook", "judge the guest on standard input, as libvirt's hook; 3 says no", json=False)
    for name in ("guest", "operation", "suboperation", "extra"):
        hook.add_argument(name)
    install = add("install-hook", "have libvirt refuse a guest in VEPA whose switch does not reflect")
    for parser in (hook, install):
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--warn", action="store_true", help="refuse nothing, only log it")
        how.add_argument("--strict", action="store_true", help="refuse also where nobody knows whether it reflects")
        parser.add_argument("--adapt", action="store_true", help="change guests that are migrated in or restored")
    install.add_argument("--program", metavar="PATH", help="the evbagent that the hook runs (default: this one)")
    install.add_argument("--no-reload", dest="reload", action="store_false", help="leave libvirt's daemons alone")
    for parser in (install, add("uninstall-hook", "take libvirt's hook away", state=False)):
        parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="where etc is (default: /)")


def _policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", choices=POLICIES, default="prefer-vepa", help="default: %(default)s")


def _run(arguments: argparse.Namespace) -> int:
    import gc

    gc.disable()  # nothing that the imports make is garbage; evbagent.main turns it on again
    from evbagent.main import run

    return run(
        config=arguments.config,
        state_dir=arguments.state_dir,
        interfaces=tuple(arguments.interface) if arguments.interface else None,
        role=arguments.role,
        record=arguments.record,
        observe=arguments.observe,
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
        return complain(str(error), UNMET)
    if arguments.json:
        print_json(
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
    from evbagent.commands_attach import attach

    return attach(arguments)


def _detach(arguments: argparse.Namespace) -> int:
    from evbagent.commands_attach import detach

    return detach(arguments)


def _vsi(arguments: argparse.Namespace) -> int:
    from evbagent.commands_vsi import request

    return request(arguments)


def _switch_deassociate(arguments: argparse.Namespace) -> int:
    from evbagent.commands_vsi import switch_deassociate

    return switch_deassociate(arguments)


def _dcbx(arguments: argparse.Namespace) -> int:
    from evbagent.commands_dcbx import run

    return run(arguments)


def _show(arguments: argparse.Namespace) -> int:
    from evbagent.client import Client, ClientError
    from evbagent.show import render

    try:
        with Client(arguments.state_dir) as client:
            data = client.request("show", what=arguments.what, interface=arguments.interface)
    except ClientError as error:
        return complain(str(error))
    if arguments.json:
        print_json(data)
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
        return complain(str(error))
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
            return complain(f"{arguments.interface}: no {arguments.condition} within {limit:g} s", UNMET)
        except AgentNotRunning as error:
            # An agent that starts, or starts again, within the time that was given is waited for as well.
            if left is None:
                return complain(str(error))
            if left == 0:
                return complain(f"{arguments.interface}: no {arguments.condition} within {limit:g} s: {error}", UNMET)
            sleep(min(RETRY_SECONDS, left))
        except ClientError as error:
            return complain(str(error))


def _decode(arguments: argparse.Namespace) -> int:
    from evbagent.commands_decode import decode

    return decode(arguments)


def _replay(arguments: argparse.Namespace) -> int:
    from evbagent.commands_replay import replay

    return replay(arguments)


def _service(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from evbagent import commands_service

        function: Callable[[argparse.Namespace], int] = getattr(commands_service, name)
        return function(arguments)

    return run


def _libvirt(arguments: argparse.Namespace) -> int:
    from evbagent.commands_libvirt import run

    return run(arguments)


def _config_check(arguments: argparse.Namespace) -> int:
    from evbagent.config import DEFAULT_FILE, ConfigError, load
    from evbagent.vsiconfig import load_vsis, vsi_directory

    try:
        load(arguments.file)
    except ConfigError as error:
        return complain(str(error))
    _, errors = load_vsis(vsi_directory(arguments.file))
    for fault in errors:
        complain(fault)
    if errors:
        return FAILED
    where = arguments.file or DEFAULT_FILE.parent
    if arguments.json:
        print_json({"ok": True, "file": str(where)})
    else:
        print(f"{where}: correct")
    return DONE


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value
