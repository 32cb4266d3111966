"""A crowd of clients of every bad kind, and one client with ten times more to ask than there is room for."""

import json
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from evbagent.client import Client
from evbagent.control import KEPT_STREAMS, MAX_STREAMS
from tests.support.agent import Agent, Uplink, neighbors
from tests.support.lldpdus import BRIDGE_REFLECTS, NEAREST_BRIDGE, evb_tlv, frame, lldpdu, tlv
from tests.support.namespaces import PacketTap, wait_until
from tests.support.rig import BRIDGE_MAC, Cable
from tests.support.vsirig import associated, instance, linked_agents, spec, wait_for_states

pytestmark = pytest.mark.system

LINK = "s-link"
IDLE, WAITING, HALF = 900, 60, 40
UNNAMED, DEAD, DEAF = 25, 25, 25
PROMPT_S = 5.0  # on a machine that does many other things as well; alone it takes a tenth of a second
MOST_GROWTH_KIB = 48 << 10

BRIDGE_REFUSES = bytes.fromhex("00056e5414")
EVB_SCOPE = "nearest-customer-bridge"
FRAMES = 1000
MOST_GROWTH_OF_A_PEER_KIB = 8 << 10


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    with linked_agents(tmp_path, ["link"], station="[vdp]\nmax-vsis = 200\n") as agents:
        yield agents


