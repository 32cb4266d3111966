"""VSIs of a real station and a real bridge: asked for as users do, looked at from both ends and on the wire."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from evbagent.client import Client
from evbagent.statefile import read_state
from tests.support.agent import ROOT, Agent, environment
from tests.support.namespaces import Namespace, PacketTap, link_pair, wait_until
from tests.support.vdpdus import DEASSOCIATE, KINDS, VsiOctets, ecp_octets

Document = dict[str, Any]
Answer = dict[str, Any]

PROFILE = ("--manager", "192.0.2.1", "--type", "7", "--type-version", "1")
DRAFT_PROFILE = ("--manager", "0c", "--type", "7", "--type-version", "1")
KIND_WORDS = ("preassociate", "preassociate-rr", "associate", "deassociate")


@contextmanager
def linked_agents(
    directory: Path, links: Sequence[str], *, station: str = "", bridge: str = "", agreed: Sequence[str] | None = None
) -> Iterator[tuple[Agent, Agent]]:
    """A station's agent and a switch's, joined by links from `s-NAME` to `p-NAME`, once these (or some) have agreed.

    Each has a directory of its own, for configuration and `vsi.d`.
    """
    places = [directory / "host", directory / "switch"]
    for place in places:
        place.mkdir(exist_ok=True)
    with Namespace("host") as host, Namespace("switch") as switch:
        for number, name in enumerate(links):
            left, right = f"02:00:00:00:0a:{number:02x}", f"02:00:00:00:0b:{number:02x}"
            link_pair(host, f"s-{name}", switch, f"p-{name}", left_mac=left, right_mac=right)
            switch.bridge(f"br{number}", [f"p-{name}"])
        here = Agent(host, places[0], ["s-*"], config=station)
        there = Agent(switch, places[1], ["p-*"], role="bridge", config=bridge)
        with ExitStack() as stack:
            for agent in (there, here):
                agent.launch()
                stack.callback(_killed, agent)
            wait_until(lambda: here.read().document and there.read().document, "both agents have written a state file")
            for name in links if agreed is None else agreed:
                here.wait_for_relay(f"s-{name}", "active")
            yield here, there


def _killed(agent: Agent) -> None:
    """Nobody is there any more whom it should say goodbye to."""
    if agent.process is not None:
        agent.kill()


def instance(number: int) -> str:
    return f"a1412857-60f7-4ce1-e95a-216494{number:06x}"


def address(number: int) -> str:
    return f"52:54:00:00:{number >> 8:02x}:{number & 0xFF:02x}"


def spec(number: int, request: str = "associate", vid: int = 100, **more: Any) -> Document:
    """A request as clients of the control socket make it."""
    made: Document = {"id": number, "request": request, "instance": instance(number)}
    if request != "deassociate":
        made |= {"manager": "192.0.2.1", "type": 7, "type-version": 1, "filter": [f"{vid}-{address(number)}"]}
    return made | more


def vsi(
    agent: Agent,
    request: str,
    interface: str,
    number: int,
    *words: str,
    filters: Sequence[str] | None = None,
    profile: Sequence[str] = PROFILE,
) -> "subprocess.CompletedProcess[str]":
    """`evbagent vsi REQUEST` for the VSI of this number, to its end."""
    asked: list[str] = ["vsi", request, interface, "--instance", instance(number), *words]
    if request != "deassociate":
        asked += profile
        for text in [f"100-{address(number)}"] if filters is None else filters:
            asked += ["--filter", text]
    return agent.evbagent(*asked, check=False)


def start_evbagent(agent: Agent, *words: str) -> "subprocess.Popen[str]":
    """Another command of evbagent beside the agent, which is not waited for."""
    return agent.namespace.popen(
        [sys.executable, "-m", "evbagent", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment() | {"EVBAGENT_STATE_DIR": str(agent.state_dir)},
        cwd=ROOT,
    )


def ended(process: "subprocess.Popen[str]", timeout: float = 10.0) -> tuple[int, str, str]:
    """Exit status and words of a command that ends by itself."""
    printed, errors = process.communicate(timeout=timeout)
    return process.returncode, printed, errors


def ask(agent: Agent, interface: str, specs: Iterable[Mapping[str, Any]], timeout: float = 10.0) -> list[Answer]:
    """By one session of the control socket; the answers in the order in which they came."""
    with agent.namespace.entered(), Client(agent.state_dir) as client, client.vsi(interface) as session:
        session.request(specs)
        return list(session.answers(timeout))


def vsis(agent: Agent, interface: str) -> dict[str, Document]:
    """The VSIs of the state file, by instance."""
    return {str(document["vsi-id"]): document for document in agent.uplink(interface)["vsis"]}


def states(agent: Agent, interface: str) -> dict[str, str]:
    return {vsi_id: str(document["state"]) for vsi_id, document in vsis(agent, interface).items()}


def wait_for_states(agent: Agent, interface: str, wanted: Mapping[str, str], timeout: float = 10.0) -> None:
    """Until the interface has these VSIs in these states, and no others. The file that says so is a valid one."""

    def look() -> bool:
        # A file of hundreds of VSIs takes longer to be held against the schema than all that is waited for.
        return _states(agent.state_dir, interface) == wanted

    try:
        wait_until(look, f"{len(wanted)} VSIs of {interface} are as wanted", timeout)
    except AssertionError as error:
        found = states(agent, interface)
        wrong = {key: found.get(key) for key in {*found, *wanted} if found.get(key) != wanted.get(key)}
        raise AssertionError(f"{error}; these are not: {wrong}\n{agent.log.read_text()[-3000:]}") from None
    agent.state()


def _states(state_dir: Path, interface: str) -> dict[str, str] | None:
    document = read_state(state_dir).document
    uplinks = [uplink for uplink in document["uplinks"] if uplink["name"] == interface] if document else []
    return {vsi["vsi-id"]: vsi["state"] for vsi in uplinks[0]["vsis"]} if uplinks else None


def wait_for_vsi(
    agent: Agent, interface: str, number: int, holds: Callable[[Document], bool], timeout: float = 10.0
) -> Document:
    """The VSI's document as soon as it is as wanted."""

    def look() -> Document | None:
        document = vsis(agent, interface).get(instance(number))
        return document if document is not None and holds(document) else None

    try:
        found = wait_until(look, f"VSI {number} of {interface} is as wanted", timeout)
    except AssertionError as error:
        document = vsis(agent, interface).get(instance(number))
        raise AssertionError(f"{error}; it is {document}\n{agent.log.read_text()[-3000:]}") from None
    assert found is not None
    return found


