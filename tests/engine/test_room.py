"""How large a cache becomes: by what is needed, in few steps, never beyond its limit, and what a refusal does."""

import errno
from pathlib import Path

import numpy as np
import psutil
import pytest

from backends.drafting.calibration import Calibration
from backends.drafting.drafter import LookupDrafter, ModelDrafter
from backends.drafting.speculation import Speculation
from backends.engine import engine as engine_module
from backends.engine import room
from backends.engine.prefix_cache import PrefixCache
from backends.engine.room import REFUSAL
from backends.engine.runner import KVFull, Size
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.loader import FakeModel
from backends.fake.runner import SAVED, FakeRunner
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state import State, Tier
from backends.prompt_cache.state_store import StateStore
from backends.protocol import (
    Cells,
    DraftMode,
    EngineOptions,
    Failed,
    FailureKind,
    Finish,
    Generate,
    KVLayout,
    Load,
    Output,
    Priority,
)
from tests.engine.costs import costs
from tests.engine.saying import Saying
from tests.engine.test_schedules import next_token

LIMIT = Size(4096, 5)


class Desk:
    """A scheduler over a cache that starts with 512 cells."""

    def __init__(self, *, shares_cells: bool, slots: int = 1, max_draft: int | None = None, limit: Size = LIMIT):
        self.runner = FakeRunner(
            next_token, slots, 512 * (1 if shares_cells else slots), 512, max_draft, shares_cells=shares_cells,
            limit=limit, cell_step=256,
        )  # fmt: skip
        self.store = StateStore(HostCache(1 << 20, self.runner.can_cut_saved))
        self.cache = PrefixCache(self.runner, self.store)
        self.scheduler = Scheduler(self.cache, Speculation([]), max_running=4)

    def add(self, num_tokens: int, max_tokens: int = 2, begin: int = 0, **fields: object) -> Sequence:
        seq = Sequence(1, [(begin + n) % 7 for n in range(num_tokens)], max_tokens, **fields)  # type: ignore[arg-type]
        self.scheduler.add(seq)
        return seq

    def step(self) -> None:
        steps = self.scheduler.schedule()
        try:
            sampled = self.runner.run(steps)
        except KVFull:
            self.scheduler.make_room()
        else:
            self.scheduler.update(steps, sampled)
        self.scheduler.check_integrity()

    def finish(self) -> None:
        while not self.scheduler.is_idle:
            self.step()

    @property
    def figures(self) -> tuple[int, int, int]:
        return self.runner.size.cells, self.runner.size.slots, self.runner.num_resizes


@pytest.mark.parametrize(("shares_cells", "slots"), [(True, 5), (False, 1)])
def test_a_prompt_gets_its_cells_at_once_and_a_quarter_more(shares_cells: bool, slots: int) -> None:
    desk = Desk(shares_cells=shares_cells, slots=slots)
    desk.add(100)
    desk.finish()
    assert desk.figures == (512, slots, 0)
    desk.add(1000, begin=1)
    desk.step()
    assert desk.figures == (1536 if shares_cells else 1280, slots, 1)
    desk.finish()
    desk.cache.clear()
    desk.add(4000, begin=2)
    desk.finish()
    assert desk.figures == (4096, slots, 2), "the limit"


def test_an_answer_makes_its_cache_grow_by_quarters() -> None:
    desk = Desk(shares_cells=False)
    seq = desk.add(400, max_tokens=2000)
    desk.finish()
    assert seq.num_completion == 2000
    assert desk.figures == (2816, 1, 5)


def test_answers_that_arrive_together_get_their_slots_together() -> None:
    desk = Desk(shares_cells=False)
    for begin in range(3):
        desk.add(600, begin=begin)
    desk.step()
    assert desk.figures == (768, 3, 1)


@pytest.mark.parametrize(("shares_cells", "max_draft", "kept"), [(False, None, 2), (True, 0, 3)])
def test_a_conversation_stays_beside_the_next(shares_cells: bool, max_draft: int | None, kept: int) -> None:
    """In streams one, as each costs a whole context; where only a state is kept, as many as the limit allows."""
    desk = Desk(shares_cells=shares_cells, max_draft=max_draft)
    for begin in range(3):
        desk.add(100, begin=begin)
        desk.finish()
    assert desk.runner.size.slots == kept
    desk.add(103, begin=2)
    desk.finish()
    assert desk.runner.size.slots == kept, "the next turn goes on in its own slot"


@pytest.mark.parametrize(("num_new", "slots"), [(70, 1), (120, 2)])
def test_what_stands_behind_a_long_beginning_gets_a_copy_of_it_if_it_is_long_itself(num_new: int, slots: int) -> None:
    """Else it gives way: between streams 3,000 tokens are copied in the time in which some 30 are read."""
    desk = Desk(shares_cells=False)
    for last in (8, 9):
        desk.scheduler.add(Sequence(1, [*(n % 7 for n in range(3000)), *[last] * num_new], max_tokens=2))
        desk.finish()
    assert desk.runner.size.slots == slots
    assert desk.runner.num_saves == 0, "a state is as long as the copy"


