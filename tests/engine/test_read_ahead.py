"""While a state comes from disk the steps go on: others are admitted, and nobody waits for what is lost or late."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.runner import FakeRunner
from backends.formats.kept_prompts import clear
from backends.ownership.directory import Directory
from backends.prompt_cache import disk_cache, state_reader, state_store
from backends.prompt_cache.copy_costs import CopyCosts, Way
from backends.prompt_cache.disk_cache import DiskCache
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state import State
from backends.prompt_cache.state_reader import Read
from backends.prompt_cache.state_store import StateStore
from backends.protocol import CacheMiss, Finish
from tests.engine.test_schedules import Schedule, next_token
from tests.patience import PATIENCE as SECONDS

A = [1, 2] * 30
B = [3, 4] * 30
PLENTY = 1 << 20


class SlowDisk:
    """Reads nothing before it may."""

    def __init__(self) -> None:
        self.may_read, self.asked = threading.Event(), threading.Event()
        self.num_reads = 0

    def read_state(self, folder: Directory, file: str, key: str) -> State:
        self.asked.set()
        assert self.may_read.wait(SECONDS)
        self.num_reads += 1
        return read_state(folder, file, key)


read_state = state_reader.read_state


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    slow = SlowDisk()
    monkeypatch.setattr(state_reader, "read_state", slow.read_state)
    return slow


class Engine:
    """Two slots of room to run in, and a folder."""

    def __init__(self, folder: Path, ram: int = 0, budget: int = PLENTY):
        self.inbox: SimpleQueue[Read] = SimpleQueue()
        self.disk = DiskCache(folder, budget, "a model", self.inbox.put)
        self.store = StateStore(HostCache(ram), self.disk, min_tokens=8)
        self.runner = FakeRunner(next_token, num_slots=4, num_cells=400)
        self.scheduler = Scheduler(PrefixCache(self.runner, self.store), Speculation([]), max_running=2)

    def add(self, prompt: list[int], max_tokens: int = 2) -> Sequence:
        seq = Sequence(1, list(prompt), max_tokens)
        self.scheduler.add(seq)
        return seq

    def step(self) -> list[Sequence]:
        steps = self.scheduler.schedule()
        for seq in (step.seq for step in steps):
            if seq.clock.started is None:
                seq.clock.started, seq.num_cached = 0.0, seq.num_computed
        if steps:
            self.scheduler.update(steps, self.runner.run(steps))
        self.scheduler.check_integrity()
        return [step.seq for step in steps]

    def take_read(self) -> None:
        self.store.take(self.inbox.get(timeout=SECONDS))

    def finish(self) -> None:
        while not self.scheduler.is_idle:
            if not self.step():
                assert self.scheduler.is_blocked
                self.take_read()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts wait for a slow disk as long as a test does."""
    for bound in ("MIN_PATIENCE", "MAX_PATIENCE"):
        monkeypatch.setattr(state_store, bound, SECONDS)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """An engine after a restart: A lies on disk, or what else was asked before."""
    engines: list[Engine] = []

    def start(*prompts: list[int], **options: Any) -> Engine:
        first = Engine(tmp_path / "prompts")
        for prompt in prompts or (A,):
            first.add(prompt)
            first.finish()
        first.scheduler.cache.close()
        engines.append(Engine(tmp_path / "prompts", **options))
        return engines[-1]

    yield start
    for engine in engines:
        engine.disk.close()
        assert engine.inbox.empty(), "a report that nobody took"


def text(prompt: list[int]) -> list[int]:
    first = next_token(prompt)
    return [first, next_token([*prompt, first])]


def test_others_are_admitted_and_answered_while_a_state_is_read(start: Callable[..., Engine], slow: SlowDisk) -> None:
    engine = start()
    first, other = engine.add(A), engine.add(B)
    while not other.finish:
        assert engine.step() == [other]
    assert engine.step() == []
    assert engine.scheduler.is_blocked
    slow.may_read.set()
    engine.take_read()
    assert not engine.scheduler.is_blocked
    engine.finish()
    assert (first.timings().cache_disk_n, first.timings().cache_miss) == (59, None)
    assert (first.completion, other.completion) == (text(A), text(B))


