"""What a slot gives up goes to RAM and to disk and comes back; budgets hold; every answer says why not more."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.runner import FakeRunner
from backends.prompt_cache.disk_cache import DiskCache
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state import State
from backends.prompt_cache.state_reader import Held, Read
from backends.prompt_cache.state_store import StateStore
from backends.protocol import CacheMiss, Timings
from tests.engine.test_schedules import next_token
from tests.patience import PATIENCE as SECONDS

A = [1, 2] * 30
B = [3, 4] * 30
PLENTY = 1 << 20
notes: SimpleQueue[Read] = SimpleQueue()  # the engine's inbox


class Desk:
    """One slot, one answer at a time: the second conversation always displaces the first."""

    def __init__(
        self,
        store: StateStore | None,
        num_slots: int = 1,
        num_cells: int = 200,
        max_draft: int | None = None,
        window: int | None = None,
    ):
        self.store = store
        self.runner = FakeRunner(next_token, num_slots, num_cells, max_draft=max_draft, window=window)
        self.cache = PrefixCache(self.runner, store)
        self.scheduler = Scheduler(self.cache, Speculation([]), max_running=1)

    def ask(self, prompt: list[int]) -> Timings:
        seq = Sequence(1, list(prompt), max_tokens=2)
        self.scheduler.add(seq)
        while not self.scheduler.is_idle:
            steps = self.scheduler.schedule()
            if not steps:
                self.take_read()
                continue
            if seq.clock.started is None:
                seq.clock.started, seq.num_cached = 0.0, seq.num_computed
            self.scheduler.update(steps, self.runner.run(steps))
            self.scheduler.check_integrity()
        assert seq.completion == _alone(prompt)
        return seq.timings()

    def take_read(self) -> None:
        """Wait for the disk's reader, as the loop does."""
        assert self.scheduler.is_blocked
        assert self.store
        self.store.take(notes.get(timeout=SECONDS))


def _alone(prompt: list[int]) -> list[int]:
    first = next_token(prompt)
    return [first, next_token([*prompt, first])]


def read(disk: DiskCache, held: Held) -> State | None:
    disk.ask(held)
    report = notes.get(timeout=SECONDS)
    disk.take(report)
    return report.state


def store(ram: int = PLENTY, disk: DiskCache | None = None) -> StateStore:
    return StateStore(HostCache(ram), disk, min_tokens=8)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator["Disks"]:
    disks = Disks(tmp_path / "prompts")
    yield disks
    for disk in disks.opened:
        disk.close()
    assert notes.empty(), "a report that nobody took"


