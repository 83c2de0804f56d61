"""The plan that is looked at: of one model, made anew with each choice on a worker. Knows no widget."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.library.defaults import NO_DEFAULTS, ModelDefaults
from app.planner.verdict import Place
from backends.protocol import EngineOptions
from ui.bridge import Bridge

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.planner.plan import Alternative, Plan
    from app.planner.study import Study
    from app.services import Services

PRICE_AFTER_MS = 200  # of rest on a choice: what else there is takes some dozen plans


class PlanDesk(QObject):
    changed = Signal()  # another model, other options, another plan, or one with its alternatives
    failed = Signal(str)  # a sentence: there is no plan
    kept = Signal()  # the model has other defaults now
    refused = Signal(str)  # a sentence: they could not be kept

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge
        self._is_planning = False
        self.entry: ModelEntry | None = None
        self.study: Study | None = None
        self.plan: Plan | None = None
        self.options = EngineOptions()
        self._common = EngineOptions()
        self._measured = EngineOptions()
        self._timer = QTimer(self, interval=PRICE_AFTER_MS, singleShot=True)
        self._timer.timeout.connect(self._price)

    @property
    def best(self) -> EngineOptions:
        """As the settings are, with what the machine decides best left to it."""
        return replace(self._common, context=None, gpu_layers=None)

    @property
    def has_defaults(self) -> bool:
        return self.entry is not None and bool(self._services.library.defaults_of(self.entry.path))

    @property
    def is_kept(self) -> bool:
        """Whether every load of the model is as these options are."""
        return self.entry is not None and self._services.options_for(self.entry) == self.options

    @property
    def wanted(self) -> EngineOptions:
        """For the load: a person who sees that it comes from the disk has agreed to it."""
        is_disk = self.plan is not None and self.plan.verdict.place is Place.DISK
        return replace(self.options, from_disk=is_disk)

    def open(self, entry: "ModelEntry") -> None:
        """Begin with the model's own defaults."""
        self._timer.stop()
        self.entry, self.study, self.plan = entry, None, None
        self.options = self._services.options_for(entry)
        self._common = self._services.common_options(entry)
        self._bridge.call(partial(self._look, entry), partial(self._begin, entry), partial(self._fail, entry))
        self.changed.emit()

    def change(self, **values: Any) -> None:
        """Fields of EngineOptions."""
        self.choose(replace(self.options, **values))

    def choose(self, options: EngineOptions) -> None:
        if options != self.options:
            self.options = options
            self.changed.emit()
            self._plan()

    def use(self, other: "Alternative") -> None:
        found = other.change
        own = self.options
        self.choose(replace(found, flash_cost=own.flash_cost, extra_buffer_types=own.extra_buffer_types))

    def keep(self) -> None:
        """As the model's defaults, from the next load on."""
        self._set_defaults(ModelDefaults.between(self.options, self._common))

    def forget(self) -> None:
        """The model is loaded as the settings are."""
        self._set_defaults(NO_DEFAULTS)

    def _set_defaults(self, defaults: ModelDefaults) -> None:
        if self.entry:
            work = partial(self._services.library.set_defaults, self.entry.path, defaults)
            self._bridge.call(work, lambda _: self.kept.emit(), lambda error: self.refused.emit(str(error)))

    def _look(self, entry: "ModelEntry") -> tuple["Study", EngineOptions]:
        """On a worker. Raises SlipstreamError."""
        options = self._services.options_for(entry)
        study = self._services.planning.study(entry.path, options.draft_model, self._services.outlook.machine())
        return study, self._services.planned_options(options)

    def _begin(self, entry: "ModelEntry", found: tuple["Study", EngineOptions]) -> None:
        if self._is_seen(entry):
            self.study, self._measured = found
            self._plan()

    def _plan(self) -> None:
        """One at a time: of the choices that come meanwhile the last is planned next."""
        if self.study is None or self._is_planning:
            return
        self._is_planning = True
        self._timer.stop()
        self._bridge.call(
            partial(self.study.plan, self._planned(self.options)),
            partial(self._take, self.study, self.options),
            partial(self._fail, self.entry),
            is_awaited=True,
        )

    def _take(self, study: "Study", options: EngineOptions, plan: "Plan") -> None:
        self._is_planning = False
        if study is not self.study or options != self.options:
            self._plan()
        if study is self.study:
            self.plan = plan
            self._timer.start()
            self.changed.emit()

    def _price(self) -> None:
        if self.study and self.plan:
            options = self.options
            work = partial(self.study.priced, self.plan, self._planned(options))
            self._bridge.call(work, partial(self._take_prices, self.study, options))

    def _take_prices(self, study: "Study", options: EngineOptions, plan: "Plan") -> None:
        if study is self.study and options == self.options:
            self.plan = plan
            self.changed.emit()

    def _planned(self, options: EngineOptions) -> EngineOptions:
        """With what the self-test has found, as a load has it."""
        measured = self._measured
        return replace(options, flash_cost=measured.flash_cost, extra_buffer_types=measured.extra_buffer_types)

    def _is_seen(self, entry: "ModelEntry | None") -> bool:
        return entry is not None and self.entry is not None and entry.path == self.entry.path

    def _fail(self, entry: "ModelEntry | None", error: Exception) -> None:
        self._is_planning = False
        if self._is_seen(entry):
            self.failed.emit(str(error))
