"""The kernel's DCB settings of NICs, read and changed.

A NIC whose driver has no DCB answers everything with EOPNOTSUPP, which is no error here: there is nothing to read then.
What a driver refuses to set is told in one octet of an answer that is otherwise a success.
"""

from collections.abc import Callable, Mapping
from errno import EINVAL, EOPNOTSUPP, EPERM
from typing import Any, Self

from evbagent.dcbnl import (
    APP,
    RTM_GETDCB,
    RTM_SETDCB,
    Cee,
    Command,
    DcbChange,
    DcbMessage,
    DcbxMode,
    Ets,
    Ieee,
    Pfc,
    dcb_request,
    pack_ets,
    pack_pfc,
    read_cee,
    read_ieee,
)
from evbagent.rtnl import NetlinkError, RequestSocket
from protocols.dcbx.model import Application


class DcbSocket:
    """Asks and changes one setting at a time. All raise NetlinkError: ENODEV when there is no such interface."""

    def __init__(self) -> None:
        self._requests = RequestSocket()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._requests.close()

    def mode(self, name: str) -> DcbxMode | None:
        """Who runs DCBX; None: the driver does not say."""
        answer = self.get(name, Command.GDCBX)
        mode = None if answer is None else answer.get("DCB_ATTR_DCBX")
        return None if mode is None else DcbxMode(mode)

    def take_over(self, name: str) -> None:
        """Have the host run DCBX, by IEEE's settings. Drivers answer anything at all, so what counts is what they say

        afterwards.
        """
        wanted = DcbxMode.HOST | DcbxMode.IEEE
        asked = "set the DCBX mode to host and IEEE"
        self.change(name, Command.SDCBX, ("DCB_ATTR_DCBX", int(wanted)), asked, accept=lambda octet: True)
        found = self.mode(name)
        if found is None or found & wanted != wanted or DcbxMode.LLD_MANAGED in found:
            raise NetlinkError(EINVAL, f"{name}: {asked}", f"it is {mode_words(found)} afterwards")

    def set_mode(self, name: str, mode: DcbxMode) -> None:
        """As it was; the answer is of no use."""
        self.change(name, Command.SDCBX, ("DCB_ATTR_DCBX", int(mode)), "restore the DCBX mode", lambda octet: True)

    def ieee(self, name: str) -> Ieee | None:
        """The settings in force and, where firmware runs DCBX, the peer's; None: the NIC has no DCB."""
        answer = self.get(name, Command.IEEE_GET)
        return None if answer is None else read_ieee(answer)

    def cee(self, name: str) -> Cee | None:
        """What firmware that runs CEE tells of itself and its peer; None: there is nothing of the kind."""
        answer = self.get(name, Command.CEE_GET)
        return None if answer is None else read_cee(answer)

    def set_ieee(self, name: str, ets: Ets | None = None, pfc: Pfc | None = None) -> None:
        """Both in one message: some drivers reset the port at each."""
        settings: list[tuple[str, object]] = []
        if ets is not None:
            settings.append(("DCB_ATTR_IEEE_ETS", pack_ets(ets)))
        if pfc is not None:
            settings.append(("DCB_ATTR_IEEE_PFC", pack_pfc(pfc)))
        what = " and ".join(word for word, value in (("ETS", ets), ("PFC", pfc)) if value is not None)
        self.change(name, Command.IEEE_SET, ("DCB_ATTR_IEEE", {"attrs": settings}), f"set {what}")

    def add_app(self, name: str, app: Application) -> None:
        """EEXIST when it is there."""
        self._app(name, Command.IEEE_SET, app, "add")

    def delete_app(self, name: str, app: Application) -> None:
        """ENOENT when it is not there."""
        self._app(name, Command.IEEE_DEL, app, "delete")

    def capabilities(self, name: str) -> Mapping[str, int] | None:
        """DCB_CMD_GCAP, by the attributes' names without DCB_CAP_ATTR_; those that the driver tells."""
        answer = self.get(name, Command.GCAP, ("DCB_ATTR_CAP", {"attrs": [("DCB_CAP_ATTR_ALL", None)]}))
        if answer is None or "DCB_ATTR_CAP" not in answer:
            return None
        found = answer["DCB_ATTR_CAP"].values()
        return {key.removeprefix("DCB_CAP_ATTR_"): value for key, value in found.items() if value is not None}

    def get(self, name: str, command: Command, *attributes: tuple[str, object]) -> dict[str, Any] | None:
        """The attributes of the answer by name; None where the driver lacks the operation."""
        asked = f"{name}: read DCB settings ({command.name})"
        try:
            message = self._requests.get(dcb_request(DcbMessage, RTM_GETDCB, name, command, attributes), asked)
        except NetlinkError as error:
            if error.errno == EOPNOTSUPP:
                return None
            raise
        values: dict[str, Any] = message.values()
        return values

    def change(
        self,
        name: str,
        command: Command,
        attribute: tuple[str, object],
        asked: str,
        accept: Callable[[int], bool] = lambda octet: octet == 0,
    ) -> None:
        """Have something set. NetlinkError also when the answer's octet says so."""
        asked = f"{name}: {asked}"
        try:
            message = self._requests.get(dcb_request(DcbChange, RTM_SETDCB, name, command, [attribute]), asked)
        except NetlinkError as error:
            if error.errno == EPERM:
                words = "it takes CAP_NET_ADMIN in the first user namespace"
                raise NetlinkError(error.errno, asked, words) from error
            raise
        octet = message.values().get(attribute[0])
        if octet is None:
            raise NetlinkError(EINVAL, asked, "the kernel's answer does not say how it came out")
        if not accept(octet):
            # The low octet of a negative errno; setters of CEE say 1 for no.
            raise NetlinkError(256 - octet if octet >= 128 else EINVAL, asked, f"the driver answers {octet:#04x}")

    def _app(self, name: str, command: Command, app: Application, verb: str) -> None:
        packed = APP.pack(app.selector, app.priority, app.protocol)
        table = {"attrs": [("DCB_ATTR_IEEE_APP", packed)]}
        setting = "DCB_ATTR_IEEE", {"attrs": [("DCB_ATTR_IEEE_APP_TABLE", table)]}
        self.change(name, command, setting, f"{verb} application {app.selector}/{app.protocol:#x}:{app.priority}")


def mode_words(mode: DcbxMode | None) -> str:
    """In the words of dcb-dcbx(8)."""
    if mode is None:
        return "unknown"
    names = {DcbxMode.LLD_MANAGED: "lld-managed"}
    return " ".join(names.get(flag, str(flag.name).lower()) for flag in DcbxMode if flag in mode) or "none"
