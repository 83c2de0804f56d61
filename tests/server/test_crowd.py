"""64 clients in three dialects, of whom a third leave, while models are unloaded and loaded again: no wrong answer,
nothing that grows, and no process left behind."""

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.errors import UnknownModelError
from app.inference.supervisor import EngineHandle, Supervisor
from app.server.core.directory import ModelFacts
from backends.protocol import EngineOptions
from tests.server.conftest import SECONDS, Directory, Port, serve
from tests.server.crowd import NUM_CLIENTS, Holdings, assert_stays
from tests.server.dialects import DIALECTS, Dialect, ToldFault
from tests.server.test_disconnect import send_request

MODELS = {"red": "red-quick", "green": "green-2ms", "blue": "blue-quick"}
VISITS_PER_SWITCH = 50
NUM_FIRST, NUM_REST = 64, 128  # visits of the short form: after the first, nothing may grow
MINUTE = 60.0  # the long form has one, and then four
MAX_GROWTH = 32 << 20  # bytes of the application's process, where the clients are as well
PASSING = ("port-call", *(f"engine-{name}" for name in MODELS))  # threads of one call, and of these engines
IsOver = Callable[[int], bool]  # after so many visits
GONE = (404, 503)  # of a model that is being unloaded or loaded


class Went(Enum):
    RIGHT = auto()
    LEFT = auto()
    REFUSED = auto()  # before the answer, with a status
    CALLED_OFF = auto()  # within it, as told


class Shelf(Directory):
    """Models are loaded when a client names them."""

    def __init__(self, supervisor: Supervisor):
        super().__init__(supervisor)
        self.supervisor = supervisor
        self._lock = threading.Lock()
        self.pids: set[int] = set()

    def names(self) -> list[str]:
        return list(MODELS)

    def facts(self) -> dict[str, ModelFacts]:
        return {name: ModelFacts(name, is_loaded=True) for name in MODELS}

    def engine(self, name: str | None) -> EngineHandle:
        assert name
        with self._lock:
            try:
                handle = self.supervisor.get(name)
            except UnknownModelError:
                options = EngineOptions(parallel=32, context=16_384, prompt_cache_ram=0)
                handle = self.supervisor.load(name, Path(MODELS[name]), options, backend="fake")
        return handle

    def note_processes(self) -> None:
        self.pids |= {pid for handle in self.supervisor.engines() if (pid := handle.pid)}