def test_two_that_want_the_same_state_read_it_once_and_share_it(start: Callable[..., Engine], slow: SlowDisk) -> None:
    engine = start()
    first, second = engine.add(A), engine.add([*A, 5])
    assert engine.step() == []
    slow.may_read.set()
    engine.finish()
    assert slow.num_reads == 1
    assert engine.runner.num_restores == 1
    assert [seq.timings().cache_n for seq in (first, second)] == [59, 59]
    assert second.completion == text([*A, 5])


def test_the_state_of_one_that_was_called_off_is_dropped(start: Callable[..., Engine], slow: SlowDisk) -> None:
    engine = start()
    first = engine.add(A)
    assert engine.step() == []
    engine.scheduler.finish(first, Finish.ABORT)
    assert engine.scheduler.is_idle
    slow.may_read.set()
    engine.take_read()
    held, _ = engine.disk.match(A)
    assert held
    assert engine.store.find(A, 0) is None, "nothing of it stays in memory"
    again = engine.add(A)
    engine.finish()
    assert slow.num_reads == 2
    assert again.timings().cache_disk_n == 59


def test_the_next_in_line_goes_on_when_the_first_is_called_off(start: Callable[..., Engine], slow: SlowDisk) -> None:
    engine = start()
    first, second = engine.add(A), engine.add([*A, 5])
    assert engine.step() == []
    engine.scheduler.finish(first, Finish.ABORT)
    assert engine.step() == [], "it asks for the same file, which is on its way already"
    slow.may_read.set()
    engine.take_read()
    engine.take_read()
    engine.finish()
    assert second.timings().cache_disk_n == 60


def test_a_late_report_is_not_taken_for_another_state(start: Callable[..., Engine], slow: SlowDisk) -> None:
    engine = start(A, B)
    first = engine.add(A)
    assert engine.step() == []
    engine.scheduler.finish(first, Finish.ABORT)
    other = engine.add(B)
    assert engine.step() == []
    slow.may_read.set()
    engine.take_read()
    assert engine.step() == [], "that was the first one's"
    engine.take_read()
    engine.finish()
    assert other.completion == text(B)
    assert other.timings().cache_disk_n == 59


def test_a_damaged_file_lets_its_prompt_go_on_at_once(start: Callable[..., Engine]) -> None:
    engine = start()
    (path,) = engine.disk.folder.glob("*.state")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    first = engine.add(A)
    engine.finish()
    assert first.completion == text(A)
    assert (first.timings().cache_n, first.timings().cache_miss) == (0, CacheMiss.DAMAGED)


def test_who_has_waited_too_long_reads_the_prompt_and_says_so(
    start: Callable[..., Engine], slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_store, "MIN_PATIENCE", 0.0)
    monkeypatch.setattr(state_store, "MAX_PATIENCE", 0.0)
    engine = start()
    first = engine.add(A)
    assert engine.step() == []
    assert not engine.scheduler.is_blocked
    engine.finish()
    assert slow.asked.wait(SECONDS)
    assert first.completion == text(A)
    assert (first.timings().cache_n, first.timings().cache_miss) == (0, CacheMiss.TOO_SLOW)
    slow.may_read.set()
    engine.take_read()
    assert engine.store.find(A, 0) is None, "nobody waits for it"


def test_a_file_that_is_removed_beneath_a_running_engine_is_a_miss(start: Callable[..., Engine]) -> None:
    engine = start()
    assert len(clear(engine.disk.folder)) == 1
    first = engine.add(A)
    engine.finish()
    assert first.completion == text(A)
    assert (first.timings().cache_n, first.timings().cache_miss) == (0, CacheMiss.REMOVED)
    again = engine.add(A)
    engine.finish()
    assert again.timings().cache_n == 59, "resident"


def test_a_file_that_has_to_go_while_it_is_waited_for_is_a_miss(start: Callable[..., Engine], slow: SlowDisk) -> None:
    engine = start(budget=1000)
    first = engine.add(A)
    assert engine.step() == []
    assert slow.asked.wait(SECONDS)
    assert engine.disk.write(State([9] * 20, bytearray(700)), wait=True)
    slow.may_read.set()
    engine.finish()
    assert first.completion == text(A)
    assert (first.timings().cache_n, first.timings().cache_miss) == (0, CacheMiss.REMOVED)


