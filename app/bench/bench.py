"""Measures one model with a person's own engine options: what they will notice, and what each optimization does here.

Everything is measured more than once, and what is compared in turns (A B B A): the difference between equal runs says
which other difference means anything.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import psutil

from app.bench.asking import Asking
from app.bench.engines import Engines, Started
from app.bench.figures import CPU, Figures, Memory, Quantized, Sample, Subject
from app.bench.guessing import guesses_so, pairs_of, sources
from app.bench.limit import Limit
from app.bench.lives import Lives, compared, is_quantized, quantized_kind, with_other_kv
from app.bench.passages import ANSWER, reading
from app.bench.speeds import Speeds
from app.errors import EngineError, EvaluationError, ModelFileError, RequestError
from app.lab.machine import machine_name
from app.lab.settings import Settings
from app.library.entry import ModelEntry
from backends.kv_layout import MAX_BATCH_TOKENS
from backends.measurement import Evaluation
from backends.protocol import DraftMode, EngineOptions, KVLayout, Ready

MINUTES = 8.0  # after which no further part is begun
DEPTHS = (1024, 4096, 16_384, 65_536)  # tokens of the prompts; and none
COUNTS = (2, 4, 8)  # answers side by side
DEEP = 1024  # tokens of the prompts behind which the most of them are measured, too
COMPARED = (2048, 1024, 512, 256, 128)  # of those behind which options are compared: the longest that is quick enough
READING_SECONDS, COMPARED_SECONDS = 60.0, 8.0  # that a prompt of such a length may take
LEAST_ANSWER, ANSWER_SECONDS = 16, 4.0  # tokens of an answer that is measured, and how long it may take beyond them
LEARNT = 256  # tokens from which the length of one is learnt
NUM_CHUNKS = 8  # of the text on which predictions are compared: some 2,000
NUM_PARTS = 19  # that are told; drafts may add some

Hear = Callable[[str, float], None]  # what is done now, and the share of the whole that is done
Evaluate = Callable[[Settings], Evaluation]  # of the model against itself


class Bench:
    """`figures` is what is known so far, also after a failure; None before the model is loaded."""

    def __init__(
        self,
        entry: ModelEntry,
        options: EngineOptions,
        engines: Engines,
        evaluate: Evaluate,
        hear: Hear,
        limit: Limit | None = None,
        identity: str = "",
    ):
        """identity: of the file's content. evaluate raises EvaluationError, ModelFileError, EngineError, Cancelled."""
        self._until = time.monotonic() + 60 * MINUTES
        self.figures: Figures | None = None
        self._entry, self._options = entry, options
        self._engines, self._evaluate, self._hear, self._limit = engines, evaluate, hear, limit
        self._identity = identity
        self._length = ANSWER
        self._num_told = 0

    def run(self) -> Figures:
        """Raises EngineError for a model that does not load at all, and Cancelled."""
        if self._limit:
            self._tell("Measuring what the memory gives, once")
            self._limit.prepare()
        self._tell("Starting the engine")
        with self._engines.started(self._options) as main:
            bandwidth = self._limit.bandwidth(main.ready) if self._limit else None
            self.figures = Figures(self._subject(main.ready), bandwidth=bandwidth)
            self._notice(main)
            self._together(main)
            self._drafts(main)
        self._more_together()
        self._compare_options()
        self._compare_devices()
        self._compare_predictions()
        return self._add(is_whole=True)

    def _notice(self, main: Started) -> None:
        """What a person will notice, on one engine that is theirs."""
        asking, ready = main.asking, main.ready
        first = asking.footprint()
        text = self._engines.passages.next(min(LEARNT, ready.context // 4))
        timings = asking.answer(reading(text))
        self._engines.passages.learn(len(text), timings.prompt_n + timings.cache_n)
        speeds = self._speeds(asking)
        self._tell("Answering")
        answer = speeds.answer()
        self._length = _answer_length(answer.speed.median)
        self._add(answers=(answer,))
        speeds = self._speeds(asking)
        self._read(speeds, ready.context)
        readings = self._known.readings
        longest = max(each.num_tokens for each in readings)
        depth = _compared_depth(readings[-1].speed.median, ready.context)
        self._add(depth=depth, memory=Memory(first, asking.footprint(), longest))
        self._tell("Measuring what no difference is")
        self._add(equal=speeds.equal())

    def _read(self, speeds: Speeds, context: int) -> None:
        for depth in _fitting(DEPTHS, context):
            self._tell(f"Reading prompts of {depth:,} tokens")
            known = self._known.readings
            if known and depth / known[-1].speed.median > READING_SECONDS:
                self._leave_out(f"A prompt of {depth:,} tokens would have taken more than a minute to read.")
                return
            reading, answer = speeds.behind(depth)
            self._add(readings=(*known, reading), answers=(*self._known.answers, answer))

    def _together(self, main: Started) -> None:
        """As many as a person has side by side."""
        self._add_together(main, tuple(count for count in COUNTS if count <= main.ready.parallel))

    def _more_together(self) -> None:
        """On an engine that has place for them."""
        if counts := tuple(count for count in COUNTS if count > self._known.subject.parallel):
            self._try(f"{max(counts)} answers side by side", partial(self._with_place_for, counts))

    def _with_place_for(self, counts: tuple[int, ...]) -> None:
        with self._engines.started(replace(self._options, parallel=max(counts))) as engine:
            self._add_together(engine, counts)

    def _add_together(self, engine: Started, counts: tuple[int, ...]) -> None:
        speeds = self._speeds(engine.asking)
        for depth, few in ((0, counts), (DEEP, counts[-1:])):
            if few and self._has_time_for(depth, few[-1], engine.ready):
                self._tell(f"{max(few)} answers side by side{f' behind {depth:,} tokens' if depth else ''}")
                for found in speeds.together(few, depth):
                    self._add(together=(*self._known.together, found))

    def _has_time_for(self, depth: int, count: int, ready: Ready) -> bool:
        """To read so many prompts of that depth, and whether there are as many cells."""
        room = ready.context // (count if ready.kv_layout is KVLayout.UNIFIED else 1)
        seconds = depth * count / self._known.readings[-1].speed.median
        return seconds <= READING_SECONDS and depth + 2 * ANSWER <= room and time.monotonic() < self._until

    def _speeds(self, asking: Asking) -> Speeds:
        weigh = self._limit.num_bytes if self._limit else lambda _: None
        return Speeds(asking, self._engines.passages, weigh, self._length)

    def _drafts(self, main: Started) -> None:
        """Each source by itself, on an engine of its own unless the person's has only that one."""
        for source, mode in sources(self._options).items():
            self._tell(f"Trying drafts by {source}")
            self._try(f"Drafts by {source}", partial(self._try_drafts, source, mode, main))

    def _try_drafts(self, source: str, mode: DraftMode, main: Started) -> None:
        if guesses_so(self._options, mode):
            self._add_drafts(source, main.asking)
        else:
            with self._engines.started(replace(self._options, draft=mode)) as engine:
                self._add_drafts(source, engine.asking)

    def _add_drafts(self, source: str, asking: Asking) -> None:
        for found in pairs_of(source, asking):
            self._add(drafts=(*self._known.drafts, found))

    def _compare_options(self) -> None:
        """Engines started anew, in turns, each with one option changed."""
        own = Lives(self._options)
        growth = Lives(replace(self._options, kv_grow=not self._options.kv_grow))
        cache = Lives(with_other_kv(self._options))
        kind = quantized_kind(self._options)
        changes = {"your options": own, "the KV cache growing otherwise": growth, "another KV cache": cache}
        for name in (*changes, *reversed(changes)):
            self._tell(f"Starting anew with {name}")
            what = f"An engine with {name}"
            self._try(what, partial(changes[name].live, self._engines, self._known.depth))
            self._add(
                starts=Sample(tuple(own.starts)) if own.starts else None,
                growth=compared(own, growth, is_own=self._options.kv_grow),
                quantized=Quantized(kind, compared(own, cache, is_own=is_quantized(self._options))),
            )

    def _compare_devices(self) -> None:
        """What the GPU gains, in turns with the processor alone."""
        if self._known.subject.device == CPU:
            return
        own, other = Lives(self._options), Lives(replace(self._options, gpu_layers=0, placement=None))
        for lives in (own, other, other, own):
            self._tell("Starting anew with and without the GPU")
            self._try("The processor alone", partial(lives.live, self._engines, self._known.depth))
        self._add(processor=compared(own, other, is_own=False))

    def _compare_predictions(self) -> None:
        """With a quantized KV cache, and without."""
        self._tell("Comparing predictions")
        kind = quantized_kind(self._options)
        layers, threads = self._options.gpu_layers, self._options.threads
        settings = Settings(num_chunks=NUM_CHUNKS, kv_type_k=kind, kv_type_v=kind, gpu_layers=layers, threads=threads)

        def measure() -> None:
            divergence = self._evaluate(settings).kld
            known = self._known.quantized or Quantized(kind, None)
            self._add(quantized=replace(known, divergence=divergence))

        self._try(f"What a KV cache of {kind} changes in the answers", measure)

    @property
    def _known(self) -> Figures:
        assert self.figures is not None
        return self.figures

    def _add(self, **found: Any) -> Figures:
        self.figures = replace(self._known, others=tuple(self._engines.others), **found)
        return self.figures

    def _leave_out(self, sentence: str) -> None:
        if sentence not in self._known.left_out:  # what refuses once refuses again
            self._add(left_out=(*self._known.left_out, sentence))

    def _try(self, what: str, measure: Callable[[], None]) -> None:
        """One part that fails is left out with the reason, and the others are measured all the same."""
        if time.monotonic() > self._until:
            self._leave_out(f"{what}: not begun, because {MINUTES:.0f} minutes were over.")
            return
        try:
            measure()
        except (EngineError, RequestError, EvaluationError, ModelFileError) as error:
            self._leave_out(f"{what}: {error}")

    def _tell(self, doing: str) -> None:
        self._hear(doing, min(1.0, self._num_told / NUM_PARTS))
        self._num_told += 1

    def _subject(self, ready: Ready) -> Subject:
        entry = self._entry
        return Subject(
            name=entry.name,
            file=entry.path.name,
            bytes=entry.bytes,
            num_parameters=ready.num_parameters,
            quantization=entry.quantization,
            machine=machine_name(ready.device),
            num_cores=psutil.cpu_count() or 1,  # in which the system counts what others use
            device=ready.device,
            threads=ready.threads,
            context=ready.context,
            parallel=ready.parallel,
            kv_type_k=ready.kv_type_k,
            kv_type_v=ready.kv_type_v,
            flash_attention=ready.flash_attention,
            draft=ready.draft,
            kv_grows=self._options.kv_grow,
            build=ready.build,
            version=version("slipstream"),
            measured=datetime.now().astimezone().isoformat(timespec="seconds"),
            notes=ready.notes,
            identity=self._identity,
            gpu_layers=min(ready.gpu_layers, ready.num_layers + 1),
            num_layers=ready.num_layers + 1,
            batch=self._options.batch or MAX_BATCH_TOKENS,
            micro_batch=self._options.micro_batch or 0,
        )


def _answer_length(per_second: float) -> int:
    """So that a slow model is measured in minutes, too."""
    return max(LEAST_ANSWER, min(ANSWER, round(per_second * ANSWER_SECONDS)))


def _fitting(depths: tuple[int, ...], context: int) -> tuple[int, ...]:
    """Those that leave room for an answer; half of a context that is smaller than all of them."""
    return tuple(depth for depth in depths if depth + 2 * ANSWER <= context) or (max(1, context // 2),)


def _compared_depth(per_second: float, context: int) -> int:
    fitting = _fitting(COMPARED, context)
    return next((depth for depth in fitting if depth <= per_second * COMPARED_SECONDS), fitting[-1])