class Crowd:
    """says: what is answered to a question."""

    def __init__(self, port: Port, shelf: Shelf, says: Callable[[str], str]):
        self._port, self._shelf, self._says = port, shelf, says
        self._num_begun = 0
        self._lock = threading.Lock()
        self.tally: Counter[Went] = Counter()

    def stay(self, is_over: IsOver) -> None:
        """All clients ask, one question after the other, until it is over after so many visits; meanwhile models go.
        Raises what a client met."""
        begun = self.num_visits
        with ThreadPoolExecutor(NUM_CLIENTS) as pool:
            ask = partial(self._ask_until, lambda: is_over(self.num_visits - begun))
            clients = [pool.submit(ask, seed) for seed in range(NUM_CLIENTS)]
            self._switch_until(lambda: all(client.done() for client in clients))
            for client in clients:
                self.tally += client.result()

    @property
    def num_visits(self) -> int:
        return self._num_begun

    def _switch_until(self, is_over: Callable[[], bool]) -> None:
        pick, num_seen = random.Random(7), self.num_visits
        while not is_over():
            if self.num_visits >= num_seen + VISITS_PER_SWITCH:
                num_seen = self.num_visits
                self._shelf.note_processes()
                self._shelf.supervisor.unload(pick.choice(list(MODELS)))
            time.sleep(0.05)

    def _ask_until(self, is_over: Callable[[], bool], seed: int) -> Counter[Went]:
        pick, tally = random.Random(seed), Counter[Went]()
        # without a store of certificates, which would be most of what the process holds
        with httpx.Client(base_url=self._port.client.base_url, timeout=6 * SECONDS, verify=False) as client:
            while not is_over():
                tally[self._visit(client, pick)] += 1
        return tally

    def _visit(self, client: httpx.Client, pick: random.Random) -> Went:
        with self._lock:
            self._num_begun += 1
            question = f"Question {self._num_begun}"
        dialect, model = pick.choice(DIALECTS), pick.choice(list(MODELS))
        streams = pick.random() < 0.75
        body = dialect.body(model, question, streams=streams)
        num_pieces = pick.choice([0, 1, 5, None, None, None, None, None, None])  # None: to the end
        if num_pieces == 0:
            send_request(self._port, dialect.path, **body).close()
            return Went.LEFT
        if not streams:
            return self._judge(dialect, client.post(dialect.path, json=body), model, question)
        with client.stream("POST", dialect.path, json=body) as response:
            if response.status_code != 200:
                response.read()
                return self._judge(dialect, response, model, question)
            return self._read(dialect, response, num_pieces, model, question)

    def _judge(self, dialect: Dialect, response: httpx.Response, model: str, question: str) -> Went:
        if response.status_code == 200:
            assert dialect.whole(response.json()) == (self._says(question), model)
            return Went.RIGHT
        assert response.status_code in GONE, response.text
        return Went.REFUSED

    def _read(
        self, dialect: Dialect, response: httpx.Response, num_pieces: int | None, model: str, question: str
    ) -> Went:
        said, expected = "", self._says(question)
        try:
            for number, (piece, name) in enumerate(dialect.pieces(response.iter_lines())):
                said += piece
                assert expected.startswith(said), (said, expected)
                assert name == model
                if number == num_pieces:
                    return Went.LEFT
        except ToldFault:
            return Went.CALLED_OFF
        assert said == expected
        return Went.RIGHT


def test_a_crowd_of_three_dialects_while_models_come_and_go(tmp_path: Path, says: Any) -> None:
    crowd_leaves_nothing_behind(tmp_path, says, lambda: lambda n: n >= NUM_FIRST, lambda: lambda n: n >= NUM_REST)


@pytest.mark.real
@pytest.mark.timeout(1500)
def test_such_a_crowd_for_five_minutes(tmp_path: Path, says: Any) -> None:
    crowd_leaves_nothing_behind(tmp_path, says, lambda: lasting(MINUTE), lambda: lasting(4 * MINUTE))


def lasting(seconds: float) -> IsOver:
    """From now."""
    end = time.monotonic() + seconds
    return lambda _: time.monotonic() > end


def crowd_leaves_nothing_behind(
    folder: Path, says: Any, first: Callable[[], IsOver], rest: Callable[[], IsOver]
) -> None:
    """first, rest: made anew whenever the crowd comes."""
    supervisor = Supervisor(folder / "logs")
    shelf, own = Shelf(supervisor), psutil.Process()
    with serve(supervisor, directory=shelf) as port:
        crowd = Crowd(port, shelf, says)
        crowd.stay(first())
        assert_stays(partial(settled, port, shelf, own), lambda: crowd.stay(rest()), MAX_GROWTH)
    print(crowd.tally)  # with pytest -s
    assert crowd.tally[Went.RIGHT], crowd.tally
    assert crowd.tally[Went.LEFT], crowd.tally
    assert not [pid for pid in shelf.pids if is_alive(pid)]


def settled(port: Port, shelf: Shelf, own: psutil.Process) -> Holdings:
    """What the application holds with no model loaded, and no request in flight."""
    end = time.monotonic() + SECONDS
    while port.server.num_requests or port.server.calls.live() or is_loaded():
        assert time.monotonic() < end, (port.server.calls.live(), threading.enumerate())
        if not port.server.num_requests:  # again: a request whose sender has left may be read only now, and load
            shelf.note_processes()
            for name in MODELS:
                shelf.supervisor.unload(name)
        time.sleep(0.05)
    gc.collect()
    return Holdings.of(own)


def is_loaded() -> bool:
    return any(thread.name.startswith(PASSING) for thread in threading.enumerate())


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).ppid() == psutil.Process().pid
    except psutil.NoSuchProcess:
        return False
