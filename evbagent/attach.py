"""For attachment code in Python: which mode a guest's device has to be in, and making one that is in it.

`choose_mode()` reads the state file and needs nothing else: no agent, no privilege, and few imports (see `statefile`).
`create()` and `remove()` need CAP_NET_ADMIN in the network namespace of the uplink.
"""

import errno
import os
import time
from contextlib import ExitStack

from evbagent.policy import MACVLAN_MODES, POLICIES, mark, marked_policy, marked_vsi
from evbagent.statefile import boottime, read_state, state_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from evbagent.netlink import Link, NetlinkError, RouteSocket
    from evbagent.vlan import Vlan

KINDS = ("macvtap", "macvlan")
VSI_SECONDS = 30.0
POLL_SECONDS = 0.02
SETTLED_US = 3_000_000
ADJUSTMENTS = 10
NAME_OCTETS = 15
ARPHRD_ETHER = 1


class AttachError(Exception):
    """It cannot be done; the text says why and what to do."""


class PolicyUnmet(AttachError):
    """The policy asks for VEPA, and the uplink's switch is not known to reflect."""


class VsiRefused(AttachError):
    """The switch does not let the guest's VSI in."""


class VsiUnanswered(AttachError):
    """The switch has not answered about the guest's VSI in time, or the link to it is lost."""


class Choice:
    """`mode` is `vepa`, `veb` or `private`; `reflective_relay` is `active`, `inactive` or `unknown`."""

    __slots__ = ("mode", "reason", "reflective_relay")

    def __init__(self, mode: str, reason: str, reflective_relay: str) -> None:
        self.mode = mode
        self.reason = reason
        self.reflective_relay = reflective_relay


class Attachment:
    """A guest's device. `mode` is `vepa`, `veb` or `private`, as in `Choice`.

    `character_device` (macvtap only) is the path that the kernel gives the device in devtmpfs. Where /dev is another
    file system, as in most containers, nothing need be there; and if the device is not in the first network namespace,
    the path may be another device's. `device_number` ("MAJOR:MINOR"; None where /sys is not this namespace's) tells.
    `vsi` is the VSI as the switch has confirmed it (`vsi-id`, `filters` and more, as in the state file), and `vlan` the
    VLAN that the switch has put it into; None where there is none.
    """

    __slots__ = (
        "character_device",
        "device_number",
        "ifindex",
        "kind",
        "mac_address",
        "mode",
        "name",
        "policy",
        "uplink",
        "vlan",
        "vsi",
    )

    def __init__(
        self,
        link: "Link",
        uplink: str,
        policy: str,
        mode: str,
        vsi: "dict[str, Any] | None" = None,
        vlan: "Vlan | None" = None,
    ) -> None:
        self.name = link.name
        self.ifindex = link.index
        self.mode = mode
        self.policy = policy
        self.kind = link.kind or ""
        self.mac_address = link.mac_address.hex(":")
        self.uplink = uplink
        self.character_device = f"/dev/tap{link.index}" if link.kind == "macvtap" else None
        self.device_number = _device_number(link) if link.kind == "macvtap" else None
        self.vsi = vsi
        self.vlan = vlan


def choose_mode(
    interface: str,
    policy: str = "prefer-vepa",
    *,
    state_dir: "str | os.PathLike[str] | None" = None,
    wait: float = 0.0,
) -> Choice:
    """The mode for a guest on this uplink now. Raises `PolicyUnmet`, or `AttachError` for an unknown policy.

    `wait`: seconds to wait for `vepa` at most; less when the switch has refused to reflect for three seconds.
    """
    _check_word("policy", policy, POLICIES)
    directory = state_directory(state_dir)
    if policy in ("veb", "private"):
        return _decide(interface, policy, directory)
    deadline = time.monotonic() + wait
    refused_since = None
    while True:
        uplink, relay, reason = _answer(interface, directory)
        left = deadline - time.monotonic()
        if relay != "inactive":
            refused_since = None
        elif refused_since is None:
            refused_since = boottime() - _age(uplink) if left > 0 else boottime()
        settled = refused_since is not None and boottime() - refused_since >= SETTLED_US
        if relay == "active" or settled or left <= 0:
            return _under_policy(interface, policy, relay, reason)
        time.sleep(min(POLL_SECONDS, left))