class Disks:
    """Opens the same folder again and again, as restarts do."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.opened: list[DiskCache] = []

    def open(self, budget: int = PLENTY, key: str = "a model") -> DiskCache:
        disk = DiskCache(self.folder, budget, key, notes.put)
        self.opened.append(disk)
        return disk

    def close(self, desk: Desk) -> None:
        desk.cache.close()
        self.opened.pop()

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.state"))


@pytest.mark.parametrize("kind", [{}, {"max_draft": 0}, {"window": 8}])
def test_a_displaced_conversation_comes_back_from_ram(kind: dict[str, int]) -> None:
    desk = Desk(StateStore(HostCache(PLENTY, not kind), min_tokens=8), **kind)
    assert desk.ask(A).cache_miss is CacheMiss.NO_EARLIER_PROMPT
    desk.ask(B)
    decoded = desk.runner.num_decoded
    longer = [*A, *_alone(A), 5]
    account = desk.ask(longer)
    assert (account.cache_n, account.cache_ram_n, account.prompt_n) == (61, 61, 2)
    assert account.cache_miss is CacheMiss.NEW_TEXT
    assert account.cache_miss_text == "the earlier prompt ended at token 61, the rest is new"
    assert desk.runner.num_decoded == decoded + 3


def test_the_same_prompt_again_misses_nothing() -> None:
    desk = Desk(store())
    desk.ask(A)
    assert desk.ask(A).cache_miss is None
    desk.ask(B)
    account = desk.ask(A)
    assert (account.cache_ram_n, account.cache_miss) == (59, None)


def test_an_edited_prompt_says_where_the_first_difference_is() -> None:
    desk = Desk(store())
    desk.ask(A)
    account = desk.ask([*A[:40], 5, *A[41:]])
    assert (account.cache_n, account.cache_miss) == (40, CacheMiss.DIFFERENCE)
    assert account.cache_miss_text == "first difference at token 40"


def test_what_had_to_go_is_called_evicted() -> None:
    desk = Desk(store(ram=0))
    desk.ask(A)
    desk.ask(B)
    assert desk.ask(A).cache_miss is CacheMiss.EVICTED


def test_a_short_prompt_is_not_kept_and_says_so() -> None:
    desk = Desk(store())
    desk.ask([1, 2, 3, 4, 5])
    desk.ask(B)
    assert desk.runner.num_saves == 0
    assert desk.ask([1, 2, 3, 4, 5]).cache_miss is CacheMiss.TOO_SHORT


def test_a_recurrent_state_that_went_too_far_says_that_it_cannot_go_back() -> None:
    desk = Desk(StateStore(HostCache(PLENTY, False), min_tokens=8), num_slots=2, max_draft=0)
    desk.ask(A)
    account = desk.ask(A[:40])
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.NO_REWIND)


def test_a_restored_window_goes_on_but_is_not_cut() -> None:
    desk = Desk(StateStore(HostCache(PLENTY, False), min_tokens=8), num_slots=2, window=8)
    desk.ask(A)
    desk.ask(B)
    desk.cache.evict()
    longer = [*A, *_alone(A), 5]
    assert desk.ask(longer).cache_ram_n == 61
    account = desk.ask([*longer[:40], 6])
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.NO_REWIND)


def test_a_state_is_not_copied_for_a_handful_of_tokens() -> None:
    desk = Desk(store(), num_slots=1)
    desk.ask(A)
    desk.ask(B)
    assert desk.ask([*A[:5], *B]).cache_ram_n == 0


def test_room_is_made_for_a_state_that_returns() -> None:
    desk = Desk(store(), num_slots=3, num_cells=130)
    desk.ask(A)
    desk.ask(B)
    desk.cache.evict()
    desk.ask([5, 0] * 30)
    account = desk.ask(A)
    assert account.cache_ram_n == 59


def test_the_ram_budget_holds() -> None:
    ram, pick = HostCache(budget=4000), random.Random(1)
    for n in range(200):
        ram.add(State([n, *(pick.randrange(5) for _ in range(pick.randint(5, 60)))], bytearray(pick.randint(10, 900))))
        ram.check_integrity()
    assert ram.add(State([1] * 600, bytearray(10))) != [], "larger than the budget"
    ram.check_integrity()


def test_long_and_reused_states_stay_longer_but_not_for_ever() -> None:
    ram = HostCache(budget=4000)
    favourite, plain = State([1000] * 30, bytearray(100)), State([2000] * 30, bytearray(100))
    ram.add(favourite)
    ram.add(plain)
    ram.touch(favourite)
    ram.touch(favourite)
    ram.touch(plain)
    gone: list[State] = []
    for n in range(100):
        gone += ram.add(State([n] * 20, bytearray(400)))
    assert gone.index(plain) > 0, "a short one went before"
    assert gone.index(favourite) > gone.index(plain) + 2


def test_a_restart_finds_its_prompts_on_disk(disks: Disks) -> None:
    desk = Desk(store(disk=disks.open()), num_slots=2)
    desk.ask(A)
    desk.ask(B)
    disks.close(desk)
    assert len(disks.files()) == 2
    if os.name == "posix":
        assert disks.folder.stat().st_mode & 0o077 == 0 == disks.files()[0].stat().st_mode & 0o077
    again = Desk(store(disk=disks.open()))
    for prompt in (A, B):
        account = again.ask(prompt)
        assert (account.cache_disk_n, account.cache_miss) == (59, None)


def test_another_model_build_or_kv_type_is_a_miss_with_that_reason(disks: Disks) -> None:
    desk = Desk(store(disk=disks.open()))
    desk.ask(A)
    disks.close(desk)
    other = Desk(store(disk=disks.open(key="another model")))
    account = other.ask(A)
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.OTHER_BUILD)
    disks.close(other)
    assert len(disks.files()) == 2, "each has its own"


def test_what_leaves_ram_is_written_while_the_engine_goes_on(disks: Disks) -> None:
    disk = disks.open()
    desk = Desk(store(ram=0, disk=disk))
    desk.ask(A)
    desk.ask(B)
    account = desk.ask(A)
    assert account.cache_disk_n == 59
    disks.close(desk)
    assert len(disks.files()) == 2


def test_the_next_turn_replaces_the_file_of_the_last(disks: Disks) -> None:
    for prompt in (A, [*A, *_alone(A), 5, 5, 5]):
        desk = Desk(store(disk=disks.open()))
        desk.ask(prompt)
        disks.close(desk)
        assert len(disks.files()) == 1


def test_the_disk_budget_takes_the_least_recently_used(disks: Disks) -> None:
    disk = disks.open(budget=3000)
    for n in range(12):
        assert disk.write(State([n] * 20, bytearray(500)), wait=True)
        disk.check_integrity()
    assert len(disks.files()) == 4
    assert disk.match([11] * 20)[1] == 20
    assert disk.match([0] * 20)[1] == 0
    assert not disk.write(State([50] * 20, bytearray(5000)), wait=True), "larger than the budget"


def test_every_flipped_byte_and_every_cut_is_a_miss_and_the_file_goes(disks: Disks) -> None:
    disk = disks.open()
    payload = bytearray(random.Random(2).randbytes(700))
    disk.write(State(A, payload), wait=True)
    disks.opened.pop().close()
    (path,) = disks.files()
    whole = path.read_bytes()
    pick = random.Random(3)
    for n in range(500):
        at = pick.randrange(len(whole)) if n > 100 else n
        damaged = bytearray(whole)
        damaged[at] ^= 1 << pick.randrange(8)
        path.write_bytes(damaged if n % 2 else whole[:at])
        disk = disks.open()
        held, _ = disk.match(A)
        assert held is None or read(disk, held) is None, at
        disks.opened.pop().close()
        assert disk.longest_foreign(A) or not path.exists()
    path.write_bytes(whole + b"!")
    assert disks.open().match(A)[0] is None, "longer than it says"
    path.write_bytes(whole)
    disk = disks.open()
    held, length = disk.match(A)
    assert held is not None
    state = read(disk, held)
    assert state is not None
    assert (length, state.payload) == (60, payload)


def test_a_damaged_file_is_read_again_from_the_prompt(disks: Disks) -> None:
    desk = Desk(store(disk=disks.open()))
    desk.ask(A)
    disks.close(desk)
    (path,) = disks.files()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    account = Desk(store(disk=disks.open())).ask(A)
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.DAMAGED)
    assert not disks.files()


def test_turns_that_differ_at_their_end_leave_one_state_and_not_one_each() -> None:
    ram = HostCache(PLENTY, tolerance=8)
    for n in range(5):
        ram.add(State([1] * (50 + 10 * n) + [2 + n] * 4, bytearray(10)))
    assert [len(state.tokens) for state in ram.states] == [94]
    assert ram.covers([1] * 90 + [9] * 7)
    assert not ram.covers([1] * 90 + [9] * 8)


def test_a_full_or_missing_disk_harms_nobody(disks: Disks) -> None:
    disk = disks.open()
    desk = Desk(store(ram=0, disk=disk))
    desk.ask(A)
    disks.folder.rename(disks.folder.with_name("gone"))
    desk.ask(B)
    disks.close(desk)
