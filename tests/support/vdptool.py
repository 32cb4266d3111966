"""VSIs of lldpad's station: made and asked for with vdptool (ratified), lldptool (draft) or libvirt's netlink messages.

lldpad in the bridge role shows its VSIs to nobody ("Command not applicable"): what it holds is seen on the wire alone.
"""

import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from tests.support.namespaces import Namespace
from tests.support.peers import Lldpad, lldpad_tool
from tests.support.require import require_peer
from tests.support.vdpdus import (
    ASSOCIATE,
    DEASSOCIATE,
    GROUP_MAC_VID,
    GROUP_VID,
    MAC_VID,
    PREASSOCIATE,
    PREASSOCIATE_RR,
    VID,
    VsiOctets,
)

MODES: Mapping[int, str] = {
    PREASSOCIATE: "preassoc",
    PREASSOCIATE_RR: "preassoc-rr",
    ASSOCIATE: "assoc",
    DEASSOCIATE: "deassoc",
}
UNANSWERED = 255  # what lldpad shows as the response of a VSI whose request the bridge has not answered
NOT_REPORTED = 0xFFFF


@dataclass(frozen=True, slots=True)
class ShownVsi:
    """One VSI in vdptool's words. `mode` is what was asked for last, be it confirmed or not: see `response`."""

    mode: str
    manager: str
    type_id: int
    version: int
    uuid: str
    response: int
    filters: tuple[str, ...]

    @property
    def confirmed(self) -> bool:
        return self.response == 0


class Vdptool:
    """The ratified VSIs of one interface of a station's lldpad.

    What this lldpad does, measured with 1.1+git20221028:
    - Nothing is accepted ("Device not found") before its EVB TLV is up, some 2 to 3 s after its start.
    - One ECPDU for each VSI, one per ack timer (10 us x 2^RTE). Its response timer runs from the moment of the request,
      so of 200 VSIs asked for at once with RTE 14 and RWD 20 the last 92 are given up while they wait to be sent.
    - Without a UUID it lists no VSI at all, and reports success, when there are more than some 24 of them.
    - A VSI that was refused, timed out, or deassociated by the bridge is gone from the list without a word.
    """

    def __init__(self, lldpad: Lldpad, interface: str) -> None:
        require_peer("vdptool")
        self.namespace = lldpad.namespace
        self.interface = interface

    def ask(self, vsi: VsiOctets, kind: int | None = None, *more: str) -> None:
        """Ask for one VSI as `kind` (the VSI's own when not given); RuntimeError with lldpad's words if it refuses."""
        lldpad_tool(self.namespace, self._set(vsi, kind, *more))

    def ask_all(self, vsis: Sequence[VsiOctets], kind: int | None = None) -> None:
        """Ask for many VSIs from one shell, 1 ms each; RuntimeError with lldpad's words if it refuses any."""
        script = "set -e\n" + "".join(" ".join(self._set(vsi, kind)) + "\n" for vsi in vsis)
        self.namespace.run(["sh"], input=script, timeout=60)

    def ask_and_wait(self, vsi: VsiOctets, kind: int | None = None, *more: str) -> str:
        """vdptool -W: its words about the bridge's answer; none when none came in 5 s, which is a success for it."""
        return self.namespace.run(["vdptool", "-W", *self._set(vsi, kind, *more)[1:]]).stdout

    def find(self, vsi: VsiOctets, kind: int | None = None) -> ShownVsi | None:
        """The VSI with this UUID, when it was last asked for as `kind`."""
        found = self._shown(kind or vsi.kind, "-c", f"uuid={vsi.uuid}")
        return found[0] if found else None

    def confirmed(self, vsis: Iterable[VsiOctets], kind: int | None = None) -> list[VsiOctets]:
        """Those of the VSIs that the bridge has granted. Asked one by one, some 2 ms each."""
        answers = ((vsi, self.find(vsi, kind)) for vsi in vsis)
        return [vsi for vsi, shown in answers if shown is not None and shown.confirmed]

    def listed(self, kind: int = ASSOCIATE) -> list[ShownVsi]:
        """All VSIs in this mode, newest first; empty, too, when they are more than some 24."""
        return self._shown(kind)

    def _set(self, vsi: VsiOctets, kind: int | None, *more: str) -> list[str]:
        mode = MODES[kind or vsi.kind]
        words = [
            f"mode={mode}",
            f"mgrid2={UUID(bytes=vsi.manager)}",
            f"typeid={vsi.type_id}",
            f"typeidver={vsi.version}",
            f"uuid={vsi.uuid}",
            f"hints={_HINTS[vsi.status]}",
            *(f"filter={text}" for text in filter_texts(vsi)),
            *more,
        ]
        command = ["vdptool", "-T", "-i", self.interface, "-V", mode]
        return command + [word for argument in words for word in ("-c", argument)]

    def _shown(self, kind: int, *words: str) -> list[ShownVsi]:
        printed = lldpad_tool(self.namespace, ["vdptool", "-t", "-i", self.interface, "-V", MODES[kind], *words])
        shown: list[ShownVsi] = []
        for block in printed.split("VSI ")[1:]:
            pairs = [line.split("=", 1) for line in block.splitlines() if "=" in line]
            items = {key.strip(): value.strip() for key, value in pairs}
            shown.append(
                ShownVsi(
                    items["mode"],
                    items["mgrid2"],
                    int(items["typeid"]),
                    int(items["typeidver"]),
                    items["uuid"],
                    int(items["hints"]),
                    tuple(value.strip() for key, value in pairs if key.strip() == "filter"),
                )
            )
        return shown


