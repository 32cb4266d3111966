"""The control sockets: one reply to each request, and a private stream for each client that watches, waits or changes.

Anybody may write to one of them. The other is for those who may have something changed: the agent's group. Whether a
client is one of it is the kernel's judgement, by the file's mode, as with any other file.

asyncio-dgram receives the requests, and sends nothing (see `replies`). Events go through socket pairs: the client gets
the other end with the reply; ours says at once when the client is gone.
"""

import logging
import os
import resource
from asyncio import CancelledError, Task, TimerHandle, create_task, get_running_loop, sleep
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msgspec import Raw
from msgspec.json import encode

from evbagent.exchange import ControlError as ControlError
from evbagent.exchange import Exchange, OrderExchange, VsiExchange, VsiSession, decode_strictly
from evbagent.listening import Listener
from evbagent.messages import (
    CHANGE_SOCKET_NAME,
    INLINE_OCTETS,
    MAX_REQUEST_OCTETS,
    VERSION,
    BadRequest,
    check_id,
    check_request,
)
from evbagent.replies import Address, Replies
from evbagent.share import Share
from evbagent.stream import Backlog, LongAnswer, Pair, Stream
from evbagent.waiting import Waiting

log = logging.getLogger(__name__)

MAX_STREAMS = 1024
KEPT_STREAMS = 64
"""So many more for those who may change something."""
MAX_LONG_ANSWERS = 256
KEPT_LONG_ANSWERS = 64
MAX_LONG_OCTETS = 32 << 20
KEPT_LONG_OCTETS = 32 << 20
"""Of answers that have not been read; a longer one is given when there is no other."""
MOST_EVENTS_S, SHARE_OF_EVENTS = 0.1, 0.5
"""To give events to those who watch: so much at once, and so much of the time."""
TELL_SKIPPED_S = 0.5
LOOK_S = 10.0
"""How often is looked whether clients still find us."""


class Handler(Protocol):
    """Who knows the answers. All raise ControlError for what there is not."""

    def show(self, what: str, glob: str | None) -> Any: ...
    def holds(self, interface: str, condition: str) -> bool: ...

    def open_vsi(self, interface: str, answer: Callable[[list[dict[str, Any]]], None]) -> VsiSession:
        """A session of requests about the interface's VSIs, which go to `answer`, in any order."""

    def withdraw(self, interface: str | None, instance: str | None) -> list[dict[str, Any]]:
        """As a switch, deassociate the VSIs meant (None: all), and say which those were."""

    def reload(self) -> None:
        """Read the configuration again."""

    def change_dcb(self, interface: str, action: str) -> list[dict[str, Any]]:
        """Have the NIC's DCB settings written, or restored, and say what has been changed."""


@dataclass(frozen=True, slots=True)
class _Asker:
    """Whom to answer. `permitted`: may have something changed."""

    address: Address
    permitted: bool
    request_id: int | str | None = None