@pytest.mark.parametrize(("num_tokens", "next_one"), [(20, 20), (100, 3000)])
def test_what_is_hardly_a_conversation_beside_the_next_gets_no_slot_of_its_own(num_tokens: int, next_one: int) -> None:
    desk = Desk(shares_cells=False)
    desk.add(num_tokens)
    desk.finish()
    desk.add(next_one, begin=1)
    desk.finish()
    assert desk.runner.size.slots == 1


def test_shared_cells_are_counted_once() -> None:
    desk = Desk(shares_cells=True, slots=5)
    for _ in range(4):
        desk.add(400, max_tokens=40)
    desk.finish()
    assert desk.figures == (768, 5, 1)


def test_what_was_refused_is_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(room, "monotonic", lambda: now)
    desk = Desk(shares_cells=False)
    desk.runner.memory = 512
    first, second = desk.add(100, max_tokens=60), desk.add(120, max_tokens=60, begin=3)
    for _ in range(30):
        desk.step()
    assert (first.slot, second.slot) == (0, None), "it waits, the other one goes on"
    assert desk.runner.num_refused == 1, "not asked for in every step"
    desk.runner.memory = None
    now += room.PATIENCE
    desk.step()
    assert second.slot == 1
    desk.finish()
    assert (first.num_completion, second.num_completion) == (60, 60)


def test_a_question_at_the_window_waits_for_no_batch_answer_where_memory_is_short() -> None:
    desk = Desk(shares_cells=False)
    desk.runner.memory = 512
    batch = desk.add(100, max_tokens=60)
    desk.step()
    window = desk.add(90, max_tokens=3, begin=3, priority=Priority.WINDOW)
    desk.step()
    assert (batch.slot, window.slot) == (None, 0)
    desk.finish()
    assert (batch.num_completion, window.num_completion) == (60, 3)


def test_who_needs_more_than_there_is_ends_and_the_others_go_on() -> None:
    desk = Desk(shares_cells=False, slots=2)
    desk.runner.memory = 1024
    long, short = desk.add(400, max_tokens=500), desk.add(100, max_tokens=300, begin=3)
    desk.finish()
    assert (long.finish, long.failure) == (Finish.LENGTH, REFUSAL)
    assert 400 + long.num_completion == 512 + 1
    assert (short.num_completion, short.failure) == (300, None)


def test_an_answer_takes_the_memory_of_idle_slots() -> None:
    desk = Desk(shares_cells=False, slots=2)
    desk.runner.memory = 1024
    first = desk.add(100)
    desk.finish()
    long = desk.add(400, max_tokens=500, begin=3)
    desk.finish()
    assert (long.num_completion, long.failure) == (500, None)
    assert desk.runner.size == Size(1024, 1)
    again = desk.add(100)
    desk.finish()
    assert (again.completion, again.reuse.tier) == (first.completion, Tier.RAM), "it went to RAM"


def test_a_state_that_no_slot_can_hold_displaces_nobody() -> None:
    """It was kept by a load with a larger context, of which this one's folder tells."""
    desk = Desk(shares_cells=True, slots=4, limit=Size(512, 4))
    long = [n % 5 for n in range(600)]
    desk.store.keep(State(long, bytearray(np.array([SAVED, *long], "<i4").tobytes())))
    first = desk.add(150, begin=3)
    desk.finish()
    seq = Sequence(1, long[:300], 2)
    desk.scheduler.add(seq)
    desk.finish()
    assert seq.reuse.length == 0
    assert desk.cache.match(first.tokens)[1] == 151, "the earlier conversation stays"


def test_an_answer_at_its_limit_ends_without_a_complaint() -> None:
    desk = Desk(shares_cells=True, limit=Size(600, 1))
    seq = desk.add(500, max_tokens=500)
    desk.finish()
    assert (seq.finish, seq.failure) == (Finish.LENGTH, None)


def test_a_cache_shrinks_to_what_it_holds() -> None:
    for shares_cells in (True, False):
        desk = Desk(shares_cells=shares_cells)
        desk.add(100)
        desk.finish()
        seq = desk.add(3000, begin=3)
        desk.finish()
        assert not desk.cache.room.shrink()
        desk.cache.clear()
        desk.add(900)
        desk.finish()
        assert desk.cache.room.shrink()
        assert desk.runner.size.cells == 1280
        again = desk.add(3000, begin=3)
        desk.finish()
        assert again.completion == seq.completion