def cisco(*, name: str | None = None, uuid: str | None = None, address: str | None = None) -> list[str]:
    """vdptool's words for Cisco's organizational TLVs; one argument for each key, and no name, no name TLV."""
    keys = {"vm_name": name, "vm_uuid": uuid, "ipv4_addr": address}
    return [f"oui=cisco,{key}={value}" for key, value in keys.items() if value is not None]


def filter_texts(vsi: VsiOctets) -> list[str]:
    """The filter entries as vdptool wants them; the VLAN's number has PS and PCP in its upper bits."""
    return [_FILTER_TEXTS[vsi.filter_format](entry) for entry in vsi.entries]


class DraftVsis:
    """The draft VSIs of one interface of a station's lldpad, by lldptool. (MAC_VID filters of one entry.)

    lldpad puts all VSIs that still wait for their answer into each ECPDU, newest first; those that were deassociated or
    refused ride in all later ECPDUs, as DeAssociates, until they are polled for by netlink. An ECPDU holds 37 VSIs. A
    request that comes while one is under way may be left unsent until there is another request.
    """

    def __init__(self, lldpad: Lldpad, interface: str) -> None:
        self.namespace = lldpad.namespace
        self.interface = interface

    def ask_all(self, vsis: Sequence[VsiOctets], kind: int | None = None) -> None:
        """Ask for VSIs from one shell, 1 to 3 ms each."""
        head = f"lldptool -T -i {self.interface} -g ncb -V vdp -c mode="
        lines = (head + _draft_text(vsi, kind or vsi.kind) + "\n" for vsi in vsis)
        self.namespace.run(["sh"], input="set -e\n" + "".join(lines), timeout=60)

    def modes(self) -> str:
        """lldptool's list, as it is: at most three VSIs (its buffer has 256 octets). LibvirtMessages.poll has all."""
        return self.namespace.run(
            ["lldptool", "-t", "-i", self.interface, "-g", "ncb", "-V", "vdp", "-c", "mode"]
        ).stdout


