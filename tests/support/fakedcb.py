"""A NIC with DCB that is none: `fakedcb.c`, built when first needed and preloaded into the programs of a test."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from tests.support.agent import ROOT, environment
from tests.support.namespaces import Namespace
from tests.support.require import require_peer

SOURCE = Path(__file__).with_suffix(".c")
IEEE_GET, IEEE_SET, IEEE_DEL, GDCBX, SDCBX, SAPP = 21, 20, 27, 22, 23, 19
RTM_SETDCB = 79


@dataclass(frozen=True, slots=True)
class Recorded:
    """A line of the log: a program's request (`REQ`), or what it was answered (`ANS`)."""

    pid: int
    program: str
    kind: str
    interface: str
    command: int
    message: bytes

    @property
    def writes(self) -> bool:
        return int.from_bytes(self.message[4:6], "little") == RTM_SETDCB


class FakeDcb:
    """NICs of all namespaces of a test, by interface name: `add()` makes one, `environment` gives it to a program.

    What is set on a NIC stays when the program that set it ends; `dcb()` is iproute2's own view of it.
    """

    def __init__(self, directory: Path) -> None:
        require_peer("gcc")
        self.directory = directory / "dcb"
        self.directory.mkdir()
        self._library = self.directory / "fakedcb.so"
        command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "FAKEDCB": str(self.directory)}

    def add(self, interface: str, *words: str) -> None:
        """Give the interface a NIC with DCB, or change how it behaves; see the words in `fakedcb.c`."""
        (self.directory / f"{interface}.nic").write_text("\n".join(words) + "\n")

    def remove(self, interface: str) -> None:
        """From now on it is what it is: an interface without DCB."""
        (self.directory / f"{interface}.nic").unlink()

    def dcb(self, namespace: Namespace, *words: str, check: bool = True) -> str:
        """What iproute2's dcb printed: `dcb(ns, "ets", "show", "dev", "eth0")`."""
        require_peer("dcb")
        return namespace.run(["dcb", *words], env=self.environment, check=check).stdout

    def shown(self, namespace: Namespace, interface: str) -> str:
        """All that iproute2 shows of the NIC's settings."""
        objects: Sequence[str] = ("ets", "pfc", "app", "dcbx")
        return "".join(self.dcb(namespace, "-N", which, "show", "dev", interface) for which in objects)

    def python(self, namespace: Namespace, code: str) -> Any:
        """What lines of Python leave in `result`, run by an interpreter that has the NICs.

        With `dcb`, a DcbSocket, and the names of evbagent's modules for DCB; [errno, words] when it ends by an error.
        """
        names = "dcbnl dcbsocket dcbstore dcbnic dcbplan dcbxconfig".split()
        imports = "".join(f"from evbagent.{name} import *\n" for name in names)
        body = indent(dedent(code).strip(), " " * 8)
        imports += "from protocols.dcbx.model import *\nfrom protocols.dcbx.settings import *\n"
        script = (
            f"import json\nfrom pathlib import Path\n{imports}result = None\n"
            f"with DcbSocket() as dcb:\n    try:\n{body}\n"
            "    except NetlinkError as error:\n        result = [error.errno, str(error)]\nprint(json.dumps(result))\n"
        )
        done = namespace.run([sys.executable, "-c", script], env=environment() | self.environment, cwd=ROOT)
        return json.loads(done.stdout)

    def log(self, program: str | None = None, interface: str | None = None) -> list[Recorded]:
        """All requests and answers so far, or those of one program (a part of its name) or interface."""
        path = self.directory / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        found = []
        for line in lines:
            pid, name, kind, about, command, message = line.split()
            if (program is None or program in name) and (interface is None or about == interface):
                found.append(Recorded(int(pid), name, kind, about, int(command), bytes.fromhex(message)))
        return found

    def writes(self, program: str | None = None, interface: str | None = None) -> list[Recorded]:
        """Requests to set something."""
        return [entry for entry in self.log(program, interface) if entry.kind == "REQ" and entry.writes]
