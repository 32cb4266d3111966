"""A guest's device in the kernel with its VSI, the agent being a control socket that knows no switch."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from evbagent.attach import AttachError, create, remove
from evbagent.netlink import Link, RouteSocket
from evbagent.vlan import standing_on
from tests.support.fakevsis import INSTANCE, FakeVsis, granted, served
from tests.support.namespaces import Namespace
from tests.support.require import require_link_kind

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
VSI = {"manager": "192.0.2.1", "type": 5, "type-version": 1, "instance": INSTANCE}


@pytest.fixture
def host(namespace: Namespace) -> Namespace:
    namespace.ip("link add up0 type veth peer name switch0")
    namespace.ip("link set switch0 up")
    namespace.ip("link set up0 up")
    return namespace


def in_namespace(host: Namespace, directory: Path, vsis: FakeVsis, *calls: Any) -> list[Any]:
    """What the calls return or raise, beside an agent in the namespace."""

    def run() -> list[Any]:
        results: list[Any] = []
        with served(directory, vsis):
            for call in calls:
                try:
                    results.append(call())
                except AttachError as error:
                    results.append(error)
        return results

    return host.call(run)


def links_here() -> list[Link]:
    with RouteSocket() as route:
        return route.dump_links()


def names(host: Namespace) -> set[str]:
    return {line.split(":")[1].strip().partition("@")[0] for line in host.run("ip -o link").stdout.splitlines()}


def test_made_with_its_vsi_and_removed_with_it(host: Namespace, tmp_path: Path) -> None:
    vsis = FakeVsis(lambda spec: granted(spec, vid=0))
    made, links, left = in_namespace(
        host,
        tmp_path,
        vsis,
        lambda: create("up0", "guest0", vsi=VSI, state_dir=tmp_path),
        links_here,
        lambda: remove("guest0", state_dir=tmp_path),
    )
    (link,) = (link for link in links if link.name == "guest0")
    assert (link.alias, link.mac_address.hex(":")) == (f"evbagent:prefer-vepa vsi={INSTANCE}", made.mac_address)
    assert vsis.asked[0][1]["filter"] == [f"0-{made.mac_address}"]
    assert left == [] and vsis.requests == [("associate", INSTANCE), ("deassociate", INSTANCE)]
    assert names(host) == {"lo", "up0", "switch0"}


def test_a_device_that_the_kernel_refuses_leaves_no_vsi(host: Namespace, tmp_path: Path) -> None:
    vsis = FakeVsis()
    address = host.link("up0")["address"]
    (refused,) = in_namespace(
        host, tmp_path, vsis, lambda: create("up0", "guest0", mac=address, vsi=VSI, state_dir=tmp_path)
    )
    assert "in use on up0 already" in str(refused)
    assert vsis.requests == [("associate", INSTANCE), ("deassociate", INSTANCE)]
    assert names(host) == {"lo", "up0", "switch0"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (INSTANCE, INSTANCE.upper()),
        ("2001:db8::1", "2001:DB8:0:0::1"),
        ("52:54:00:8e:50:53", "52-54-00-8E-50-53"),
        ("local:" + "1".rjust(32, "0"), "local:1"),
    ],
)
def test_a_vsi_that_another_guest_has(host: Namespace, tmp_path: Path, one: str, other: str) -> None:
    """However it is written: the switch would take the new guest's address instead of the other's."""
    vsis = FakeVsis(lambda spec: granted(spec, vid=0))
    _, refused = in_namespace(
        host,
        tmp_path,
        vsis,
        lambda: create("up0", "guest0", vsi={**VSI, "instance": one}, state_dir=tmp_path),
        lambda: create("up0", "guest1", vsi={**VSI, "instance": other}, state_dir=tmp_path),
    )
    assert "is that of guest0" in str(refused)
    assert vsis.requests == [("associate", one)]


def test_the_vlan_that_the_switch_chose(host: Namespace, tmp_path: Path) -> None:
    """On a VLAN device where the kernel makes one; else it is said that frames leave untagged."""
    first, second, found, *left = in_namespace(
        host,
        tmp_path,
        FakeVsis(),
        lambda: create("up0", "guest0", vsi=VSI, state_dir=tmp_path),
        lambda: create("up0", "guest1", vsi={**VSI, "instance": "192.0.2.9"}, state_dir=tmp_path),
        links_here,
        lambda: remove("guest0", state_dir=tmp_path),
        lambda: remove("guest1", state_dir=tmp_path),
    )
    links = {link.name: link for link in found}
    lower = links[first.vlan.device or "up0"]
    assert first.vlan.vid == second.vlan.vid == 100
    assert [links[name].parent for name in ("guest0", "guest1")] == [lower.index] * 2
    assert first.vlan.device == ("up0.100" if lower.kind == "vlan" else None)
    assert bool(first.vlan.reason) is (lower.kind != "vlan")
    assert left == [[], []] and names(host) == {"lo", "up0", "switch0"}


def test_frames_carry_the_vlans_tag(host: Namespace, tmp_path: Path) -> None:
    require_link_kind(host, "vlan")

    def make() -> tuple[str, str]:
        with RouteSocket() as route:
            uplink = route.get_link(name="up0")
            assert uplink is not None
            with standing_on(route, uplink, 7, str(tmp_path)) as (index, vlan):
                link = route.get_link(index=index)
                assert link is not None and vlan is not None and link.enabled
                return link.name, link.alias

    name, alias = host.call(make)
    assert (name, alias) == ("up0.7", "evbagent:vlan")
    assert host.link("up0.7")["linkinfo"]["info_data"]["id"] == 7


def test_from_the_command_line(host: Namespace, tmp_path: Path) -> None:
    vsis = FakeVsis(lambda spec: granted(spec, vid=0))

    def evbagent(*words: str) -> Any:
        command = [sys.executable, "-m", "evbagent", *words, "--state-dir", str(tmp_path)]
        return host.run(command, env={"PYTHONPATH": str(ROOT)})

    def run() -> list[Any]:
        said = f"manager=192.0.2.1,type=5,type-version=1,instance={INSTANCE}"
        made = json.loads(evbagent("attach", "up0", "--name", "guest0", "--vsi", said, "-j").stdout)
        return [made, evbagent("detach", "guest0").stderr]

    ((made, errors),) = in_namespace(host, tmp_path, vsis, run)
    assert made["vsi"]["vsi-id"] == INSTANCE and made["vlan"] is None and errors == ""
    assert vsis.requests == [("associate", INSTANCE), ("deassociate", INSTANCE)]
