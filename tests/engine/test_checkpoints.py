"""Where a sequence that cannot be cut goes back to: how far, how many, how large."""

import random

from backends.drafting.speculation import Speculation
from backends.engine.checkpoints import INTERVAL, MAX_PER_SLOT, TAIL, Checkpoints
from backends.engine.prefix_cache import PrefixCache
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.runner import Cell, FakeRunner

DIGEST_BYTES = 32  # of the fake's checkpoints


def next_token(prefix: list[int]) -> int:
    return (sum(prefix) + len(prefix)) % 50


class Desk:
    """One recurrent model, one answer at a time."""

    def __init__(self, num_slots: int = 3, budget: int = 1 << 20):
        self.runner = FakeRunner(next_token, num_slots, num_cells=20_000, max_draft=0)
        self.checkpoints = Checkpoints(self.runner, budget=budget)
        self.scheduler = Scheduler(PrefixCache(self.runner, checkpoints=self.checkpoints), Speculation([]), 2)

    def ask(self, prompt: list[int], max_tokens: int = 4) -> int:
        """The prompt tokens that were read."""
        before = self.runner.num_decoded
        seq = Sequence(1, list(prompt), max_tokens)
        self.scheduler.add(seq)
        while not self.scheduler.is_idle:
            steps = self.scheduler.schedule()
            self.scheduler.update(steps, self.runner.run(steps))
            self.scheduler.check_integrity()
        assert seq.completion[0] == next_token(prompt)
        return self.runner.num_decoded - before - (max_tokens - 1)


def prompt_of(length: int) -> list[int]:
    return [n * n % 47 for n in range(length)]


def test_an_edit_in_the_middle_costs_at_most_an_interval() -> None:
    desk = Desk()
    prompt = prompt_of(1500)
    assert desk.ask(prompt) == 1500
    for place in (300, 600, 1400):
        edited = [*prompt[:place], 48, *prompt[place + 1 :]]
        assert desk.ask(edited) <= 1500 - place + INTERVAL


def test_the_same_prompt_again_costs_its_tail() -> None:
    desk = Desk()
    prompt = prompt_of(700)
    desk.ask(prompt)
    assert desk.ask(prompt) == TAIL


def test_an_answer_that_the_history_drops_costs_nothing() -> None:
    desk = Desk()
    prompt = prompt_of(100)
    desk.ask(prompt, max_tokens=50)
    assert desk.ask([*prompt, 49, 48, 47]) == 3


def test_a_long_answer_has_checkpoints_too() -> None:
    desk = Desk()
    prompt = prompt_of(50)
    desk.ask(prompt, max_tokens=600)
    answer = Sequence(0, list(prompt), 600)
    for _ in range(590):
        answer.append(next_token(answer.tokens))
    assert desk.ask([*answer.tokens[:600], 49, 48]) <= INTERVAL + 2


def test_an_only_slot_goes_back_in_place() -> None:
    desk = Desk(num_slots=1)
    prompt = prompt_of(400)
    desk.ask(prompt)
    assert desk.ask([*prompt[:350], 49]) == 350 - INTERVAL + 1
    assert desk.runner.num_rewinds == 1


def test_an_edit_of_the_last_message_reads_that_message() -> None:
    desk = Desk()
    chat = prompt_of(100)
    desk.ask(chat, max_tokens=4)
    chat += [next_token(chat)]
    chat += [next_token(chat)]
    chat += [next_token(chat)]
    desk.ask([*chat, *prompt_of(90)])
    assert desk.ask([*chat, 49, 48, 47]) == 3


def test_their_number_and_bytes_are_bounded_and_the_end_stays_dense() -> None:
    desk = Desk(num_slots=6, budget=40 * DIGEST_BYTES)
    pick = random.Random(3)
    chats = [[pick.randrange(40) for _ in range(200)] for _ in range(3)]
    for turn in range(40):
        chat = chats[turn % 3]
        desk.ask(chat)
        chat += [pick.randrange(40) for _ in range(60)]
        assert desk.checkpoints.num_bytes <= 40 * DIGEST_BYTES
    for chat in chats:
        read = desk.ask([*chat[:-3], 49])
        assert read <= 60 + TAIL


def test_a_budget_of_nothing_reads_again_and_answers_all_the_same() -> None:
    desk = Desk(budget=0)
    prompt = prompt_of(100)
    desk.ask(prompt)
    assert desk.ask(prompt) == 100


def test_thinning_keeps_the_last_and_spreads_the_others() -> None:
    runner = FakeRunner(next_token, 1, 10_000, max_draft=0)
    checkpoints = Checkpoints(runner)
    cells = runner._kv[0]
    for length in range(10, 2010, 10):
        cells += [Cell(1, ())] * (length - len(cells))
        checkpoints.take(0, length)
    lengths = [each.length for each in checkpoints._by_slot[0]]
    assert len(lengths) == MAX_PER_SLOT
    assert lengths[-3:] == [1980, 1990, 2000]
    assert lengths[0] < 1000
    for length in (500, 1000, 1500, 1900):
        nearest = checkpoints.nearest(0, length)
        assert nearest is None or length - nearest.length <= 2010 - length


def test_a_model_that_can_be_cut_needs_none() -> None:
    runner = FakeRunner(next_token, 1, 1000)
    checkpoints = Checkpoints(runner)
    assert checkpoints.chunk_end(Sequence(1, prompt_of(900), 1, slot=0)) == 900
    checkpoints.take(0, 100)
    assert checkpoints.num_bytes == 0
