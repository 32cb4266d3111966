"""A guest's device with its VSI: associated before, deassociated after, and nothing left behind when either fails."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

import pytest

from evbagent import attach, attach_vsi, netlink, vlan
from evbagent.attach import AttachError, PolicyUnmet, VsiRefused, VsiUnanswered, create, remove
from evbagent.attach_vsi import local_address, parse
from evbagent.cli import main
from evbagent.netlink import Link, NetlinkError
from evbagent.policy import VLAN_MARK
from tests.support.fakevsis import INSTANCE, FakeVsis, granted, outcome, served

UPLINK = Link(2, "eth0", bytes(6), 1)
MAC = "02:00:00:00:00:2a"
VSI = {"manager": "192.0.2.1", "type": 5, "type-version": 1}
SAID = "manager=192.0.2.1,type=5,type-version=1"


class Kernel:
    """The interfaces of one namespace, and its RouteSocket and RequestSocket. `refuses` is what it does not do."""

    def __init__(self) -> None:
        self.links = {UPLINK.index: UPLINK}
        self.elsewhere: dict[int, list[Link]] = {}
        self.refuses: dict[str, int] = {}
        self.deleted: list[str] = []
        self.before: Callable[[str], None] = lambda what: None

    def __call__(self) -> "Kernel":
        return self

    def __enter__(self) -> "Kernel":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass

    def names(self) -> list[str]:
        return [link.name for link in self.links.values()]

    def get_link(self, name: str | None = None, index: int | None = None) -> Link | None:
        return next((link for link in self.links.values() if name == link.name or index == link.index), None)

    def dump_links(self, kind: str | None = None, nsid: int | None = None) -> list[Link]:
        links = list(self.links.values()) if nsid is None else self.elsewhere[nsid]
        return [link for link in links if kind in (None, link.kind)]

    def namespace_ids(self) -> list[int]:
        return list(self.elsewhere)

    def create_macvlan(self, name: str, parent: int, kind: str, mode: str, mac: bytes | None, alias: str) -> Link:
        self._do("create macvlan")
        return self._add(name, kind=kind, parent=parent, macvlan_mode=mode, mac_address=mac or bytes(6), alias=alias)

    def set_macvlan_mode(self, index: int, kind: str, mode: str) -> None:
        self.links[index] = replace(self.links[index], macvlan_mode=mode)

    def set_alias(self, index: int, alias: str) -> None:
        self._do("set alias")
        self.links[index] = replace(self.links[index], alias=alias)

    def delete(self, index: int) -> None:
        self._do(f"delete {self.links[index].name}")
        self.deleted.append(self.links.pop(index).name)

    def change(self, request: Any, flags: int, asked: str) -> None:
        self._do(asked.partition(" device")[0])
        attributes = dict(request["attrs"])
        if "IFLA_LINKINFO" in attributes:
            self._add(attributes["IFLA_IFNAME"], kind="vlan", parent=attributes["IFLA_LINK"])

    def dump(self, request: Any, read: Callable[[Any], Any], asked: str) -> list[Any]:
        """VLAN devices, as the messages say it; their VID is in their name."""
        return [read(Described(link)) for link in self.links.values()]

    def _do(self, what: str) -> None:
        self.before(what)
        if number := self.refuses.get(what):
            raise NetlinkError(number, what)

    def _add(self, name: str, mac_address: bytes = bytes(6), **more: Any) -> Link:
        index = max(self.links) + 1
        self.links[index] = Link(index, name, mac_address, 1, **more)
        return self.links[index]


class Described:
    """A decoded message about an interface."""

    def __init__(self, link: Link) -> None:
        self._link = link
        data = {"IFLA_VLAN_ID": int(link.name.rpartition(".")[2])} if link.kind == "vlan" else {}
        info = {"IFLA_INFO_KIND": link.kind, "IFLA_INFO_DATA": Attributes(data)}
        self.get_attr = Attributes({"IFLA_LINK": link.parent, "IFLA_LINKINFO": Attributes(info)}).get_attr

    def __getitem__(self, key: str) -> int:
        return self._link.index


class Attributes(dict[str, Any]):
    def get_attr(self, name: str) -> Any:
        return self.get(name)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(netlink, "RouteSocket", kernel)
    monkeypatch.setattr(vlan, "RequestSocket", kernel)
    monkeypatch.setenv("EVBAGENT_STATE_DIR", str(tmp_path))
    return kernel


@pytest.fixture
def untagged(kernel: Kernel) -> Kernel:
    kernel.refuses["create VLAN"] = errno.EOPNOTSUPP
    return kernel


@pytest.fixture
def vsis(tmp_path: Path) -> Iterator[FakeVsis]:
    with served(tmp_path, FakeVsis()) as vsis:
        yield vsis


@pytest.mark.parametrize(
    ("text", "vsi"),
    [
        (SAID, VSI),
        (f"{SAID},instance={INSTANCE},vid=100,pcp=3,group=7,hint=migrate", None),
        (
            f"{SAID},vm-name=a=b,vm-uuid=x,vm-address=192.0.2.9",
            {**VSI, "vm-name": "a=b", "vm-uuid": "x", "vm-address": "192.0.2.9"},
        ),
    ],
)
def test_the_command_lines_form(text: str, vsi: dict[str, Any] | None) -> None:
    more = {"instance": INSTANCE, "vid": 100, "pcp": 3, "group": 7, "hint": "migrate"}
    assert parse(text) == (vsi or VSI | more)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "KEY=VALUE"),
        ("manager", "KEY=VALUE"),
        ("manager=", "KEY=VALUE"),
        (SAID + ",", "KEY=VALUE"),
        (SAID + ",vid=1,vid=2", "vid: given twice"),
        (SAID + ",vid=many", "vid: 'many' is not a number"),
        (SAID + ",pcp=-1", "pcp:"),
        (SAID + ",vid=²", "vid:"),
        (SAID + ",mac=1", "there is no 'mac'"),
        ("type=1,type-version=2", "manager: is missing"),
        ("manager=x,type-version=2", "type: is missing"),
        ("manager=x,type=2", "type-version: is missing"),
    ],
)
def test_what_is_wrong_with_it_is_named(
    kernel: Kernel, capsys: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        parse(text)
    assert main(["attach", "eth0", "--name", "guest0", "--vsi", text]) == 2
    err = capsys.readouterr().err
    assert err.startswith("evbagent: --vsi: ") and named in err
    assert kernel.names() == ["eth0"]


def test_addresses_made_here_are_local_and_of_one_device() -> None:
    addresses = {local_address() for _ in range(100)}
    assert len(addresses) == 100 and all(address[0] & 3 == 2 for address in addresses)


def test_the_vsi_is_associated_before_the_device_is_made(untagged: Kernel, vsis: FakeVsis) -> None:
    order: list[str] = []
    untagged.before = lambda what: order.append(f"{what} after {len(vsis.asked)} requests")
    made = create("eth0", "guest0", mac=MAC, vsi={**VSI, "instance": INSTANCE}, vsi_wait=2)
    assert order == ["create VLAN after 1 requests", "create macvlan after 1 requests"]
    ((interface, spec),) = vsis.asked
    assert interface == "eth0"
    asked = {"request": "associate", "instance": INSTANCE, "filter": [f"0-{MAC}"], "wait": 2, "owner": "attach"}
    assert spec == {**VSI, **asked}
    assert made.vsi is not None and made.vsi["vsi-id"] == INSTANCE
    assert untagged.links[made.ifindex].alias == f"evbagent:prefer-vepa vsi={INSTANCE}"
    assert made.vlan is not None
    assert (made.vlan.vid, made.vlan.device) == (100, None) and "frames leave untagged" in made.vlan.reason
    remove("guest0")
    assert vsis.requests == [("associate", INSTANCE), ("deassociate", INSTANCE)] and untagged.names() == ["eth0"]


def test_instance_and_address_are_made_up_here(untagged: Kernel, vsis: FakeVsis) -> None:
    made = [create("eth0", name, vsi={**VSI, "vid": 0, "pcp": 3, "group": 9}) for name in ("guest0", "guest1")]
    specs = [spec for _, spec in vsis.asked]
    assert specs[0]["instance"] != specs[1]["instance"]
    for device, spec in zip(made, specs, strict=True):
        assert spec["filter"] == [f"0/3-{device.mac_address}-9"]
        assert device.mac_address[1] in "26ae"


def test_a_vlan_device_carries_those_in_its_vlan_and_goes_with_the_last(kernel: Kernel, vsis: FakeVsis) -> None:
    first = create("eth0", "guest0", vsi=VSI)
    assert first.vlan is not None and (first.vlan.device, first.vlan.reason) == ("eth0.100", "")
    second = create("eth0", "guest1", kind="macvlan", vsi=VSI)
    tagged = kernel.get_link(name="eth0.100")
    assert tagged is not None and (tagged.parent, tagged.alias) == (UPLINK.index, VLAN_MARK)
    assert [kernel.links[made.ifindex].parent for made in (first, second)] == [tagged.index] * 2
    remove("guest0")
    assert kernel.names() == ["eth0", "eth0.100", "guest1"]
    remove("guest1")
    assert kernel.names() == ["eth0"]
    assert [interface for interface, _ in vsis.asked] == ["eth0"] * 4
    kernel.elsewhere = {3: []}
    created = create("eth0", "guest2", vsi={**VSI, "vid": 7})
    assert created.vlan is not None and created.vlan.device == "eth0.7"
    kernel.elsewhere[3].append(replace(kernel.links[created.ifindex], index=9))
    remove("guest2")
    assert kernel.names() == ["eth0", "eth0.7"], "a guest in another namespace stands on it"


def test_somebody_elses_vlan_device_is_used_and_stays(kernel: Kernel, vsis: FakeVsis) -> None:
    kernel._add("office.100", kind="vlan", parent=UPLINK.index)
    kernel._add("other.100", kind="vlan", parent=77)
    made = create("eth0", "guest0", vsi=VSI)
    assert made.vlan is not None and made.vlan.device == "office.100"
    remove("guest0")
    assert kernel.names() == ["eth0", "office.100", "other.100"]


def test_a_vlan_devices_name_has_to_fit_and_be_free(kernel: Kernel, vsis: FakeVsis) -> None:
    kernel.links[3] = Link(3, "enp129s0f1np1", bytes(6), 1)
    kernel._add("eth0.100", kind="dummy")
    names = [create(uplink, name, vsi=VSI).vlan for uplink, name in (("eth0", "g0"), ("enp129s0f1np1", "g1"))]
    assert [found and found.device for found in names] == ["evb2.100", "evb3.100"]


def test_no_vlan_no_vlan_device(kernel: Kernel, vsis: FakeVsis) -> None:
    vsis.switch = lambda spec: granted(spec, vid=0)
    made = create("eth0", "guest0", vsi=VSI)
    assert made.vlan is None and kernel.names() == ["eth0", "guest0"]
    remove("guest0")
    assert kernel.names() == ["eth0"]


@pytest.mark.parametrize(
    ("result", "failure", "status"),
    [
        ("refused", VsiRefused, 3),
        ("timed-out", VsiUnanswered, 4),
        ("link-lost", VsiUnanswered, 4),
        ("invalid", AttachError, 1),
        ("superseded", AttachError, 1),
    ],
)
def test_without_the_switchs_yes_nothing_is_made(
    kernel: Kernel,
    vsis: FakeVsis,
    capsys: pytest.CaptureFixture[str],
    result: str,
    failure: type[AttachError],
    status: int,
) -> None:
    vsis.switch = lambda spec: outcome(spec, result, "it is so", "other-failure")
    with pytest.raises(AttachError, match=f"VSI {INSTANCE}: it is so .other-failure.") as caught:
        create("eth0", "guest0", vsi={**VSI, "instance": INSTANCE})
    assert type(caught.value) is failure
    assert main(["attach", "eth0", "--name", "guest0", "--vsi", SAID]) == status
    assert "it is so" in capsys.readouterr().err
    assert kernel.names() == ["eth0"]
    assert {request for request, _ in vsis.requests} == {"associate"}, "what was not granted needs no withdrawal"


def test_no_agent_is_a_refusal(kernel: Kernel) -> None:
    with pytest.raises(AttachError, match="is not associated: no agent answers at") as caught:
        create("eth0", "guest0", vsi=VSI)
    assert kernel.names() == ["eth0"] and not hasattr(caught.value, "__notes__")


def test_what_is_wrong_is_found_before_the_switch_is_asked(kernel: Kernel, vsis: FakeVsis) -> None:
    kernel._add("guest0", kind="macvtap", parent=UPLINK.index, alias=f"evbagent:veb vsi={INSTANCE}")
    for name, options, reason in [
        ("guest0", {}, "there is a network interface guest0 already"),
        ("guest1", {"policy": "require-vepa"}, "require-vepa is not met"),
        ("guest1", {"vsi": {}}, "vsi: manager: is missing"),
        ("guest1", {"vsi": {**VSI, "colour": 1}}, "vsi: there is no 'colour'"),
        ("guest1", {"vsi": {**VSI, "instance": INSTANCE.upper()}}, "is that of guest0"),
    ]:
        with pytest.raises(AttachError, match=reason):
            create("eth0", name, **{"vsi": VSI, **options})
    assert vsis.asked == []


@pytest.mark.parametrize("refused", ["create VLAN", "create macvlan", "set alias"])
def test_a_device_that_cannot_be_made_takes_all_with_it(kernel: Kernel, vsis: FakeVsis, refused: str) -> None:
    kernel.refuses[refused] = errno.EPERM
    with pytest.raises(AttachError, match="needs CAP_NET_ADMIN"):
        create("eth0", "guest0", vsi={**VSI, "instance": INSTANCE})
    assert vsis.requests == [("associate", INSTANCE), ("deassociate", INSTANCE)]
    assert kernel.names() == ["eth0"]


def test_a_policy_that_is_lost_meanwhile_takes_all_with_it(
    kernel: Kernel, vsis: FakeVsis, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = attach._decide

    def lost(*arguments: Any) -> Any:
        if "guest0" in kernel.names():
            raise PolicyUnmet("eth0: require-vepa is not met any more")
        return decide(*arguments)

    monkeypatch.setattr(attach, "_decide", lost)
    with pytest.raises(PolicyUnmet):
        create("eth0", "guest0", vsi=VSI)
    assert kernel.deleted == ["guest0", "eth0.100"] and kernel.names() == ["eth0"]
    assert [request for request, _ in vsis.requests] == ["associate", "deassociate"]


def test_what_cannot_be_undone_is_said(kernel: Kernel, vsis: FakeVsis, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.refuses["create macvlan"] = errno.EBUSY
    vsis.switch = lambda spec: (
        granted(spec) if spec["request"] == "associate" else outcome(spec, "timed-out", "no answer")
    )
    assert main(["attach", "eth0", "--name", "guest0", "--vsi", f"{SAID},instance={INSTANCE}"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "evbagent: eth0 is in use by a bridge, a bond, a passthru device or the like: free it first",
        f"evbagent: VSI {INSTANCE} is perhaps not deassociated: no answer",
    ]


def test_an_interruption_while_the_switch_thinks_withdraws_the_request(
    kernel: Kernel, vsis: FakeVsis, monkeypatch: pytest.MonkeyPatch
) -> None:
    vsis.switch = lambda spec: None if spec["request"] == "associate" else granted(spec)
    monkeypatch.setattr(attach_vsi, "GRACE_SECONDS", 0.05)
    with pytest.raises(VsiUnanswered, match="has not answered"):
        create("eth0", "guest0", vsi={**VSI, "instance": INSTANCE}, vsi_wait=0)
    assert vsis.requests == [("associate", INSTANCE), ("deassociate", INSTANCE)]


def test_to_detach_takes_no_agent(untagged: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(tmp_path, FakeVsis()):
        create("eth0", "guest0", vsi={**VSI, "instance": INSTANCE})
    assert main(["detach", "guest0"]) == 0
    err = capsys.readouterr().err
    assert err.startswith(f"evbagent: guest0 is removed, but VSI {INSTANCE} is not deassociated: no agent answers at")
    assert untagged.names() == ["eth0"]


def test_an_uplink_elsewhere_cannot_be_asked_about(kernel: Kernel, vsis: FakeVsis) -> None:
    kernel._add("guest0", kind="macvlan", parent=None, alias=f"evbagent:veb vsi={INSTANCE}")
    (left,) = remove("guest0")
    assert left == f"VSI {INSTANCE} is not deassociated: the uplink of guest0 is not in this network namespace"
    assert vsis.asked == [] and kernel.names() == ["eth0"]


def test_a_vlan_device_that_cannot_be_removed_is_left_and_said(kernel: Kernel, vsis: FakeVsis) -> None:
    create("eth0", "guest0", vsi=VSI)
    kernel.refuses["delete eth0.100"] = errno.EBUSY
    (left,) = remove("guest0")
    assert left.startswith("VLAN device eth0.100 is not removed: delete eth0.100:")
    assert kernel.names() == ["eth0", "eth0.100"]


def test_no_two_at_a_time_make_or_remove_guests_in_vlans(
    kernel: Kernel, vsis: FakeVsis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vlan, "LOCK_SECONDS", 0.03)
    create("eth0", "guest0", vsi=VSI)
    holder = os.open(tmp_path, os.O_RDONLY)
    flock(holder, LOCK_EX | LOCK_NB)
    with pytest.raises(AttachError, match="guest1 is not made: somebody else has kept"):
        create("eth0", "guest1", vsi=VSI)
    with pytest.raises(AttachError, match="guest0 is not removed: somebody else has kept"):
        remove("guest0")
    assert kernel.names() == ["eth0", "eth0.100", "guest0"]
    os.close(holder)
    waits = iter([lambda: None])
    monkeypatch.setattr(vlan.time, "sleep", lambda seconds: next(waits)())
    assert remove("guest0") == [] and kernel.names() == ["eth0"]


def test_what_attach_prints(kernel: Kernel, vsis: FakeVsis, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["attach", "eth0", "--mac", MAC, "--vsi", f"{SAID},instance={INSTANCE}", "--kind", "macvlan"]
    assert main([*words, "--name", "guest0"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "guest0: macvlan on eth0, mode veb (prefer-vepa)",
        f"guest0: VSI {INSTANCE} associated: 100-{MAC} (VID 100)",
        "guest0: VID 100 assigned; on eth0.100",
    ]
    assert main(["detach", "guest0"]) == 0
    kernel.refuses["create VLAN"] = errno.EOPNOTSUPP
    assert main([*words, "--name", "guest0"]) == 0
    reason = "this kernel makes no VLAN devices: frames leave untagged"
    assert capsys.readouterr().out.splitlines()[2] == f"guest0: VID 100 assigned; {reason}"
    assert main(["detach", "guest0"]) == 0
    assert main([*words, "--name", "guest0", "-j"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["vlan"] == {"vid": 100, "device": None, "reason": reason}
    assert document["vsi"]["vsi-id"] == INSTANCE and document["uplink"] == "eth0"
    assert main(["attach", "eth0", "--name", "guest1", "-j"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["vsi"] is None and document["vlan"] is None


def test_the_message_that_makes_a_vlan_device() -> None:
    """Octet by octet, as `ip link add link … name eth0.100 type vlan id 100` has it."""
    message = vlan.creation("eth0.100", 2, 100)
    message.reset()
    message["header"].update(flags=0x605, sequence_number=1)
    message.encode()
    name = "0d000300657468302e31303000000000"
    link = "0800050002000000"
    info = "1c00128009000100766c616e000000000c0002800600010064000000"
    assert message.data[16:].hex() == "00000000000000000000000000000000" + name + link + info
    decoded = vlan.VlanMessage(message.data)
    decoded.decode()
    assert vlan._describe(decoded) == (0, "vlan", 2, 100)