def create(
    interface: str,
    name: str,
    *,
    kind: str = "macvtap",
    policy: str = "prefer-vepa",
    mac: str | None = None,
    vsi: "Mapping[str, Any] | None" = None,
    vsi_wait: float = VSI_SECONDS,
    state_dir: "str | os.PathLike[str] | None" = None,
) -> Attachment:
    """Makes the guest's device `name` on the uplink `interface`, in the mode that the state file gives, and sets it up.

    The device carries its policy in a mark that the agent knows it by: a running agent keeps it in the right mode from
    then on, wherever it is moved. `vsi` (`manager`, `type`, `type-version`; see `attach_vsi` for more) associates the
    guest's VSI first, which takes a running agent and at most `vsi_wait` seconds.
    Raises `PolicyUnmet`, `VsiRefused`, `VsiUnanswered`, or another `AttachError`, with nothing left behind.
    """
    _check_word("kind", kind, KINDS)
    _check_word("policy", policy, POLICIES)
    _check_name(name)
    address = None if mac is None else _address(mac)
    directory = state_directory(state_dir)
    from evbagent.netlink import NetlinkError, RouteSocket

    try:
        with RouteSocket() as route, ExitStack() as undo:
            parent = _parent(route, interface, name)
            _decide(interface, policy, directory, parent.index)  # before the switch is asked for anything
            lower, instance, document, vlan = parent.index, None, None, None
            if vsi is not None:
                from evbagent.attach_vsi import associated, local_address
                from evbagent.vlan import standing_on

                address = address or local_address()
                confirmed = undo.enter_context(associated(route, directory, interface, vsi, address, vsi_wait))
                instance, document = confirmed.instance, confirmed.document
                lower, vlan = undo.enter_context(standing_on(route, parent, confirmed.vid, directory))
            choice = _decide(interface, policy, directory, parent.index)
            mode = MACVLAN_MODES[choice.mode]
            link = route.create_macvlan(name, lower, kind, mode, address, mark(policy, instance))
            try:
                choice = _keep_up(route, link, choice, interface, policy, directory, parent.index)
            except BaseException:
                route.delete(link.index)
                raise
    except NetlinkError as error:
        raise copy_notes(error, AttachError(_refusal(error, interface, name, mac))) from error
    except OSError as error:
        raise copy_notes(error, AttachError(f"{name} is not made: {error}")) from error
    return Attachment(link, interface, policy, choice.mode, document, vlan)


def remove(name: str, *, state_dir: "str | os.PathLike[str] | None" = None) -> list[str]:
    """Removes a device that `create()` made; no other. Its VSI, if it has one, is deassociated first.

    Returns what is left to do for somebody else, in words: a VSI that could not be deassociated. Raises `AttachError`.
    """
    from evbagent.netlink import NetlinkError, RouteSocket

    try:
        with RouteSocket() as route:
            link = _find(route, name)
            if link is None:
                raise AttachError(
                    f"there is no network interface {name} in this network namespace; if it was moved, remove it there"
                )
            if link.kind not in KINDS or marked_policy(link.alias) is None:
                raise AttachError(f"{name} was not made by evbagent attach, so it is left alone")
            instance = marked_vsi(link.alias)
            if instance is not None:
                from evbagent.attach_vsi import remove_guest

                return remove_guest(route, link, instance, state_directory(state_dir))
            route.delete(link.index)
    except NetlinkError as error:
        if error.errno == errno.EPERM:
            raise AttachError(f"removing {name} needs CAP_NET_ADMIN: run as root") from error
        raise AttachError(f"{name} is not removed: {error}") from error
    except OSError as error:
        raise AttachError(f"{name} is not removed: {error}") from error
    return []


def copy_notes(error: BaseException, failure: AttachError) -> AttachError:
    """The failure, with what was noted about the error that it comes from: what that has left behind."""
    for note in getattr(error, "__notes__", ()):
        failure.add_note(note)
    return failure


def _keep_up(
    route: "RouteSocket", link: "Link", made: Choice, interface: str, policy: str, directory: str, uplink: int
) -> Choice:
    """Follows an answer that changed while the device was made. An agent that has seen the device does the same."""
    for _ in range(ADJUSTMENTS):
        choice = _decide(interface, policy, directory, uplink)
        if choice.mode == made.mode:
            break
        route.set_macvlan_mode(link.index, link.kind or "", MACVLAN_MODES[choice.mode])
        made = choice
    return made


def _decide(interface: str, policy: str, directory: str, index: int | None = None) -> Choice:
    """The policy's choice at this moment."""
    _, relay, reason = _answer(interface, directory, index)
    return _under_policy(interface, policy, relay, reason)


def _under_policy(interface: str, policy: str, relay: str, reason: str) -> Choice:
    if policy in ("veb", "private"):
        return Choice(policy, f"the policy is {policy}", relay)
    if relay == "active":
        return Choice("vepa", reason, relay)
    if policy == "require-vepa":
        raise PolicyUnmet(f"{interface}: require-vepa is not met: {reason}")
    return Choice("veb", reason, relay)