def clear(station: Agent, interface: str) -> None:
    """Deassociate whatever there is."""
    with station.namespace.entered(), Client(station.state_dir) as client:
        rows = client.request("show", what="vsis", interface=interface)
        with client.vsi(interface) as session:
            session.request({"request": "deassociate", "instance": row["vsi-id"]} for row in rows)
            list(session.answers(10))
    wait_for_states(station, interface, {})


def associated(numbers: Iterable[int]) -> dict[str, str]:
    return {instance(number): "associated" for number in numbers}


def filter_texts(document: Document) -> list[str]:
    """The filters as the command line has them."""
    texts = []
    for entry in document["filters"]:
        mac, group = entry.get("mac-address", ""), entry.get("group-id")
        text = str(entry["vid"]) + (f"/{entry['pcp']}" if "pcp" in entry else "")
        if mac or group:
            text += f"-{mac}"
        texts.append(text + (f"-{group}" if group else ""))
    return texts


class Overheard:
    """VDP's conversation on a station's uplink."""

    def __init__(self, tap: PacketTap, station: bytes) -> None:
        self._tap = tap
        self._station = station  # its address: what a bridge without STP reflects comes in, and is the station's
        self._known: dict[tuple[bytes, int, bytes], int] = {}  # what was heard, and when for the last time

    def said(self) -> tuple[list[VsiOctets], list[VsiOctets]]:
        """What the station and what the bridge has said since the last time, each ECPDU once.

        Also when it was repeated, but for what comes a second later: that is of somebody who was started anew.
        """
        station: list[VsiOctets] = []
        bridge: list[VsiOctets] = []
        for frame in self._tap.drain():
            ecpdu = ecp_octets(frame.data)
            if ecpdu is not None and not ecpdu.acknowledgment:
                key = frame.source, ecpdu.sequence, ecpdu.payload
                if frame.timestamp_ns - self._known.get(key, 0) > 1_000_000_000:
                    (station if frame.source == self._station else bridge).extend(ecpdu.vsis)
                self._known[key] = frame.timestamp_ns
        return station, bridge


def deassociated(said: Iterable[VsiOctets]) -> list[str]:
    """The instances that are told to end."""
    return [told.uuid for told in said if told.kind == DEASSOCIATE]


def kinds(said: Iterable[VsiOctets]) -> list[str]:
    """The requests in words."""
    return [KIND_WORDS[KINDS.index(told.kind)] for told in said]


@contextmanager
def overheard(namespace: Namespace, interface: str) -> Iterator[Overheard]:
    with PacketTap(namespace, interface) as tap:
        yield Overheard(tap, namespace.mac_address(interface))


class Events:
    """`evbagent watch -j`; a context manager."""

    def __init__(self, agent: Agent, file: Path) -> None:
        self._file = file
        with file.open("w") as output:
            self._process = agent.namespace.popen(
                [sys.executable, "-m", "evbagent", "watch", "-j", "--state-dir", str(agent.state_dir)],
                stdout=output,
                env=environment(),
                cwd=ROOT,
            )

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait(5)

    def seen(self, name: str = "vsi") -> list[Document]:
        """Those of this name so far."""
        whole, _, _ = self._file.read_text().rpartition("\n")
        events = [json.loads(line) for line in whole.splitlines()]
        return [event for event in events if event["event"] == name]
