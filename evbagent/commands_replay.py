"""`evbagent replay`: the timeline of a capture or recording, and the state it ends in."""

import argparse
import sys
from dataclasses import asdict
from io import BufferedReader, FileIO

from evbagent.capture import Capture, CaptureError
from evbagent.decode import ETHERNET, selection
from evbagent.replay import Replayed, ReplayError, is_recording, replay_capture, replay_recording
from evbagent.show import escape, event_line
from evbagent.show_dcbx import render_dcbx
from evbagent.terminal import DONE, complain, print_json
from protocols.evb.status import Role


def replay(arguments: argparse.Namespace) -> int:
    """Print what the machines say of it."""
    name = "standard input" if arguments.file == "-" else arguments.file
    try:
        raw = FileIO(0, closefd=False) if arguments.file == "-" else FileIO(arguments.file)
        with BufferedReader(raw) as file:
            if is_recording(file.peek(64)):
                replayed = replay_recording(file)
            else:
                capture = Capture(file, selection())
                replayed = replay_capture(capture, Role(arguments.role))
                for linktype in sorted(capture.linktypes - {ETHERNET}):
                    left_out = f"frames of link type {linktype} are left out: what was captured on Ethernet is replayed"
                    print(f"evbagent: {name}: {left_out}", file=sys.stderr)
    except OSError as error:
        return complain(f"{name}: {error.strerror}")
    except (CaptureError, ReplayError) as error:
        return complain(f"{name}: {error}")
    if arguments.json:
        print_json({key.replace("_", "-"): value for key, value in asdict(replayed).items()})
    else:
        _print(replayed)
    return DONE


def _print(replayed: Replayed) -> None:
    for event in replayed.timeline:
        line = event_line({**event, "time": f"{event['time']:12.6f}", "interface": replayed.role})
        print(line)
    forwarding = replayed.state["forwarding"]
    print(
        f"{replayed.role} {replayed.mac_address}: {replayed.frames} frames in, {replayed.sent} out; in the end "
        f"reflective relay {escape(forwarding['reflective-relay'])}, mode {forwarding['mode']}: "
        f"{escape(forwarding['reason'])}"
    )
    dcbx = replayed.state["dcbx"]
    if dcbx and dcbx["remote"]:
        print("".join(f"  {line}\n" for line in render_dcbx([{"interface": "DCBX", **dcbx}]).splitlines()[1:]), end="")
    for vsi in replayed.state["vsis"]:
        print(f"  VSI {escape(vsi['vsi-id'])} {vsi['state']}")
    for scope in replayed.state["lldp"]:
        for neighbor in scope["neighbors"]:
            who = escape(neighbor["system-name"] or neighbor["chassis-id"])
            print(f"  neighbor {who} port {escape(neighbor['port-id'])} in {scope['scope']}")