def test_measurements_make_no_cache_grow() -> None:
    for num_tokens in (None, 300, 505):  # in a free slot; behind a conversation, where hardly any room is left
        desk = Desk(shares_cells=False)
        draft_runner = FakeRunner(next_token, 1, 512, limit=LIMIT, cell_step=256, shares_cells=False)
        drafter = ModelDrafter(draft_runner, "small")
        speculation = Speculation([LookupDrafter(), drafter], costs(slope=0.1))
        seq = desk.add(num_tokens) if num_tokens else None
        desk.finish()
        calibration = Calibration(desk.cache, speculation)
        num_runs = desk.runner.num_runs
        while not calibration.is_done:
            calibration.step()
        assert desk.runner.num_runs > num_runs
        assert desk.figures[1:] == (1, 0)
        assert draft_runner.num_resizes == 0
        if seq:
            again = desk.add(num_tokens or 0)
            desk.finish()
            assert again.reuse.length == (num_tokens or 0) - 1
            assert again.completion == seq.completion


class Machine:
    """An engine on the fake model, as a process has it."""

    def __init__(self, **options: object):
        chosen = EngineOptions(  # type: ignore[arg-type]
            context=4096, draft=DraftMode.OFF, kv_layout=KVLayout.STREAMS, kv_idle_seconds=60.0, **options
        )
        self.model = FakeModel(Load(Path("fake"), "fake", chosen), 0.0)
        self._saying = Saying(self.model, chosen)
        self.engine = self._saying.engine

    def ask(self, prompt: str, max_tokens: int) -> list[Output | Failed]:
        tokens = self.model.encode(Generate(prompt))
        self.engine.add(Sequence(1, tokens, max_tokens))
        events: list[Output | Failed] = []
        while not self.engine.is_idle:
            events += self._saying.step()
        return events


def test_all_is_allocated_at_once_when_that_is_asked_for() -> None:
    assert Machine(kv_grow=False).engine.cells == Cells(0, 5 * 4096, 5 * 4096)
    assert Machine().engine.cells == Cells(0, 512, 5 * 4096)


def test_whoever_ends_for_want_of_memory_keeps_what_it_has_said_and_is_told_why() -> None:
    machine, undisturbed = Machine(), Machine()
    machine.model.runner.memory = 512
    said, whole = machine.ask("user: long 20", 4000), undisturbed.ask("user: long 20", 4000)
    last = said[-1]
    assert isinstance(last, Output)
    assert (last.finish, last.problem) == (Finish.LENGTH, REFUSAL)
    assert last.timings
    assert last.timings.predicted_n > 400
    assert text_of(whole).startswith(text_of(said))
    assert len(text_of(said)) == last.timings.predicted_n, "its tokens are letters: none is held back"
    answer = machine.ask("user: hello", 20)[-1]
    assert isinstance(answer, Output)
    assert answer.problem is None


def test_a_prompt_for_which_there_is_no_memory_is_refused() -> None:
    machine = Machine()
    machine.model.runner.memory = 512
    assert machine.ask(f"user: {'word ' * 200}", 20) == [Failed(1, FailureKind.OUT_OF_MEMORY, REFUSAL)]


def test_a_want_of_memory_is_told_until_there_is_some_or_nobody_has_needed_it_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine()
    assert str(machine.engine.cells) == ""
    machine.model.runner.memory = 512
    machine.ask("user: long 20", 4000)
    assert str(machine.engine.cells).startswith(
        "The KV cache cannot grow beyond 512 tokens: no memory is free for more."
    )
    now = room.monotonic()
    with monkeypatch.context() as patches:
        patches.setattr(room, "monotonic", lambda: now + room.TOLD)
        assert str(machine.engine.cells) == ""
        machine.model.runner.memory = None
        machine.ask("user: long 20", 1000)
    assert str(machine.engine.cells) == "", "not of the refusal before"


def text_of(events: list[Output | Failed]) -> str:
    return "".join(event.text for event in events if isinstance(event, Output))


def test_an_answer_whose_cells_are_lost_in_a_growth_reads_them_again_and_goes_on() -> None:
    undisturbed, machine = Machine(), Machine()
    machine.model.runner.num_until_loss = 0
    texts = []
    for each in (undisturbed, machine):
        said = each.ask("user: long 20", 900)
        assert isinstance(said[-1], Output)
        texts.append(text_of(said))
    assert machine.model.runner.num_losses == 1
    assert texts[0] == texts[1]


@pytest.mark.parametrize(("is_short", "too_soon", "due"), [(False, 59, 61), (True, 4, 6)])
def test_memory_is_given_back_when_idle_or_when_the_machine_is_short_of_it(
    monkeypatch: pytest.MonkeyPatch, is_short: bool, too_soon: float, due: float
) -> None:
    monkeypatch.setattr(engine_module, "is_memory_short", lambda: is_short)
    machine = Machine()
    machine.ask("user: long 30", 3000)
    machine.engine.scheduler.cache.clear()
    assert machine.engine.cells.allocated > 2048
    machine.engine._stepped -= too_soon
    assert not machine.engine.rest()
    machine.engine._stepped -= due - too_soon
    assert machine.engine.rest()
    assert machine.engine.cells.allocated == 512


def test_memory_that_cannot_be_asked_for_is_not_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine without free files has died of it in its rest."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(psutil, "virtual_memory", refuse)
    assert not room.is_memory_short()
