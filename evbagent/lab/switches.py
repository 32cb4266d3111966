"""Who plays the switch: our own agent in the bridge role, or Debian's lldpad."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from evbagent.lab.namespaces import LabError, Namespace, wait_for

PORT = "port1"


class Switch(Protocol):
    """The switch's agent on `PORT`, in a namespace of its own. `reflects_by_itself`: it sets the hairpin flag."""

    reflects_by_itself: bool
    bridge_settings: Mapping[str, int]

    def start(self) -> None: ...
    def offer(self, relay: bool) -> None: ...
    def expire_soon(self) -> None: ...
    def kill(self) -> None: ...


class BuiltinSwitch:
    """`evbagent run --role bridge`, with an LLDPDU a second and a TTL of 3 s."""

    reflects_by_itself = True
    bridge_settings: Mapping[str, int] = MappingProxyType({})

    def __init__(self, namespace: Namespace, directory: Path, edition: str) -> None:
        self._namespace = namespace
        self._directory = directory
        self._edition = edition
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._configure(relay=True)
        state = self._directory / "switch"
        command = [sys.executable, "-m", "evbagent", "run", "--role", "bridge", "--interface", PORT]
        command += ["--config", str(self._config), "--state-dir", str(state)]
        with (self._directory / "switch.log").open("ab") as log:
            self._process = self._namespace.popen(command, log)
        wait_for((state / "control.sock").exists, "the switch's agent starts")

    def offer(self, relay: bool) -> None:
        self._configure(relay)
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def expire_soon(self) -> None:
        """Its TTL is short as it is."""

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def _config(self) -> Path:
        return self._directory / "switch.toml"

    def _configure(self, relay: bool) -> None:
        self._config.write_text(agent_config(self._edition, "request" if relay else "off", "switch"))


class LldpadSwitch:
    """lldpad as EVB bridge, with mounts of its own.

    It never sets the hairpin flag: the lab does, as operators must. And it hears the nearest customer bridge address on
    a bridge's port only when the bridge runs STP: without, the bridge takes those frames and forwards them.
    """

    reflects_by_itself = False
    bridge_settings: Mapping[str, int] = MappingProxyType({"br_stp_state": 1, "br_forward_delay": 200})

    def __init__(self, namespace: Namespace, directory: Path, edition: str) -> None:
        for program in ("lldpad", "lldptool"):
            if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
                raise LabError(f"{program} is not installed (Debian: apt-get install lldpad)")
        self._namespace = namespace
        self._directory = directory
        self._edition = edition
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self._directory / "lldpad.conf"
        config.write_text(lldpad_config(self._edition))
        mounts = "mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /var/lib/lldpad; "
        # The file is read before /run is covered: the lab's own files are there.
        script = f'exec 3<"$0"; {mounts}cat <&3 >/run/lldpad.conf; exec lldpad -t -f /run/lldpad.conf'
        command = ["unshare", "--mount", "--ipc", "--", "sh", "-ec", script, str(config)]
        with (self._directory / "switch.log").open("ab") as log:
            self._process = self._namespace.popen(command, log)
        wait_for(lambda: self._namespace.run(["lldptool", "-p"]).returncode == 0, "lldpad answers", pause=0.05)

    def offer(self, relay: bool) -> None:
        if self._edition == "ratified":
            self._change("evb", f"evbrrcap={'yes' if relay else 'no'}")
        else:
            self._change("evbcfg", f"fmode={'reflectiverelay' if relay else 'bridge'}")

    def expire_soon(self) -> None:
        """3 s, as the builtin switch has it. lldpad's own TTL is 120 s, and its intervals cannot be set."""
        self._change("TTL", "value=3")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _change(self, tlv: str, setting: str) -> None:
        done = self._tool("-T", "-V", tlv, setting)
        if done.returncode != 0:
            raise LabError(f"lldptool {tlv} {setting}: {(done.stdout + done.stderr).strip()}")

    def _tool(self, action: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return self._namespace.run(["lldptool", action, "-i", PORT, "-g", "ncb", *words])


def agent_config(edition: str, relay: str, name: str) -> str:
    """The configuration of an agent of ours in the lab."""
    return (
        f'lldp = {{ message-tx-interval = 1, message-tx-hold-multiplier = 2, system-name = "{name}" }}\n'
        f"evb = {{ edition = {json.dumps(edition)}, reflective-relay = {json.dumps(relay)} }}\n"
    )


def lldpad_config(edition: str) -> str:
    """lldpad's configuration file: an EVB bridge that offers reflective relay."""
    if edition == "ratified":
        tlv = (
            'tlvid0080c20d : { enableTx = true; evbmode = "bridge"; evbrrcap = true; evbrrreq = false; evbgpid = false;'
            " ecpretries = 3; ecprte = 14; vdprwd = 20; vdprka = 20; };"
        )
    else:
        tlv = (
            'tlvid001b3f00 : { enableTx = true; fmode = "reflectiverelay"; capabilities = "rte ecp vdp"; rte = 15;'
            ' vsis = 3295; }; vdp : { enableTx = true; role = "bridge"; };'
        )
    return (
        'configuration = "1.0"; agents = "1.0"; dcbx : { version = "1.0"; dcbx_version = 2; };\n'
        f"nearest_customer_bridge : {{ {PORT} : {{ adminStatus = 3; {tlv} }}; }};\n"
    )
