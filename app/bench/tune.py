"""Finds the engine options that suit one model on this machine: knob by knob, and then the whole beside what was there.

The search takes the best of many, and that is often one that had luck. So what it has found is measured once more, in
turns with the first options, in engines started anew; and only a gain larger than that between equal engines is one.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import psutil

from app.bench.asking import Asking
from app.bench.engines import Engines
from app.bench.figures import Comparison, Sample
from app.bench.knobs import Choice, knobs
from app.bench.lives import is_quantized
from app.bench.passages import reading
from app.bench.speeds import SIDES
from app.bench.tuned import Offer, Purpose, Trial, Tuned
from app.errors import EngineError, EvaluationError, ModelFileError, RequestError
from app.lab.machine import machine_name
from app.lab.settings import Settings
from app.library.defaults import ModelDefaults
from backends.measurement import Evaluation
from backends.protocol import EngineOptions, FlashAttention, Generate, KVType, Ready

MINUTES = 6.0  # after which nothing further is tried
PROMPT, REPLY = 512, 96  # tokens of one person's turn
SHORT_PROMPT, SHORT_REPLY, NUM_REQUESTS = 128, 32, 16  # of a batch
RUNS = 3  # in each engine
NUM_CHUNKS = 8  # as the benchmark has it
MOST_TURN = 5.0  # seconds: of a slow model less is asked
LEARNT = 64  # tokens from which the length of one is learnt
NUM_STEPS = 12  # that are told, about

Hear = Callable[[str, float], None]
Evaluate = Callable[[Settings], Evaluation]
LEFT_OUT = (EngineError, RequestError)


class Tune:
    """One run. Whoever calls it off keeps nothing."""

    def __init__(
        self,
        identity: str,
        name: str,
        options: EngineOptions,
        own: ModelDefaults,
        purpose: Purpose,
        engines: Engines,
        evaluate: Evaluate,
        hear: Hear,
    ):
        """options: those of the settings; own: the model's defaults over them. evaluate raises EvaluationError,
        ModelFileError, EngineError or Cancelled."""
        self._until = time.monotonic() + 60 * MINUTES
        self._identity, self._name, self._purpose = identity, name, purpose
        self._options, self._own = options, own
        self._engines, self._evaluate, self._hear = engines, evaluate, hear
        self._trials: list[Trial] = []
        self._best: list[float] = []
        self._scale = 1.0  # of what is asked
        self._num_told = 0

    def run(self) -> Tuned:
        """Raises EngineError for a model that does not load at all, RequestError, and Cancelled."""
        measured = datetime.now().astimezone().isoformat(timespec="seconds")
        self._tell("Measuring it as it is")
        ready = self._first()
        equal = self._in_turns(self._own, self._own, "Measuring what no difference is")
        self._best = [*equal.without.values, *equal.within.values]
        found = Tuned(
            identity=self._identity,
            name=self._name,
            purpose=self._purpose,
            machine=machine_name(ready.device),
            num_cores=psutil.cpu_count() or 1,  # in which the system counts what others use
            build=ready.build,
            measured=measured,
            before=self._own,
            after=self._own,
            equal=equal,
        )
        after = self._searched(ready, found.noise)
        if after != self._own:
            gain = self._in_turns(self._own, after, "Measuring the gain")
            found = replace(found, after=after, gain=gain)
        best = found.after if found.is_gain else self._own
        found = replace(found, trials=tuple(self._trials), offer=self._offered(best, found.noise))
        return replace(found, others=tuple(self._engines.others))

    def _first(self) -> Ready:
        """How an engine with the options as they are comes up, and how much a turn may ask of it."""
        with self._engines.started(self._own.applied(self._options)) as engine:
            asking, passages = engine.asking, self._engines.passages
            text = passages.next(LEARNT)
            timings = asking.answer(reading(text))
            passages.learn(len(text), timings.prompt_n + timings.cache_n)
            begin = time.perf_counter()
            asking.answers(self._requests(engine.ready))
            self._scale = min(1.0, MOST_TURN / (time.perf_counter() - begin))
            return engine.ready

    def _searched(self, ready: Ready, noise: float) -> ModelDefaults:
        """What the knobs are turned to. Half of the noise is enough to go on with: the end will tell."""
        chosen = self._own
        for knob in knobs(self._own.applied(self._options), ready, self._purpose):
            tried = [(choice, self._tried(choice, chosen)) for choice in knob.choices if self._has_time]
            known = [(choice, sample) for choice, sample in tried if sample]
            if not known:
                continue
            choice, sample = max(known, key=lambda each: each[1].median)
            if sample.median > (1 + noise / 2) * Sample(tuple(self._best)).median:
                chosen, self._best = chosen.with_more(**choice.change), list(sample.values)
                self._trials = [
                    replace(each, is_taken=each.is_taken or each.options == chosen) for each in self._trials
                ]
        return chosen

    def _tried(self, choice: Choice, chosen: ModelDefaults) -> Sample | None:
        """None where it cannot be had: a load that is refused is an answer, too."""
        self._tell(f"Trying {choice.words}")
        options = chosen.with_more(**choice.change)
        try:
            sample = Sample(tuple(self._scores(options)))
        except LEFT_OUT as error:
            self._trials.append(Trial(choice.words, options, problem=str(error)))
            return None
        self._trials.append(Trial(choice.words, options, sample))
        return sample

    def _offered(self, best: ModelDefaults, noise: float) -> Offer | None:
        """Keys and values of 8 bits: never taken by itself, since they change what is answered."""
        now = best.applied(self._options)
        if is_quantized(now) or now.flash_attention is FlashAttention.OFF or not self._has_time:
            return None
        kind = KVType.Q8_0
        options = best.with_more(kv_type_k=kind, kv_type_v=kind)
        with suppress(*LEFT_OUT):
            gain = self._in_turns(best, options, f"Trying a KV cache of {kind}")
            offer = Offer(kind, options, gain)
            if gain.ratio - 1 <= noise:
                return offer
            self._tell("Comparing predictions")
            with suppress(EvaluationError, ModelFileError):
                settings = Settings(num_chunks=NUM_CHUNKS, kv_type_k=kind, kv_type_v=kind)
                return replace(offer, divergence=self._evaluate(settings).kld)
            return offer
        return None

    def _in_turns(self, without: ModelDefaults, within: ModelDefaults, doing: str) -> Comparison:
        """Engines started anew for each side. Raises as `Engines.started`."""
        sides: tuple[list[float], list[float]] = ([], [])
        for side in SIDES:
            self._tell(doing)
            sides[side].extend(self._scores((without, within)[side]))
        return Comparison(Sample(tuple(sides[0])), Sample(tuple(sides[1])))

    def _scores(self, options: ModelDefaults) -> list[float]:
        """Of one engine: more is better."""
        with self._engines.started(options.applied(self._options)) as engine:
            self._score(engine.asking, self._requests(engine.ready))  # the first one has the KV cache grow
            return [self._score(engine.asking, self._requests(engine.ready)) for _ in range(RUNS)]

    def _score(self, asking: Asking, requests: list[Generate]) -> float:
        """Turns a minute, or tokens a second."""
        begin = time.perf_counter()
        timings = [answer.timings for answer in asking.answers(requests)]  # whoever was refused took no time
        seconds = time.perf_counter() - begin
        if self._purpose is Purpose.CHAT:
            return 60 / seconds
        return sum(each.prompt_n + each.predicted_n for each in timings) / seconds

    def _requests(self, ready: Ready) -> list[Generate]:
        """Unlike all before, so that no prompt cache knows them."""
        if self._purpose is Purpose.CHAT:
            return [self._request(PROMPT, REPLY, ready)]
        return [self._request(SHORT_PROMPT, SHORT_REPLY, ready) for _ in range(NUM_REQUESTS)]

    def _request(self, prompt: int, reply: int, ready: Ready) -> Generate:
        prompt, reply = (max(8, round(self._scale * each)) for each in (prompt, reply))
        return reading(self._engines.passages.next(min(prompt, ready.context // 2)), min(reply, ready.context // 4))

    @property
    def _has_time(self) -> bool:
        return time.monotonic() < self._until

    def _tell(self, doing: str) -> None:
        self._hear(doing, min(1.0, self._num_told / (NUM_STEPS + self._num_told / 2)))
        self._num_told += 1