def test_a_state_that_is_still_to_be_written_needs_no_reading(
    tmp_path: Path, slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    monkeypatch.setattr(disk_cache, "write_state", lambda *_: may_write.wait(SECONDS))
    engine = Engine(tmp_path / "prompts")
    for prompt in (A, B, [5, 0] * 30, [0, 1] * 30, [2, 3] * 30):
        engine.add(prompt)
        engine.finish()
    again = engine.add(A)
    engine.finish()
    assert again.timings().cache_disk_n == 59
    assert not slow.asked.is_set()
    may_write.set()
    engine.disk.close()


def test_an_end_while_a_state_is_read_is_an_end(start: Callable[..., Engine], slow: SlowDisk) -> None:
    engine = start()
    first = engine.add(A)
    assert engine.step() == []
    assert slow.asked.wait(SECONDS)
    engine.scheduler.finish(first, Finish.ABORT)
    slow.may_read.set()
    engine.scheduler.cache.close()
    assert engine.inbox.get(timeout=SECONDS).state, "it was read to its end"


def test_a_state_that_is_slower_than_the_prompt_is_not_brought_back(start: Callable[..., Engine]) -> None:
    engine = start(ram=PLENTY)
    engine.store.costs.prompt_token = 1e-6
    for way in Way:
        for _ in range(3):
            engine.store.costs.observe(way, 1, 1e-3)
    first = engine.add(A)
    engine.finish()
    assert (first.timings().cache_n, first.timings().cache_miss) == (0, CacheMiss.NOT_WORTH)
    assert first.completion == text(A)


def test_every_copy_teaches_what_it_costs(start: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[Way] = []
    monkeypatch.setattr(CopyCosts, "observe", lambda _self, way, _num_bytes, _seconds: ways.append(way))
    engine = start()
    ways.clear()
    for prompt in (A, B, *([5, n] * 30 for n in range(5)), A, B):
        engine.add(prompt)
        engine.finish()
    assert ways.count(Way.SAVE) == engine.runner.num_saves > 0
    assert ways.count(Way.RESTORE) == engine.runner.num_restores > 0
    assert ways.count(Way.READ) >= 1


class DiskSchedule(Schedule):
    """A random life above a disk, whose reports come when they come."""

    def __init__(self, seed: int, folder: Path):
        self.folder = folder
        self.inbox: SimpleQueue[Read] = SimpleQueue()
        self.looks_again = False  # all that were held back, in the next step
        super().__init__(seed)

    def _store(self, can_truncate: bool) -> StateStore:
        budget, min_tokens = self.random.choice([0, 500]), self.random.randint(1, 6)
        disk = DiskCache(
            self.folder, self.random.choice([2000, PLENTY]), f"{can_truncate}", self.inbox.put, can_truncate, min_tokens
        )
        store = StateStore(HostCache(budget, can_truncate, min_tokens), disk, min_tokens)
        assert store._ahead
        start_over = store._ahead._start_over

        def note() -> None:
            self.looks_again = True
            start_over()

        store._ahead._start_over = note  # type: ignore[method-assign]
        return store

    def _is_held_back(self, seq: Sequence) -> bool:
        return self.looks_again or super()._is_held_back(seq)

    def _step(self) -> None:
        self.looks_again = False
        super()._step()
        if self.random.random() < 0.5 and not self.inbox.empty():
            self._take()
        if self.random.random() < 0.005:
            clear(self.folder)

    def _wait(self) -> None:
        assert self.scheduler.is_blocked
        self._take()

    def _take(self) -> None:
        store = self.scheduler.cache.keeper.store
        assert store
        store.take(self.inbox.get(timeout=SECONDS))


def test_in_random_lives_above_a_disk_every_sequence_says_what_it_says_alone(tmp_path: Path) -> None:
    num_from_disk = 0
    for seed in range(200):
        schedule = DiskSchedule(seed, tmp_path / str(seed // 5))  # with what its forerunners left
        schedule.run()
        schedule.check()
        num_from_disk += sum(case.seq.timings().cache_disk_n > 0 for case in schedule.cases)
        schedule.scheduler.cache.close()
    assert num_from_disk > 5
