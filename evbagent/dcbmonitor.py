"""News from the kernel about DCB settings: somebody has changed some, or firmware has."""

import socket
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from errno import ENOBUFS

from evbagent import rtnl
from evbagent.dcbnl import RTM_GETDCB, RTM_SETDCB, DcbMessage

GATHER_SECONDS = 0.05
DATAGRAMS_PER_WAKE_UP = 64


class DcbMonitor:
    """Calls `on_change` with the names of interfaces whose settings may have changed; None: of which cannot be told.

    One change makes several messages, so it waits a moment. What the news say is not looked at: the settings are read
    anew, from the kernel.
    """

    def __init__(self, on_change: Callable[[frozenset[str] | None], None]) -> None:
        self._on_change = on_change
        self._loop: AbstractEventLoop | None = None
        self._socket: socket.socket | None = None
        self._names: set[str] = set()
        self._all = False
        self._timer: TimerHandle | None = None

    def start(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._socket = rtnl.subscribe(1 << 18, rtnl.RTMGRP_DCB)
        loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None and self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE_UP):
            assert self._socket is not None
            try:
                data = self._socket.recv(rtnl.DATAGRAM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                self._all = True
                continue
            self._take(data)
        if (self._names or self._all) and self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(GATHER_SECONDS, self._tell)

    def _take(self, data: bytes) -> None:
        for kind, _, offset in rtnl.messages(data):
            if kind in (RTM_GETDCB, RTM_SETDCB):
                message = DcbMessage(data, offset=offset)
                message.decode()
                name = message.values().get("DCB_ATTR_IFNAME")
                if isinstance(name, str):
                    self._names.add(name)
                else:
                    self._all = True

    def _tell(self) -> None:
        names, self._names = frozenset(self._names), set()
        everything, self._all = self._all, False
        self._timer = None
        self._on_change(None if everything else names)