class ControlServer:
    """Serves two sockets side by side, the one at `path` and that for changes.

    `publish` may be called at any time between `start` and `close`.
    """

    def __init__(self, path: Path, handler: Handler) -> None:
        self.ignored_requests = 0
        self._path = path
        self._handler = handler
        self._listeners: list[Listener] = []
        self._keeper: Task[None] | None = None
        self._names = {str(path), str(path.with_name(CHANGE_SOCKET_NAME))}
        self._receiving: list[Task[None]] = []
        self._watching: dict[Stream, str | None] = {}
        self._waiting = Waiting(handler.holds)
        self._exchanges: set[Exchange] = set()
        self._long_answers: set[LongAnswer] = set()
        self._backlog = Backlog()
        self._share = Share(MOST_EVENTS_S, SHARE_OF_EVENTS)
        self._telling: TimerHandle | None = None
        self._refused = 0
        self._errors = 0
        self.replies = Replies()

    async def start(self) -> None:
        """Listen. OSError when the path is too long or somebody else's; a dead agent's socket there is replaced."""
        await self._listen()
        self._keeper = create_task(self._keep_listening())

    async def _listen(self) -> None:
        from asyncio_dgram import from_socket  # after the first frames are out: it takes 20 ms to import

        opened: list[Any] = []
        try:
            for path, mode in ((self._path, 0o666), (self._path.with_name(CHANGE_SOCKET_NAME), 0o660)):
                self._listeners.append(Listener(path, mode))
                opened.append(await from_socket(self._listeners[-1].socket.dup()))
        except BaseException:
            for requests in opened:
                requests.close()
            self._stop_listening()
            raise
        self.replies.open([listener.socket for listener in self._listeners])
        anybody, permitted = opened
        self._receiving = [create_task(self._receive(anybody, False)), create_task(self._receive(permitted, True))]

    async def _keep_listening(self) -> None:
        """A state directory that was lost is made again by who writes the state, and its sockets by us."""
        while True:
            await sleep(LOOK_S)
            if self._listeners and all(listener.is_found for listener in self._listeners):
                continue
            self._stop_listening()
            try:
                await self._listen()
            except OSError as error:
                log.debug("control socket: %s", error)
            else:
                log.warning("control socket: %s had been removed, and is there again", self._path)

    def close(self) -> None:
        """Tell those who wait, hang up on those who watch, withdraw the socket."""
        for stream in [*self._watching, *self._waiting, *self._exchanges]:
            stream.send({"event": "ending"}, last=True)
            self._end(stream)
        for answer in list(self._long_answers):
            self._let_go(answer)
        self._waiting.close()
        if self._telling:
            self._telling.cancel()
        self.replies.close()
        if self._keeper:
            self._keeper.cancel()
        self._stop_listening()

    def _stop_listening(self) -> None:
        for task in self._receiving:
            task.cancel()
        for listener in self._listeners:
            listener.close()
        self._receiving.clear()
        self._listeners.clear()

    @property
    def is_watched(self) -> bool:
        """Whether an event would reach anybody: it costs something to put one into words."""
        return bool(self._watching or self._waiting)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Give an event to those who watch its interface, and look again at what others wait for."""
        self._waiting.doubt()
        if not self._watching:
            return
        if self._share.is_used_up:
            self._skip()
            return
        with self._share:
            interface = event.get("interface")
            message = encode({"v": VERSION, **event})
            for stream, glob in list(self._watching.items()):
                if glob is None or interface is None or fnmatchcase(interface, glob):
                    stream.tell(message)

    def _skip(self) -> None:
        """Too many events for too many clients: nobody is given this one, and all are told that there was one."""
        self._backlog.skipped += 1
        if self._telling is None:
            self._telling = get_running_loop().call_later(TELL_SKIPPED_S, self._tell_skipped)

    def _tell_skipped(self) -> None:
        self._telling = None
        for stream in list(self._watching):
            stream.tell_skipped()

    @property
    def counters(self) -> dict[str, int]:
        """What its clients take, and what they were refused or have lost."""
        return {
            "control-streams": len(self._watching) + len(self._waiting) + len(self._exchanges),
            "control-long-answers": len(self._long_answers),
            "control-refused": self._refused + sum(exchange.refused for exchange in self._exchanges),
            "control-errors": self._errors + sum(exchange.errors for exchange in self._exchanges),
            "control-ignored": self.ignored_requests,
            "control-late-looks": self._waiting.late,
            "control-paused-sessions": sum(exchange.is_paused for exchange in self._exchanges),
            "control-lost-replies": self.replies.lost,
            "control-lost-events": self._backlog.lost,
            "control-skipped-events": self._backlog.skipped,
        }

    async def _receive(self, listener: Any, permitted: bool) -> None:
        from asyncio_dgram import TransportClosed

        try:
            while True:
                try:
                    data, address = await listener.recv()
                except CancelledError:
                    raise
                except OSError as error:
                    log.debug("control socket: %s", error)
                    continue
                except TransportClosed:
                    log.error("control socket: closed by an error; the agent goes on without it")
                    return
                # Who has no name cannot be answered. Our own name would have us answer ourselves, and again.
                if address and os.fspath(address) not in self._names:
                    self._take(data, _Asker(address, permitted))
                else:
                    self.ignored_requests += 1
        finally:
            listener.close()

    def _take(self, data: bytes, asker: _Asker) -> None:
        try:
            document = decode_strictly(data, MAX_REQUEST_OCTETS)
            if isinstance(document, dict) and ("ok" in document or "event" in document):
                self.ignored_requests += 1  # the answer of another such server: to answer it would never end
                return
            asker = replace(asker, request_id=check_id(document))
            self._answer(check_request(document), asker)
        except (BadRequest, ControlError) as error:
            self._reply_error(asker, str(error))
        except Exception:
            # One client's request must not end the service for all others.
            log.exception("control socket: request failed")
            self._reply_error(asker, "the agent failed to answer; its log says why")

    def _answer(self, request: dict[str, Any], asker: _Asker) -> None:
        match request["op"]:
            case "ping":
                self._reply(asker, {"version": VERSION})
            case "show":
                self._reply(asker, self._handler.show(request["what"], request.get("interface")))
            case "watch":
                self._watching[self._stream(asker)] = request.get("interface")
            case "wait":
                self._wait(request, asker)
            case "vsi":
                self._check_room(asker)
                open_session = partial(self._handler.open_vsi, request["interface"])
                self._exchange(VsiExchange(open_session, self._end, asker.permitted), asker)
            case "switch-deassociate":
                withdraw = partial(self._handler.withdraw, request.get("interface"), request.get("instance"))
                self._order(withdraw, "withdrawn", asker)
            case "reload":
                self._order(self._reload, "", asker)
            case "dcbx":
                change = partial(self._handler.change_dcb, request["interface"], request["action"])
                self._order(change, "changes", asker)

    def _reload(self) -> list[dict[str, Any]]:
        self._handler.reload()
        return []

    def _wait(self, request: dict[str, Any], asker: _Asker) -> None:
        held = self._handler.holds(request["interface"], request["for"])
        stream = self._stream(asker)
        self._waiting.add(stream, request["interface"], request["for"], request.get("timeout"))
        if held:
            stream.send({"held": True}, last=True)

    def _order(self, carry_out: Callable[[], list[dict[str, Any]]], key: str, asker: _Asker) -> None:
        self._check_room(asker)
        self._exchange(OrderExchange(carry_out, key, self._end, asker.permitted), asker)

    def _exchange(self, exchange: Exchange, asker: _Asker) -> None:
        self._exchanges.add(exchange)
        self._hand_over(exchange, asker)

    def _stream(self, asker: _Asker) -> Stream:
        """A new stream, its other end sent to the client."""
        self._check_room(asker)
        stream = Stream(self._end, self._backlog)
        self._hand_over(stream, asker)
        return stream

    def _check_room(self, asker: _Asker) -> None:
        # Each takes a file descriptor, and the agent's other work needs some too.
        limit = min(MAX_STREAMS, _open_files() // 2)
        limit += KEPT_STREAMS if asker.permitted else 0
        if len(self._watching) + len(self._waiting) + len(self._exchanges) >= limit:
            self._refused += 1
            raise ControlError(f"{limit} clients are watching or waiting already")

    def _hand_over(self, pair: Pair, asker: _Asker) -> None:
        descriptor = pair.client_end.detach()
        self.replies.send(
            asker.address, encode({"v": VERSION, "id": asker.request_id, "ok": True, "fd": True}), descriptor
        )

    def _end(self, pair: Pair) -> None:
        match pair:
            case Stream() if pair in self._watching:
                del self._watching[pair]
            case Stream() if pair in self._waiting:
                self._waiting.remove(pair)
            case Exchange() if pair in self._exchanges:
                self._exchanges.remove(pair)
                self._refused += pair.refused
                self._errors += pair.errors
            case _:
                return
        pair.close()

    def _reply(self, asker: _Asker, data: Any) -> None:
        body = encode(data)
        head = {"v": VERSION, "id": asker.request_id, "ok": True}
        if len(body) <= INLINE_OCTETS:
            self.replies.send(asker.address, encode({**head, "data": Raw(body)}))
        else:
            descriptor = self._long_answer(body, asker.permitted)
            self.replies.send(asker.address, encode({**head, "fd": True}), descriptor)

    def _long_answer(self, body: bytes, permitted: bool) -> int:
        """A descriptor to read it from."""
        most, most_octets = min(MAX_LONG_ANSWERS, _open_files() // 8), MAX_LONG_OCTETS
        if permitted:
            most, most_octets = most + KEPT_LONG_ANSWERS, most_octets + KEPT_LONG_OCTETS
        octets = sum(answer.octets for answer in self._long_answers)
        if len(self._long_answers) >= most or (octets and octets + len(body) > most_octets):
            self._refused += 1
            raise ControlError("others have not read their answers, and there is no room for one more: ask again later")
        answer = LongAnswer(body, self._let_go)
        self._long_answers.add(answer)
        return answer.client_end.detach()

    def _let_go(self, answer: LongAnswer) -> None:
        if answer in self._long_answers:
            self._long_answers.remove(answer)
            answer.close()

    def _reply_error(self, asker: _Asker, text: str) -> None:
        self._errors += 1
        self.replies.send(asker.address, encode({"v": VERSION, "id": asker.request_id, "ok": False, "error": text}))


def _open_files() -> int:
    """How many this process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