def test_a_thousand_clients_of_every_bad_kind_keep_nobody_from_being_served(agents: tuple[Agent, Agent]) -> None:
    station, _ = agents
    before = resident_kib(station)
    with many_open_files(), station.namespace.entered(), Client(station.state_dir) as client, ExitStack() as crowd:
        path = str(station.state_dir / "control.sock")
        for _ in range(IDLE):
            crowd.enter_context(stream(path, op="watch"))
        for number in range(WAITING):
            crowd.enter_context(stream(path, op="wait", interface=f"eth{number}", **{"for": f"vsi={instance(7)}"}))
        for _ in range(HALF):
            half = crowd.enter_context(stream(path, op="vsi", interface=LINK))
            half.send(b'{"requests": [{"request": "associate", "inst')
        for number in range(DEAD):
            with asker(path) as dead:
                say(dead, path, op=("watch", "show")[number % 2], what="vsis")
        for _ in range(DEAF):
            deaf = crowd.enter_context(asker(path))
            deaf.settimeout(10)
            for _ in range(30):
                say(deaf, path, op="ping")
        for _ in range(UNNAMED):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unnamed:
                say(unnamed, path, op="ping")
        wait_until(lambda: counters(client)["control-ignored"] == UNNAMED, "all that was said has been heard")
        counted = counters(client)
        assert counted["control-streams"] == IDLE + WAITING + HALF
        if int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) < 20:
            assert counted["control-lost-replies"] > 0
        # Requests, answers, events and ECP go on, and each is prompt.
        slowest = 0.0
        with client.vsi(LINK) as session:
            for round_ in range(20):
                begun = monotonic()
                session.request(
                    [spec(number, "associate" if round_ % 2 == 0 else "deassociate") for number in range(20)]
                )
                assert {answer["result"] for answer in session.answers(10)} == {"granted"}
                assert client.request("ping") == {"version": 1}
                assert len(client.request("show", what="vsis")) == (20 if round_ % 2 == 0 else 0)
                slowest = max(slowest, monotonic() - begun)
        assert slowest < PROMPT_S
        station.wait_for_relay(LINK, "active")
        counted = counters(client)
        assert counted["control-lost-events"] + counted["control-skipped-events"] > 0
        # There is an end, which is said; and room that nobody else can take.
        with pytest.raises(AssertionError, match="clients are watching or waiting already"):
            for _ in range(MAX_STREAMS):
                crowd.enter_context(stream(path, op="watch"))
        assert counters(client)["control-streams"] == MAX_STREAMS
        assert counters(client)["control-refused"] == 1
        for _ in range(KEPT_STREAMS // 8):
            crowd.enter_context(stream(str(station.state_dir / "change.sock"), op="watch"))
        assert resident_kib(station) - before < MOST_GROWTH_KIB
        crowd.close()
        wait_until(lambda: counters(client)["control-streams"] == 0, "all who have left are forgotten")
        wait_until(lambda: counters(client)["control-long-answers"] <= 1, "and what they have not read")


def test_one_client_with_more_to_ask_than_there_is_room_for(agents: tuple[Agent, Agent]) -> None:
    station, switch = agents
    with station.namespace.entered(), Client(station.state_dir) as client, Client(station.state_dir) as other:
        with client.vsi(LINK) as session:
            session.request(spec(number) for number in range(100))
            assert {answer["result"] for answer in session.answers(10)} == {"granted"}
            session.request(spec(number, persistent=True) for number in range(100, 20_000))
            assert other.request("ping") == {"version": 1}
            results = [answer["result"] for answer in session.answers(30)]
            assert results.count("granted") == 100 and results.count("invalid") == 19_800
        wait_for_states(station, LINK, associated(range(200)))
        assert next(row for row in statistics(other) if row["scope"] == "vdp")["vdp-no-room"] == 19_800
        assert station.state()["agent"]["counters"]["vsi-requests-unanswered"] == 0
    assert len(switch.uplink("p-link")["vsis"]) == 200


def test_a_peer_whose_every_word_is_another_is_one_neighbor_and_some_lines_of_the_log(
    cable: Cable, tmp_path: Path
) -> None:
    agent = Agent(cable.station, tmp_path, [cable.uplink])
    with PacketTap(cable.bridge, cable.port) as tap, agent:
        agent.wait_for(cable.uplink, lambda uplink: uplink["oper-status"] == "up", "the link is up")
        before = resident_kib(agent)
        for number in range(FRAMES):
            for sent in words(number):
                tap.send(sent)
            if number % 100 == 99:
                wait_until(partial(has_heard, agent, cable.uplink, 2 * number + 2), "all has been heard")
        uplink = agent.wait_for(
            cable.uplink,
            lambda uplink: all(said(uplink, scope) == str(FRAMES - 1) for scope in (EVB_SCOPE, "nearest-bridge")),
            "the last word is known",
        )
        assert all(len(lldp["neighbors"]) <= 1 for lldp in uplink["lldp"])
        assert resident_kib(agent) - before < MOST_GROWTH_OF_A_PEER_KIB
        lines = agent.log.read_text().splitlines()
        # Without limits there would be several for each frame.
        assert 20 < len(lines) < FRAMES / 2, "\n".join(lines)
        assert agent.state()["agent"]["counters"]["log-lines-left-out"] > 0


def words(number: int) -> tuple[bytes, bytes]:
    """What a switch says that changes its mind each time, and its ETS, which cannot be, each time in another way."""
    system_name = tlv(5, b"%d" % number)
    offer = evb_tlv(BRIDGE_REFLECTS if number % 2 else BRIDGE_REFUSES)
    ets = tlv(127, bytes.fromhex("0080c209") + bytes(5) + bytes([number % 100, number // 100]) + bytes(14))
    return (
        frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, offer, system_name)),
        frame(BRIDGE_MAC, lldpdu(BRIDGE_MAC, ets, system_name), NEAREST_BRIDGE),
    )


def has_heard(agent: Agent, interface: str, frames: int) -> bool:
    with agent.namespace.entered(), Client(agent.state_dir) as client:
        rows = client.request("show", what="statistics", interface=interface)
    return sum(row.get("rx-total-frames", 0) for row in rows) >= frames


def said(uplink: Uplink, scope: str) -> str | None:
    return next((neighbor["system-name"] for neighbor in neighbors(uplink, scope)), None)


def asker(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind("")
    return made


def say(asking: socket.socket, path: str, **request: Any) -> None:
    asking.sendto(json.dumps({"v": 1, "id": 1, **request}).encode(), path)


def stream(path: str, **request: Any) -> socket.socket:
    """The stream that is given for the request; AssertionError with what is said instead."""
    with asker(path) as asking:
        asking.settimeout(10)
        say(asking, path, **request)
        reply, descriptors, _, _ = socket.recv_fds(asking, 1 << 16, 1)
    assert descriptors, json.loads(reply)["error"]
    return socket.socket(fileno=descriptors[0])


def statistics(client: Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.request("show", what="statistics")
    return rows


def counters(client: Client) -> dict[str, int]:
    return next(row for row in statistics(client) if row["scope"] == "agent")


def resident_kib(agent: Agent) -> int:
    lines = Path(f"/proc/{agent.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


@contextmanager
def many_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} open files, and may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