def _answer(interface: str, directory: str, index: int | None = None) -> "tuple[dict[str, Any] | None, str, str]":
    """What the state file says of the uplink, whether it is reflected, and why.

    `index`: the uplink's where it is known, since the agent may speak of another interface of that name.
    """
    state = read_state(directory)
    if state.document is None:
        return None, "unknown", state.reason or ""
    uplink = state.uplink(interface)
    if uplink is None:
        return None, "unknown", f"the agent does not serve {interface}"
    if index is not None and uplink.get("ifindex") != index:
        return None, "unknown", f"the agent's {interface} is another interface than this network namespace's"
    return uplink, _relay(uplink), str(_forwarding(uplink).get("reason") or "the agent gives no reason")


def _forwarding(uplink: "dict[str, Any] | None") -> "dict[str, Any]":
    forwarding = uplink.get("forwarding") if uplink else None
    return forwarding if isinstance(forwarding, dict) else {}


def _relay(uplink: "dict[str, Any] | None") -> str:
    """Active only when both fields say so."""
    forwarding = _forwarding(uplink)
    relay = forwarding.get("reflective-relay")
    if relay == "active":
        return "active" if forwarding.get("mode") == "vepa" else "unknown"
    return "inactive" if relay == "inactive" else "unknown"


def _age(uplink: "dict[str, Any] | None") -> int:
    """How long ago, in microseconds, the uplink's answer became what it is; 0 if that cannot be told."""
    since = _forwarding(uplink).get("since-boottime-us")
    return max(0, boottime() - since) if isinstance(since, int) else 0


def _parent(route: "RouteSocket", interface: str, name: str) -> "Link":
    """The uplink, if a device can be made on it."""
    parent = _find(route, interface)
    if parent is None:
        raise AttachError(f"there is no network interface {interface} in this network namespace")
    if parent.kind in KINDS:
        # The kernel would quietly take the interface below it.
        raise AttachError(f"{interface} is itself a {parent.kind}: name the uplink that it is on")
    if parent.hardware_type != ARPHRD_ETHER:
        raise AttachError(f"{interface} is not an Ethernet interface")
    if _find(route, name) is not None:
        raise AttachError(f"there is a network interface {name} already: choose another name, or remove it first")
    return parent


def _find(route: "RouteSocket", name: str) -> "Link | None":
    """The interface of this name; none has one that the kernel would not even take in a question."""
    return route.get_link(name=name) if 0 < _octets(name) <= NAME_OCTETS else None


def _refusal(error: "NetlinkError", interface: str, name: str, mac: str | None) -> str:
    """The kernel's refusal in words."""
    match error.errno:
        case errno.EPERM:
            return f"making {name} needs CAP_NET_ADMIN: run as root"
        case errno.EEXIST:
            return f"there is a network interface {name} already: choose another name, or remove it first"
        case errno.EBUSY:
            return f"{interface} is in use by a bridge, a bond, a passthru device or the like: free it first"
        case errno.EADDRINUSE | errno.EADDRNOTAVAIL:
            return f"the address {mac or 'of ' + name} is in use on {interface} already: choose another"
        case errno.ENODEV:
            return f"{interface} is gone"
        case errno.EOPNOTSUPP | errno.EINVAL:
            return f"{interface} cannot have such a device, or the kernel lacks macvlan and macvtap: {error}"
        case _:
            return f"{name} is not made: {error}"


def _check_word(what: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise AttachError(f"there is no {what} {word!r}: choose one of {', '.join(words)}")


def _check_name(name: str) -> None:
    """The kernel's rule for interface names, less `%`, from which it would make a name of its own."""
    if not 0 < _octets(name) <= NAME_OCTETS:
        raise AttachError(f"{name!r} cannot be an interface's name: it has to have 1 to {NAME_OCTETS} octets")
    if name in (".", "..") or any(letter in "/:%\0" or letter.isspace() for letter in name):
        raise AttachError(f"{name!r} cannot be an interface's name: no '/', ':', '%', spaces, and neither '.' nor '..'")
    if name in ("all", "default"):
        raise AttachError(f"{name!r} cannot be an interface's name: in /proc/sys/net it stands for others")


def _octets(name: str) -> int:
    """The length of a name to the kernel; 0 for one that is not text."""
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        return 0


def _address(text: str) -> bytes:
    """Six octets that a device may have as its own address."""
    try:
        octets = [bytes.fromhex(octet) for octet in text.split(":")]
    except ValueError:
        octets = []
    address = b"".join(octets)
    if len(octets) != 6 or len(address) != 6:
        raise AttachError(f"{text!r} is not a MAC address: write six octets as in 02:00:00:00:00:0a")
    if address[0] & 1:
        raise AttachError(f"{text} is a group address, which no device can have: the first octet has to be even")
    if not any(address):
        raise AttachError(f"{text} is no address")
    return address


def _device_number(link: "Link") -> str | None:
    for path in (f"macvtap/tap{link.index}", f"tap{link.index}"):
        try:
            with open(f"/sys/class/net/{link.name}/{path}/dev", "rb") as file:
                return file.read().strip().decode()
        except OSError:
            continue
    return None
