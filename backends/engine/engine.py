"""The loop's body: schedule, run, update, say. One thread owns it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from backends.drafting.calibration import Calibration
from backends.drafting.costs import StepCosts
from backends.drafting.drafter import Drafter, LookupDrafter, ModelDrafter
from backends.drafting.pace import MAX_INTERVAL, Pace
from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.room import SHORTEST_REST, is_memory_short
from backends.engine.runner import KVFull, LoadedModel, Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.engine.stops import NO_STOPS, Stops
from backends.engine.text import TextStream
from backends.prompt_cache.state_reader import Read
from backends.prompt_cache.state_store import StateStore
from backends.protocol import Cells, DraftMode, Failed, FailureKind, Finish, Output, TokenLogprob


@dataclass(slots=True)
class Totals:
    """Counted since the load; what Stats carries."""

    num_steps: int = 0
    num_tokens: int = 0
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    num_drafted: int = 0
    num_accepted: int = 0
    decode_us: int = 0
    step_us: int = 0


@dataclass(slots=True)
class _Answer:
    """What of a sequence has been said."""

    seq: Sequence
    text: TextStream
    signs: Mapping[int, str]  # of control tokens that stop strings name
    num_said: int = 0


class Engine:
    def __init__(
        self,
        model: LoadedModel,
        max_running: int,
        draft: DraftMode = DraftMode.AUTO,
        draft_length: int | None = None,
        store: StateStore | None = None,
        idle_seconds: float = 300.0,
        max_interval: float = MAX_INTERVAL,
    ):
        """idle_seconds: after which memory that no conversation needs is given back. max_interval: seconds, as in
        `EngineOptions`."""
        self.model = model
        self.totals = Totals()
        self._store = store
        self._idle_seconds = idle_seconds
        self._stepped = time.perf_counter()
        own_adapters = tuple(adapter.scale for adapter in model.ready.adapters)
        cache = PrefixCache(model.runner, store, model.spell, own_adapters)
        costs = StepCosts(Pace(max_interval))
        self.speculation = Speculation(_drafters(model, draft), costs, draft_length)
        self.scheduler = Scheduler(cache, self.speculation, max_running)
        self.calibration = Calibration(cache, self.speculation)
        self._answers: dict[int, _Answer] = {}

    @property
    def is_idle(self) -> bool:
        return self.scheduler.is_idle

    @property
    def is_blocked(self) -> bool:
        """Nothing can be stepped: idle, or all that is there waits for a state from disk."""
        return self.scheduler.is_blocked

    @property
    def cells(self) -> Cells:
        used = sum(seq.num_computed for seq in self.scheduler.running)
        return self.scheduler.cache.room.cells(used)

    def add(self, seq: Sequence, stops: Stops = NO_STOPS) -> None:
        text = TextStream(stops.texts, stops.stand_ins.values())
        self._answers[seq.uid] = _Answer(seq, text, stops.stand_ins)
        self.scheduler.add(seq)

    def abort(self, uid: int) -> tuple[Output, ...]:
        """Call an answer off; its cells are free for the very next step. Unknown uids are ignored."""
        answer = self._answers.get(uid)
        if answer is None:
            return ()
        self.scheduler.finish(answer.seq, Finish.ABORT)
        return (self._last_output(answer, ""),)

    def pause(self, uid: int) -> None:
        """Compute no more of an answer that nobody reads. Unknown uids are ignored."""
        if answer := self._answers.get(uid):
            self.scheduler.pause(answer.seq)

    def resume(self, uid: int) -> None:
        if answer := self._answers.get(uid):
            self.scheduler.resume(answer.seq)

    def step(self) -> tuple[Output | Failed, ...]:
        """Decode one batch and return what it adds to each answer, or why one cannot go on."""
        begin = self._stepped = time.perf_counter()
        steps = self.scheduler.schedule()
        if not steps:  # all wait for the disk
            return ()
        self._note_start(steps, begin)
        decode_begin = time.perf_counter()
        try:
            sampled = self.model.runner.run(steps)
        except KVFull:
            self.scheduler.make_room()
            return self._say_finished()
        now = time.perf_counter()
        self._learn_cost(steps, now - decode_begin)
        self.scheduler.update(steps, sampled)
        outputs = self._say(steps, now)
        self._count(steps, sampled)
        self.totals.decode_us += round(1e6 * (now - decode_begin))
        self.totals.step_us += round(1e6 * (time.perf_counter() - begin))
        return outputs

    def rest(self) -> bool:
        """Called now and then while there is nothing to do; whether memory was given back: after a while, or when the
        machine is short of it."""
        seconds = time.perf_counter() - self._stepped
        if seconds < self._idle_seconds and not (seconds > SHORTEST_REST and is_memory_short()):
            return False
        self._stepped = time.perf_counter()
        self.speculation.shrink()
        return self.scheduler.cache.room.shrink()

    def take(self, read: Read) -> None:
        """A state has come from disk, or has not."""
        assert self._store
        self._store.take(read)

    def fail_all(self) -> list[int]:
        """After a broken decode: drop every answer and forget the cache. Returns the uids to apologise to."""
        uids = list(self._answers)
        for answer in self._answers.values():
            self.scheduler.finish(answer.seq, Finish.ABORT)
            self._close(answer)
        self._answers.clear()
        self.scheduler.cache.clear()
        return uids

    def close(self) -> None:
        """Before the model is closed: what is resident outlives it on disk."""
        for uid in list(self._answers):
            self.abort(uid)
        self.scheduler.cache.close()

    def _note_start(self, steps: list[Step], now: float) -> None:
        for step in steps:
            seq = step.seq
            if seq.clock.started is None:
                seq.clock.started = now
                seq.num_cached = seq.num_computed
                self.totals.num_cached_tokens += seq.num_cached

    def _learn_cost(self, steps: list[Step], seconds: float) -> None:
        prompts = [step for step in steps if len(step.tokens) > 1]
        num_rows = sum(step.num_rows for step in steps if len(step.tokens) == 1)
        costs = self.speculation.costs
        costs.observe(num_rows, seconds, [(len(step.tokens), step.seq.num_computed) for step in prompts])
        if self._store:
            self._store.costs.prompt_token = costs.prompt_token

    def _say(self, steps: list[Step], now: float) -> tuple[Output | Failed, ...]:
        outputs: list[Output | Failed] = []
        for step in steps:
            answer = self._answers[step.seq.uid]
            if step.seq.failure:
                outputs.append(self._fail(answer, step.seq.failure))
            elif step.seq.num_completion > answer.num_said:
                outputs.append(self._output(answer, now))
        return tuple(outputs)

    def _output(self, answer: _Answer, now: float) -> Output:
        seq = answer.seq
        is_first = seq.clock.first_token is None
        if is_first:
            seq.clock.first_token = now
        seq.clock.last_token = now
        text, new = self._read(answer)
        if answer.text.stopped and not seq.finish:
            self.scheduler.finish(seq, Finish.STOP)
        logprobs = seq.take_logprobs(new)
        if seq.finish:
            return self._last_output(answer, text, len(new), logprobs)
        return Output(seq.uid, text, len(new), timings=seq.timings() if is_first else None, logprobs=logprobs)

    def _read(self, answer: _Answer) -> tuple[str, list[int]]:
        """What the new tokens say, and which they are. Guesses that held behind a stop string were not asked for."""
        seq, text = answer.seq, ""
        begin = end = answer.num_said
        while end < seq.num_completion and not answer.text.stopped:
            token = seq.completion[end]
            if token not in seq.eos:
                text += answer.text.push(self.model.piece(token), answer.signs.get(token, ""))
            end += 1
        del seq.completion[end:]
        answer.num_said = end
        return text, seq.completion[begin:]

    def _last_output(
        self, answer: _Answer, text: str, num_new: int = 0, logprobs: tuple[TokenLogprob, ...] = ()
    ) -> Output:
        seq = answer.seq
        text += answer.text.finish()
        del self._answers[seq.uid]
        self._close(answer)
        finish = Finish.STOP if answer.text.stopped else seq.finish
        return Output(seq.uid, text, num_new, finish, seq.timings(), logprobs)

    def _fail(self, answer: _Answer, failure: str, kind: FailureKind = FailureKind.BAD_REQUEST) -> Failed:
        self.scheduler.finish(answer.seq, Finish.ABORT)
        del self._answers[answer.seq.uid]
        self._close(answer)
        return Failed(answer.seq.uid, kind, failure)

    def _say_finished(self) -> tuple[Output | Failed, ...]:
        """Sequences that have ended outside of a step: they filled the whole cache, or it could not grow for them."""
        finished = [a for a in self._answers.values() if a.seq.finish]
        return tuple(map(self._say_end, finished))

    def _say_end(self, answer: _Answer) -> Output | Failed:
        failure = answer.seq.failure
        return self._fail(answer, failure, FailureKind.OUT_OF_MEMORY) if failure else self._last_output(answer, "")

    def _count(self, steps: list[Step], sampled: list[list[int]]) -> None:
        totals = self.totals
        totals.num_steps += 1
        for step, tokens in zip(steps, sampled, strict=True):
            totals.num_tokens += len(tokens)
            totals.num_prompt_tokens += len(step.tokens) if not tokens or len(step.tokens) > 1 else 0
            totals.num_drafted += len(step.draft)
            totals.num_accepted += len(tokens) - 1 if step.draft else 0

    def _close(self, answer: _Answer) -> None:
        if answer.seq.sampler:
            answer.seq.sampler.close()
            answer.seq.sampler = None


def _drafters(model: LoadedModel, mode: DraftMode) -> list[Drafter]:
    drafters: list[Drafter] = []
    if model.runner.max_draft == 0:
        return drafters
    if mode in (DraftMode.AUTO, DraftMode.LOOKUP):
        drafters.append(LookupDrafter())
    if model.draft_runner and mode in (DraftMode.AUTO, DraftMode.MODEL):
        drafters.append(ModelDrafter(model.draft_runner, "draft model"))
    return drafters