class LibvirtMessages:
    """libvirt's netlink dialogue with whose number is in lldpad's pid file (lldpad-interfaces.md section 2).

    One octet of manager ID, one MAC/VID filter entry, no hint. A context manager: it owns a socket, at which
    notifications arrive.
    """

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self.namespace = namespace
        self.interface = interface
        self.index = namespace.interface_index(interface)
        self.socket = _netlink_socket(namespace)
        self._sequence = 0

    def __enter__(self) -> "LibvirtMessages":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def ask(self, vsi: VsiOctets, kind: int | None = None) -> int:
        """RTM_SETLINK for one VSI; the errno of lldpad's reply, 0 when it has accepted it."""
        kind_of_reply, reply = self._exchange(_RTM_SETLINK, self._port(vsi, kind))
        assert kind_of_reply == _NLMSG_ERROR, f"the agent replied {kind_of_reply} {reply.hex()}"
        return -int(struct.unpack_from("=i", reply)[0])

    def ask_all(self, vsis: Sequence[VsiOctets]) -> list[tuple[int, float]]:
        """All of them before any reply is read, as by as many threads: errno of each, and after how many seconds."""
        with ExitStack() as stack:
            askers = [stack.enter_context(_netlink_socket(self.namespace)) for _ in vsis]
            messages = [self._message(_RTM_SETLINK, self._port(vsi, None)) for vsi in vsis]
            destination = published(self.namespace), 0
            sent = []
            for asker, message in zip(askers, messages, strict=True):
                asker.settimeout(5)
                sent.append(time.monotonic())
                asker.sendto(message, destination)
            replies = []
            for asker, begun in zip(askers, sent, strict=True):
                errno = -struct.unpack_from("=i", asker.recv(65536), _NLMSGHDR.size)[0]
                replies.append((errno, time.monotonic() - begun))
            return replies

    def poll(self) -> dict[str, int]:
        """RTM_GETLINK: the response for each UUID, NOT_REPORTED while there is none; polled VSIs that ended are gone.

        lldpad leaves out what does not fit into 4096 octets: some 90 VSIs do.
        """
        kind, reply = self._exchange(_RTM_GETLINK, _attribute(29, struct.pack("=I", 1)))
        assert kind == _NLMSG_DONE, f"lldpad replied {kind} {reply.hex()}"
        found: dict[str, int] = {}
        for kind, ports in _attributes(reply[_IFINFOMSG.size :]):
            for _, port in _attributes(ports) if kind == 24 else ():
                values = dict(_attributes(port))
                response = int(struct.unpack_from("=H", values[7])[0]) if 7 in values else NOT_REPORTED
                found[str(UUID(bytes=values[4]))] = response
        return found

    def notification(self, timeout: float = 5.0) -> str | None:
        """The UUID of the next VSI that lldpad says the bridge has ended; None when it says none."""
        self.socket.settimeout(timeout)
        try:
            message = self.socket.recv(65536)
        except TimeoutError:
            return None
        for kind, ports in _attributes(message[_NLMSGHDR.size + _IFINFOMSG.size :]):
            for _, port in _attributes(ports) if kind == 24 else ():
                return str(UUID(bytes=dict(_attributes(port))[4]))
        return None

    def _port(self, vsi: VsiOctets, kind: int | None) -> bytes:
        [entry] = vsi.entries
        mac, vid = entry[:6], int.from_bytes(entry[6:], "big")
        itself = 0xFFFFFFFF
        info = _attribute(1, struct.pack("=I", itself) + mac.ljust(32, b"\0"))
        info += _attribute(2, struct.pack("=III", itself, vid, 0))
        manager_and_type = vsi.manager[:1] + vsi.type_id.to_bytes(3, "little") + bytes([vsi.version, 0, 0, 0])
        port = _attribute(3, manager_and_type) + _attribute(4, vsi.vsi_id)
        port += _attribute(6, bytes([(kind or vsi.kind) - 1]))
        body = _attribute(3, self.interface.encode() + b"\0")
        return body + _nested(22, _nested(1, info)) + _nested(24, _nested(1, port))

    def _message(self, kind: int, body: bytes) -> bytes:
        self._sequence += 1
        owner = self.socket.getsockname()[0]
        payload = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, self.index, 0, 0) + body
        return _NLMSGHDR.pack(_NLMSGHDR.size + len(payload), kind, _REQUEST_ACK, self._sequence, owner) + payload

    def _exchange(self, kind: int, body: bytes) -> tuple[int, bytes]:
        # Requests come from a socket of their own; replies go there, notifications to the port ID in the header.
        message = self._message(kind, body)
        with _netlink_socket(self.namespace) as asker:
            asker.settimeout(5)
            asker.sendto(message, (published(self.namespace), 0))
            reply = asker.recv(65536)
        _, kind, _, sequence, _ = _NLMSGHDR.unpack_from(reply)
        assert sequence == self._sequence
        return kind, reply[_NLMSGHDR.size :]


def published(namespace: Namespace) -> int:
    """The port id in the pid file, which libvirt reads for each request."""
    return int((namespace.root / "run/lldpad.pid").read_text().strip("\0\n"))


def _netlink_socket(namespace: Namespace) -> socket.socket:
    opened = namespace.call(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    opened.bind((0, 0))
    return opened


def _attribute(kind: int, value: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(value), kind) + value).ljust((4 + len(value) + 3) & ~3, b"\0")


def _nested(kind: int, value: bytes) -> bytes:
    return _attribute(kind | 0x8000, value)


def _attributes(octets: bytes) -> Iterable[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(octets):
        length, kind = struct.unpack_from("=HH", octets, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, octets[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _draft_text(vsi: VsiOctets, kind: int) -> str:
    [entry] = vsi.entries
    mac, vid = entry[:6].hex(":"), int.from_bytes(entry[6:], "big")
    words = (kind - 1, vsi.manager[0], vsi.type_id, vsi.version, vsi.uuid, MAC_VID, mac, vid)
    return ",".join(str(word) for word in words)


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


_FILTER_TEXTS = {
    VID: lambda entry: f"{_number(entry)}",
    MAC_VID: lambda entry: f"{_number(entry[6:])}-{entry[:6].hex(':')}",
    GROUP_VID: lambda entry: f"{_number(entry[4:])}--{_number(entry[:4])}",
    GROUP_MAC_VID: lambda entry: f"{_number(entry[10:])}-{entry[4:10].hex(':')}-{_number(entry[:4])}",
}
_HINTS = {0x00: "none", 0x10: "to", 0x20: "from"}

_NLMSGHDR = struct.Struct("=IHHII")
_IFINFOMSG = struct.Struct("=BxHiII")
_NLMSG_ERROR, _NLMSG_DONE, _RTM_GETLINK, _RTM_SETLINK = 2, 3, 18, 19
_REQUEST_ACK = 0x05
