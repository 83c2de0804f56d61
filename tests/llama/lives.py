"""Random lives of a scheduler on llama.cpp itself, in a child: `run_in_child("tests.llama.lives:live")`."""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from backends.child import Report
from backends.drafting.drafter import Guess
from backends.drafting.speculation import Speculation
from backends.engine.checkpoints import Checkpoints
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import KVFull, Size, Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state import Tier
from backends.prompt_cache.state_store import StateStore
from backends.protocol import Finish, Priority
from tests.engine.costs import costs
from tests.engine.restless import any_size

NUM_CELLS, NUM_SLOTS, MAX_DRAFT = 256, 4, 3
LIMITS = Size(NUM_CELLS, NUM_SLOTS), Size(2 * NUM_CELLS, NUM_SLOTS)
NUM_SEQUENCES, NUM_TOKENS, LONGEST = 10, 16, 110


@dataclass(frozen=True, slots=True)
class Lived:
    """What became of all sequences: those that said something else than alone, and what they went through."""

    wrong: list[str]
    counts: Counter[str]


def live(_report: Report, path: Path, num_lives: int) -> Lived:
    native.start()
    lived = Lived([], Counter())
    with NativeModel(path) as model, _context(model, 1) as alone, _context(model, NUM_SLOTS) as context:
        for seed in range(num_lives):
            Life(seed, LlamaRunner(context, NUM_SLOTS, LIMITS[seed % 2]), LlamaRunner(alone, 1)).run(lived)
    return lived


def _context(model: NativeModel, num_slots: int) -> NativeContext:
    params = ContextParams(NUM_CELLS, num_slots, 64, 1, "f32", "f32", "off", max_draft=MAX_DRAFT)
    return NativeContext(model, params)


class Oracle:
    """Knows what each sequence will say, and gets it wrong now and then."""

    is_free = True

    def __init__(self, pick: random.Random, expected: dict[int, list[int]]):
        self.kinds = {"oracle": 0.7}
        self._random, self._expected = pick, expected

    def propose(self, wanted: dict[Sequence, int]) -> dict[Sequence, Guess]:
        guesses = {}
        for seq, limit in wanted.items():
            tokens = self._expected[seq.uid][seq.num_completion : seq.num_completion + self._random.randint(1, limit)]
            if tokens and self._random.random() < 0.5:
                tokens[self._random.randrange(len(tokens))] = 7
            guesses[seq] = Guess(tokens, "oracle")
        return guesses

    def lag_seconds(self, _seq: Sequence) -> float:
        return 0.0

    def forget(self, seq: Sequence) -> None:
        pass


class Life:
    def __init__(self, seed: int, runner: LlamaRunner, alone: LlamaRunner):
        self.seed, self.runner, self.alone = seed, runner, alone
        self.random = pick = random.Random(seed)
        store = StateStore(HostCache(pick.choice([0, 200_000]), runner.can_cut_saved), min_tokens=8)
        checkpoints = Checkpoints(runner, interval=pick.choice([16, 64]), tail=pick.choice([2, 8]))
        self.cache = PrefixCache(runner, pick.choice([None, store]), checkpoints=checkpoints)
        self.expected: dict[int, list[int]] = {}
        self.unread: set[Sequence] = set()
        self.todo = self._conversations()
        drafters = [Oracle(pick, self.expected)] if runner.max_draft != 0 and pick.random() < 0.7 else []
        speculation = Speculation(drafters, costs(slope=0), fixed_length=MAX_DRAFT)
        self.scheduler = Scheduler(self.cache, speculation, NUM_SLOTS, min_shared=16)

    def run(self, lived: Lived) -> None:
        sequences = list(self.todo)
        while self.todo or self.unread or not self.scheduler.is_idle:
            while self.todo and (self.scheduler.is_idle or self.random.random() < 0.15):
                self.scheduler.add(self.todo.pop(0))
            for seq in self.scheduler.sequences():
                if self.random.random() < 0.005:
                    self.scheduler.finish(seq, Finish.ABORT)
                    self.unread.discard(seq)
                elif self.random.random() < (0.3 if seq in self.unread else 0.01):
                    self._read_or_not(seq)
                    lived.counts["unread"] += 1
            self._step(lived.counts)
        for seq in sequences:
            said, expected = seq.completion, self.expected[seq.uid]
            if said != expected[: len(said)] or (seq.finish is not Finish.ABORT and len(said) < NUM_TOKENS):
                lived.wrong.append(f"life {self.seed}, sequence {seq.uid}: {said} instead of {expected}")
            lived.counts["reused"] += seq.reuse.length > 0
            lived.counts["from ram"] += seq.reuse.tier is Tier.RAM
            lived.counts["accepted"] += seq.num_accepted
            lived.counts["rejected"] += seq.num_drafted - seq.num_accepted
        self.cache.clear()
        self.cache.room.resize(Size(NUM_CELLS, NUM_SLOTS))  # the context is the next life's, too

    def _resize(self) -> None:
        self.cache.room.resize(any_size(self.random, self.cache))

    def _read_or_not(self, seq: Sequence) -> None:
        if seq in self.unread:
            self.unread.remove(seq)
            self.scheduler.resume(seq)
        else:
            self.unread.add(seq)
            self.scheduler.pause(seq)

    def _step(self, counts: Counter[str]) -> None:
        if self.random.random() < 0.1:
            self._resize()
            counts["resized"] += 1
        steps = self.scheduler.schedule()
        if not steps:
            return
        try:
            sampled = self.runner.run(steps)
        except KVFull:
            counts["full"] += 1
            self.scheduler.make_room()
        else:
            counts["batched"] += len(steps) > 1
            counts["guessed side by side"] += sum(bool(step.draft) for step in steps) > 1
            self.scheduler.update(steps, sampled)
        self.scheduler.check_integrity()

    def _conversations(self) -> list[Sequence]:
        """Prompts of which many begin like an earlier one with its answer, cut somewhere and continued otherwise."""
        pick, made, known = self.random, [], []
        for uid in range(NUM_SEQUENCES):
            prompt: list[int] = []
            if known and pick.random() < 0.7:
                earlier = pick.choice(known)
                prompt = earlier[: pick.choice([len(earlier), pick.randint(1, len(earlier))])][:LONGEST]
            prompt = prompt + [pick.randrange(20, 500) for _ in range(pick.randint(2, 40))]
            self.expected[uid] = self._say_alone(prompt)
            known.append(prompt + self.expected[uid])
            made.append(Sequence(uid, list(prompt), NUM_TOKENS, priority=pick.choice(list(Priority))))
        return made

    def _say_alone(self, prompt: list[int]) -> list[int]:
        self.alone.truncate(0, 0)
        seq = Sequence(0, list(prompt), NUM_TOKENS, slot=0)
        while not seq.finish:
            step = Step(seq, seq.tokens[seq.num_computed :][:64])
            sampled = self.alone.run([step])[0]
            seq.num_computed += len(step.tokens)
            for token in sampled:
                seq.append(token)
        return seq.completion
