"""The loop's body: schedule, run, update, tell. One thread owns it; what is told are values, for another one."""

from collections.abc import Callable
from time import perf_counter

from backends.chat.answer_parser import AnswerParser
from backends.drafting.calibration import Calibration
from backends.drafting.costs import StepCosts
from backends.drafting.drafter import Drafter, LookupDrafter, ModelDrafter
from backends.drafting.pace import Pace
from backends.drafting.speculation import Speculation
from backends.engine.embedder import Embedder
from backends.engine.news import Again, Begun, Ended, Lost, News, Said, Stepped, Told
from backends.engine.prefix_cache import PrefixCache
from backends.engine.room import SHORTEST_REST, is_memory_short
from backends.engine.runner import KVFull, LoadedModel, Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.engine.steady import Steady
from backends.engine.stops import NO_STOPS, Stops
from backends.prompt_cache.state_reader import Read
from backends.prompt_cache.state_store import StateStore
from backends.protocol import Cells, DraftMode, EngineOptions, Failed, FailureKind, Finish, PromptLogprobs


def _to_nobody(_news: News) -> None:
    pass


class Engine:
    """What its steps add to the answers is told to `tell`, which returns at once; text is made of it elsewhere."""

    def __init__(
        self,
        model: LoadedModel,
        options: EngineOptions,
        store: StateStore | None = None,
        tell: Callable[[News], None] = _to_nobody,
        tell_again: Callable[[Again], None] | None = None,
    ):
        """tell_again: of what may wait for the next of its kind; None: it is told as all else."""
        self.model = model
        self._store = store
        self._tell = tell
        self._tell_again = tell_again or tell
        self._idle_seconds = options.kv_idle_seconds
        self._stepped = perf_counter()
        own_adapters = tuple(adapter.scale for adapter in model.ready.adapters)
        cache = PrefixCache(model.runner, store, model.spell, own_adapters)
        drafters = _drafters(model, options.draft)
        self.speculation = Speculation(drafters, StepCosts(Pace(options.max_interval)), options.draft_length)
        self.scheduler = Scheduler(cache, self.speculation, options.parallel)
        self._steady = Steady(self.scheduler)
        self.calibration = Calibration(cache, self.speculation)
        self._sequences: dict[int, Sequence] = {}
        self.embedder = Embedder(model.pooler, options.max_interval, tell)

    @property
    def is_idle(self) -> bool:
        return self.scheduler.is_idle and not self.embedder.jobs

    @property
    def is_blocked(self) -> bool:
        """Nothing can be stepped: idle, or all that is there waits for a state from disk."""
        return self.scheduler.is_blocked and not self.embedder.jobs

    @property
    def cells(self) -> Cells:
        used = sum(seq.num_computed for seq in self.scheduler.running)
        return self.scheduler.cache.room.cells(used)

    def add(self, seq: Sequence, stops: Stops = NO_STOPS, parser: AnswerParser | None = None) -> None:
        self._sequences[seq.uid] = seq
        self._tell(Begun(seq.uid, seq.eos, stops, parser, seq.tells_tokens, seq.max_seconds))
        if seq.tells_progress:
            self._tell(Told(seq.progress(perf_counter())))
        self._steady.end()
        self.scheduler.add(seq)

    def abort(self, uid: int) -> None:
        """Call an answer off; its cells are free for the very next step. Unknown uids are ignored."""
        if seq := self._sequences.get(uid):
            self.scheduler.finish(seq, Finish.ABORT)
            self._tell_end(seq)
        else:
            self.embedder.abort(uid)

    def stop(self, uid: int) -> None:
        """A stop string was found in its text, and that was told. Unknown uids are ignored: it has ended meanwhile."""
        if seq := self._sequences.get(uid):
            self.scheduler.finish(seq, Finish.STOP)
            self._forget(seq)

    def pause(self, uid: int) -> None:
        """Compute no more of an answer that nobody reads. Unknown uids are ignored."""
        if seq := self._sequences.get(uid):
            self._steady.end()
            self.scheduler.pause(seq)

    def resume(self, uid: int) -> None:
        if seq := self._sequences.get(uid):
            self._steady.end()
            self.scheduler.resume(seq)

    def step(self) -> None:
        """Decode one batch: between two decodes stands only what the second one needs."""
        if self.embedder.jobs:
            self.embedder.step(is_beside_answers=bool(self.scheduler.running))
        begin = self._stepped = perf_counter()
        again = self._steady.next()
        steps = again or self._schedule(begin)
        if not steps:  # all wait for the disk
            return
        decode_begin = perf_counter()
        try:
            sampled = self.model.runner.run(steps)
        except KVFull:
            self._make_room()
            return
        now = perf_counter()
        if again and self._steady.accept(sampled):
            self._tell_again(Again(self._steady.uids, sampled, now, now - decode_begin, now - begin))
            if self._steady.teaches:
                self._learn_cost(again, now - decode_begin)
        else:
            self._update(steps, sampled, now, now - decode_begin, begin)

    def rest(self) -> bool:
        """Called now and then while there is nothing to do; whether memory was given back: after a while, or when the
        machine is short of it."""
        seconds = perf_counter() - self._stepped
        if seconds < self._idle_seconds and not (seconds > SHORTEST_REST and is_memory_short()):
            return False
        self._stepped = perf_counter()
        self.speculation.shrink()
        self.embedder.rest()
        return self.scheduler.cache.room.shrink()

    def take(self, read: Read) -> None:
        """A state has come from disk, or has not."""
        assert self._store
        self._store.take(read)

    def fail_all(self, sentence: str) -> None:
        """After a broken decode: drop every answer, with an apology, and forget the cache."""
        for seq in list(self._sequences.values()):
            self._lose(seq, FailureKind.INTERNAL, sentence)
        self.embedder.fail_all(sentence)
        self.scheduler.cache.clear()

    def close(self) -> None:
        """Before the model is closed: what is resident outlives it on disk."""
        for uid in list(self._sequences):
            self.abort(uid)
        self.scheduler.cache.close()

    def _schedule(self, now: float) -> list[Step]:
        steps = self.scheduler.schedule()
        for step in steps:
            seq = step.seq
            if seq.clock.started is None:
                seq.clock.started = now
                seq.num_cached = seq.num_computed
                if seq.tells_progress:
                    self._tell(Told(seq.progress(now)))
        return steps

    def _make_room(self) -> None:
        self._steady.end()
        self.scheduler.make_room()
        for seq in [seq for seq in self._sequences.values() if seq.finish]:  # it filled the whole cache
            if seq.failure and not seq.num_completion:  # the cache could not grow for it, and nothing is lost
                self._lose(seq, FailureKind.OUT_OF_MEMORY, seq.failure)
            else:
                self._tell_end(seq)

    def _update(
        self, steps: list[Step], sampled: list[list[int]], now: float, decode_seconds: float, begin: float
    ) -> None:
        """Whatever has come of a step."""
        self._learn_cost(steps, decode_seconds)
        self.scheduler.update(steps, sampled)
        said = [self._said(step, tokens, now) for step, tokens in zip(steps, sampled, strict=True) if tokens]
        prompts = [step for step, tokens in zip(steps, sampled, strict=True) if not tokens or len(step.tokens) > 1]
        num_prompt_tokens = sum(len(step.tokens) for step in prompts)
        for step in prompts:
            if step.seq.tells_progress and step.seq.num_completion <= 1:
                self._tell(Told(step.seq.progress(now)))
        num_sampled = sum(map(len, sampled))
        self._tell(Stepped(said, num_sampled, num_prompt_tokens, now, decode_seconds, perf_counter() - begin))
        self._steady.begin()

    def _learn_cost(self, steps: list[Step], seconds: float) -> None:
        prompts = [(len(step.tokens), step.seq.num_computed) for step in steps if len(step.tokens) > 1]
        num_rows = sum(step.num_rows for step in steps if len(step.tokens) == 1)
        costs = self.speculation.costs
        costs.observe(num_rows, seconds, prompts)
        if self._store:
            self._store.costs.prompt_token = costs.prompt_token

    def _said(self, step: Step, tokens: list[int], now: float) -> Said:
        seq, timings, prompt = step.seq, None, None
        is_hurried = bool(seq.finish and seq.sampler and seq.sampler.is_hurried)
        if seq.clock.first_token is None:
            seq.clock.first_token = now
            timings, prompt = seq.timings(), self._prompt_logprobs(seq)
        if seq.failure:
            self._lose(seq, FailureKind.BAD_REQUEST, seq.failure, "grammar")
        elif seq.finish:
            self._forget(seq)
        said = tokens if seq.max_tokens else []  # else its prompt is all that was wanted
        num_drafted, logprobs = len(step.draft), step.logprobs
        return Said(seq.uid, said, num_drafted, seq.num_rolled, seq.finish, logprobs, timings, prompt, is_hurried)

    def _prompt_logprobs(self, seq: Sequence) -> PromptLogprobs | None:
        if seq.num_prompt_alternatives is None:
            return None
        return PromptLogprobs(self.model.spell(seq.tokens[:1]), tuple(seq.prompt_logprobs))

    def _tell_end(self, seq: Sequence) -> None:
        assert seq.finish
        self._forget(seq)
        self._tell(Ended(seq.uid, seq.finish, seq.timings(), seq.failure))

    def _lose(self, seq: Sequence, kind: FailureKind, sentence: str, about: str | None = None) -> None:
        self.scheduler.finish(seq, Finish.ABORT)
        self._forget(seq)
        self._tell(Lost(Failed(seq.uid, kind, sentence, about=about)))

    def _forget(self, seq: Sequence) -> None:
        self._steady.end()
        del self._sequences[seq.uid]
        if seq.sampler:
            seq.sampler.close()
            seq.sampler = None


def _drafters(model: LoadedModel, mode: DraftMode) -> list[Drafter]:
    drafters: list[Drafter] = []
    if model.runner.max_draft == 0:
        return drafters
    if mode in (DraftMode.AUTO, DraftMode.LOOKUP):
        drafters.append(LookupDrafter())
    if model.draft_runner and mode in (DraftMode.AUTO, DraftMode.MODEL):
        drafters.append(ModelDrafter(model.draft_runner, "draft model"))
    return drafters
