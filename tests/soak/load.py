"""What goes on while agents are killed: VSIs come and go, a third party speaks, readers read."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from threading import Event, Thread
from typing import Any

from evbagent.client import Client, ClientError
from tests.soak.findings import Broken, Findings
from tests.support import lldpdus
from tests.support.agent import ROOT, Agent, environment
from tests.support.namespaces import Namespace, PacketTap, end
from tests.support.vsirig import spec

HERE, THERE = "s-one", "p-one"
CHURNING = range(40, 80)
ENDING_S = 30.0


@contextmanager
def load(station: Agent, switch: Agent, found: Findings, seed: int) -> Iterator[None]:
    """VSIs come and go, and a third party on the wire says something new all the time."""
    over = Event()
    threads = [
        Thread(target=_churn, args=(station, found, Random(seed + 1), over)),
        Thread(target=_chatter, args=(switch.namespace, over)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _churn(station: Agent, found: Findings, random: Random, over: Event) -> None:
    while not over.wait(random.uniform(0, 0.05)):
        numbers = random.sample(CHURNING, 10)
        requests = [spec(number, random.choice(("associate", "preassociate", "deassociate"))) for number in numbers]
        with suppress(ClientError, OSError):
            found.asked += len(ask(station, requests))


def ask(station: Agent, requests: list[dict[str, Any]], interface: str = HERE) -> list[dict[str, Any]]:
    with station.namespace.entered(), Client(station.state_dir) as client, client.vsi(interface) as session:
        session.request(requests)
        return list(session.answers(2))


def _chatter(namespace: Namespace, over: Event) -> None:
    """To the nearest bridge: it has no part in EVB."""
    mac = bytes.fromhex("0200000000cc")
    number = 0
    with PacketTap(namespace, THERE) as tap:
        while not over.wait(0.01):
            number += 1
            words = lldpdus.tlv(6, b"revision %d" % number)
            with suppress(OSError):
                tap.send(lldpdus.frame(mac, lldpdus.lldpdu(mac, words), lldpdus.NEAREST_BRIDGE))


@contextmanager
def readers(agents: list[Agent], found: Findings) -> Iterator[None]:
    processes = [
        agent.namespace.popen(
            [sys.executable, "-m", "tests.soak.reader", str(agent.state_dir)],
            stdout=subprocess.PIPE,
            env=environment(),
            cwd=ROOT,
        )
        for agent in agents
    ]
    try:
        yield
        for process in processes:
            process.terminate()
            printed, _ = process.communicate(timeout=ENDING_S)
            seen = json.loads(printed)
            if faults := seen.pop("faults"):
                raise Broken(f"a reader: {faults}")
            for key, value in seen.items():
                found.readers[key] = found.readers.get(key, 0) + value
    finally:
        for process in processes:
            end(process)
