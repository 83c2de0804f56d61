"""Where models are measured and tuned: each run has engines of its own, on the same road as any answer, and what it has
found is kept in the history once it is whole. For commands and the window."""

import threading
from collections.abc import Callable, Collection
from functools import partial
from itertools import count
from pathlib import Path

from app.bench.bench import Bench
from app.bench.bench import Hear as Hear
from app.bench.engines import Engines
from app.bench.figures import Figures
from app.bench.history import BenchHistory
from app.bench.limit import Limit
from app.bench.tune import Tune
from app.bench.tuned import Purpose, Tuned
from app.errors import BenchError
from app.inference.engine_handle import EngineHandle
from app.inference.planning import Planning
from app.lab.lab import Lab
from app.lab.make_card import content_identity
from app.lab.settings import Settings
from app.library.defaults import ModelDefaults
from app.library.entry import ModelEntry
from app.library.library import Library
from app.telemetry.sample import Sample
from backends.measurement import Evaluation
from backends.protocol import EngineOptions

MeasureRates = Callable[[threading.Event, EngineOptions], None]
Load = Callable[[ModelEntry, str, EngineOptions], EngineHandle]

_numbers = count(1)


class Workbench:
    """Thread-safe: runs share nothing but the history."""

    def __init__(
        self,
        load: Load,
        unload: Callable[[str], None],
        common_options: Callable[[ModelEntry], EngineOptions],
        library: Library,
        lab: Lab,
        planning: Planning,
        measure_rates: MeasureRates,
        look: Callable[[], Sample],
        pids: Callable[[], Collection[int]],
        file: Path,
    ):
        """common_options: of the settings, without a model's defaults. measure_rates: this machine's, once,
        unless the event is set. look: one sample of the GPUs. pids: of all engines. file: the history's."""
        self._load, self._unload, self._common_options = load, unload, common_options
        self._library, self._lab, self._planning, self._look = library, lab, planning, look
        self._measure_rates = measure_rates
        self._pids = pids
        self.history = BenchHistory(file)

    def bench(
        self,
        entry: ModelEntry,
        hear: Hear,
        cancelled: threading.Event,
        options: EngineOptions | None = None,
    ) -> Bench:
        """Not begun yet. options: others than a load has. Raises ModelFileError."""
        options = options or self._library.defaults_of(entry.path).applied(self._common_options(entry))
        return Bench(
            entry,
            options,
            self._engines(entry, cancelled),
            partial(self._evaluate, entry, cancelled),
            hear,
            Limit(self._planning, partial(self._measure_rates, cancelled), self._look, entry.path, options),
            content_identity(entry.path),
        )

    def measure(
        self, entry: ModelEntry, hear: Hear, cancelled: threading.Event, options: EngineOptions | None = None
    ) -> Figures:
        """A whole run, which is kept. Raises ModelFileError, EngineError, RequestError, BenchError or Cancelled."""
        return self.history.add(self.bench(entry, hear, cancelled, options).run()).figures

    def tune(self, entry: ModelEntry, purpose: Purpose, hear: Hear, cancelled: threading.Event) -> Tuned:
        """Changes nothing: what was found is kept for `apply`. Raises the same."""
        tune = Tune(
            content_identity(entry.path),
            entry.name,
            self._common_options(entry),
            self.defaults(entry),
            purpose,
            self._engines(entry, cancelled),
            partial(self._evaluate, entry, cancelled),
            hear,
        )
        found = tune.run()
        self.history.keep_tuned(found)
        return found

    def tuned(self, entry: ModelEntry, purpose: Purpose) -> Tuned | None:
        """What was found last for these very contents. Raises ModelFileError or BenchError."""
        return self.history.tuned(content_identity(entry.path), purpose)

    def apply(self, entry: ModelEntry, tuned: Tuned, *, takes_offer: bool = False) -> ModelDefaults:
        """What was found becomes the model's defaults; those before are kept. takes_offer: the quantized KV cache, too.

        Raises BenchError where nothing better was found, ModelFileError when the disk does not take it.
        """
        if takes_offer:
            if tuned.offer is None:
                raise BenchError(f"No quantized KV cache was tried for {entry.name}.")
            options = tuned.offer.options
        elif tuned.is_gain:
            options = tuned.after
        else:
            raise BenchError(f"Nothing was found for {entry.name} that is better than what it has.")
        self._library.set_defaults(entry.path, options)
        return options

    def undo(self, entry: ModelEntry) -> ModelDefaults:
        """Its defaults before they were changed last. Raises ModelFileError where there are none."""
        return self._library.restore_defaults(entry.path)

    def defaults(self, entry: ModelEntry) -> ModelDefaults:
        """Those that it has now."""
        return self._library.defaults_of(entry.path)

    def can_undo(self, entry: ModelEntry) -> bool:
        return self._library.defaults_before(entry.path) is not None

    def _engines(self, entry: ModelEntry, cancelled: threading.Event) -> Engines:
        def load(options: EngineOptions) -> EngineHandle:
            return self._load(entry, f"bench-{next(_numbers)}", options)

        return Engines(load, lambda handle: self._unload(handle.name), cancelled, self._pids)

    def _evaluate(self, entry: ModelEntry, cancelled: threading.Event, settings: Settings) -> Evaluation:
        """Of the model against itself."""
        return self._lab.evaluate(entry.path, entry.path, cancelled=cancelled, settings=settings)
