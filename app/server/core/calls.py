"""Who calls the port, and who has called: counts, names and times, never a text.

A request is noted where it comes in (app/server/register.py), what it asks of engines where it asks (Switchboard).
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Protocol

from app.server.core.client import CLIENT_STATE, OWNER, Client
from app.server.core.client_name import client_name
from app.server.core.tally import Phase, Tally
from backends.bounds import as_name

MAX_CALLERS, MAX_LOGGED = 200, 500
MAX_SHOWN = 120  # characters of a model's name, of a path
REVOKED = "The key of this request was revoked while it was answered."
SAME_KEY = "The answer was stopped by another request with the same key."
LEFT = 499  # the status of an answer that its client did not wait for, as nginx has it


class Work(Protocol):
    """What is asked of an engine for a request: an Exchange."""

    tally: Tally

    @property
    def model(self) -> str: ...

    @property
    def phase(self) -> Phase: ...

    @property
    def read(self) -> float | None: ...

    def stop(self, why: str | None = None) -> None:
        """why: a sentence for its reader. None: the person has stopped it."""


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """A request that is being answered. since: seconds since the epoch. per_second: tokens; None: not known yet.
    read: how much of its prompts has been, 0 to 1, while they are."""

    id: int
    client: str
    key: str | None
    address: str
    dialect: str
    path: str
    model: str
    since: float
    phase: Phase
    num_tokens: int
    per_second: float | None
    read: float | None = None


@dataclass(frozen=True, slots=True)
class SeenCaller:
    """A program, by one key or address, with one model. id: two keys may have one name. last_seen: seconds since the
    epoch."""

    id: int
    client: str
    key: str | None
    address: str
    model: str
    num_requests: int = 0
    num_refused: int = 0
    num_prompt: int = 0
    num_tokens: int = 0
    last_seen: float = 0.0


@dataclass(frozen=True, slots=True)
class Logged:
    """A request that is over. ended: seconds since the epoch. model: empty where none was asked."""

    id: int
    ended: float
    seconds: float
    client: str
    key: str | None
    address: str
    dialect: str
    method: str
    path: str
    status: int
    model: str
    num_prompt: int
    num_tokens: int
    is_stopped: bool = False


@dataclass(slots=True)
class Call:
    """One request that is being answered. Belongs to the server's loop."""

    id: int
    client: str
    address: str
    dialect: str
    method: str
    path: str
    state: Mapping[str, Any]  # the request's: the guard says there whose it is
    began: float = field(default_factory=time.monotonic)
    status: int | None = None
    works: list[Work] = field(default_factory=list)
    is_expelled: bool = False  # its key holds no longer

    @property
    def key(self) -> str | None:
        return self._by.key

    @property
    def key_id(self) -> str | None:
        return self._by.key_id

    @property
    def _by(self) -> Client:
        by: Client = self.state.get(CLIENT_STATE, OWNER)  # whoever was not let in has no key
        return by

    @property
    def model(self) -> str:
        return as_name(self.works[-1].model, MAX_SHOWN) if self.works else ""

    def live(self, now: float) -> LiveRequest:
        """Of a call with works."""
        last = self.works[-1].tally
        return LiveRequest(
            self.id,
            self.client,
            self.key,
            self.address,
            self.dialect,
            self.path,
            self.model,
            time.time() - (now - self.began),
            self.works[-1].phase,
            sum(work.tally.num_tokens for work in self.works),
            last.per_second(now),
            self.works[-1].read,
        )

    def logged(self, now: float) -> Logged:
        tallies = [work.tally for work in self.works]
        return Logged(
            self.id,
            time.time(),
            now - self.began,
            self.client,
            self.key,
            self.address,
            self.dialect,
            self.method,
            self.path,
            LEFT if self.status is None else self.status,
            self.model,
            sum(each.num_prompt for each in tallies),
            sum(each.num_tokens for each in tallies),
            any(each.is_stopped for each in tallies),
        )


# of the task that answers a request: what it asks of engines is noted without every route knowing of it
CALL: ContextVar[Call | None] = ContextVar("call", default=None)


class CallBook:
    """Bounded. Changed on the server's loop alone; its lists may be read on any thread."""

    def __init__(self, log: Callable[[Logged], None] | None = None):
        """log: called on the loop with each request that is over."""
        self._log = log
        self._ids = count(1)
        self._caller_ids = count(1)
        self._calls: dict[int, Call] = {}
        self._callers: OrderedDict[tuple[str | None, str, str, str], SeenCaller] = OrderedDict()  # first: its key
        self._logged: deque[tuple[str | None, Logged]] = deque(maxlen=MAX_LOGGED)

    def begin(self, scope: MutableMapping[str, Any], dialect: str) -> Call:
        headers = {name: value for name, value in scope["headers"] if name == b"user-agent"}
        client = client_name(headers.get(b"user-agent", b"").decode("latin-1"))
        address = scope["client"][0] if scope.get("client") else ""
        path = as_name(scope["path"], MAX_SHOWN)
        state = scope.setdefault("state", {})
        call = Call(next(self._ids), client, address, dialect, scope["method"], path, state)
        self._calls[call.id] = call
        return call

    def end(self, call: Call) -> None:
        del self._calls[call.id]
        logged = call.logged(time.monotonic())
        self._logged.append((call.key_id, logged))
        self._add(call.key_id, logged)
        if self._log:
            self._log(logged)

    def live(self, by: Client = OWNER) -> list[LiveRequest]:
        """Those that have asked an engine for something, oldest first. by: who asks, and sees no more than its own."""
        now = time.monotonic()
        return [call.live(now) for call in list(self._calls.values()) if call.works and by.may_see(call.key_id)]

    def callers(self, by: Client = OWNER) -> list[SeenCaller]:
        """The last one seen first."""
        return [each for (key_id, *_), each in list(self._callers.items())[::-1] if by.may_see(key_id)]

    def logged(self, by: Client = OWNER) -> list[Logged]:
        """The newest first."""
        return [each for key_id, each in list(self._logged)[::-1] if by.may_see(key_id)]

    def stop(self, call_id: int, by: Client = OWNER) -> bool:
        """End its answers, with a sentence for its reader. On the loop. Whether this client has such a request."""
        call = self._calls.get(call_id)
        if call is None or not call.works or not by.may_see(call.key_id):
            return False
        for work in call.works:
            work.stop(None if by.is_owner else SAME_KEY)
        return True

    def expel(self, is_valid: Callable[[str], bool]) -> None:
        """End what is answered to keys that hold no longer. is_valid: by a key's id. On the loop."""
        for call in list(self._calls.values()):
            if call.key_id is not None and not is_valid(call.key_id):
                call.is_expelled = True
                for work in call.works:
                    work.stop(REVOKED)

    def _add(self, key_id: str | None, logged: Logged) -> None:
        key = key_id, logged.client, "" if key_id else logged.address, logged.model
        known = self._callers.pop(key, None) or SeenCaller(
            next(self._caller_ids), logged.client, logged.key, logged.address, logged.model
        )
        self._callers[key] = replace(
            known,
            address=logged.address,
            num_requests=known.num_requests + 1,
            num_refused=known.num_refused + (logged.status >= 400 and logged.status != LEFT),
            num_prompt=known.num_prompt + logged.num_prompt,
            num_tokens=known.num_tokens + logged.num_tokens,
            last_seen=logged.ended,
        )
        while len(self._callers) > MAX_CALLERS:
            self._callers.popitem(last=False)


def note(work: Work) -> None:
    """It is done for the request that this task answers; nothing happens outside of one."""
    call = CALL.get()
    if call is not None:
        call.works.append(work)
