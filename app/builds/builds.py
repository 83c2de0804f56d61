"""The builds of one application: which is used, whether it does well here, and what to say of a GPU that lies idle."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from app.builds.activation import activate, active_folder, is_of_person
from app.builds.build import INSTALLED, Build
from app.builds.choice import choose
from app.builds.machine import Machine, look
from app.builds.shelf import Shelf
from app.builds.sign import key_of, libraries_of
from app.builds.state import State, change, read
from app.builds.trial import Trial
from app.builds.unused import unused_sentence
from app.builds.way import unused
from backends.gpu_libraries import gpu_kind

CHOOSE = "slipstream builds --use auto"


class Builds:
    """wanted: the settings' choice, None for automatic. On any thread."""

    def __init__(self, folder: Path, state_file: Path, logs: Path, wanted: Callable[[], str | None] = lambda: None):
        self.shelf = Shelf(folder)
        self.state_file = state_file
        self.trial = Trial(self.shelf, state_file, logs)
        self._wanted = wanted
        self._switched: list[Callable[[], None]] = []

    def start(self) -> str | None:
        """Let the children to come use the chosen build. A sentence where it is another one than was wanted."""
        if is_of_person():
            return None
        build, notice = choose(self.shelf, self._wanted(), read(self.state_file))
        self._use(build)
        return notice

    def on_switch(self, listener: Callable[[], None]) -> None:
        """Called when the build has changed: children that wait for work have the other one."""
        self._switched.append(listener)

    @property
    def active(self) -> Build:
        """A person's own folder of libraries is a build without a name."""
        folder = active_folder()
        if folder is None:
            return Build(INSTALLED)
        return next((build for build in self.shelf.builds() if build.libraries == folder), Build("", folder))

    def prepare(self, cancelled: threading.Event | None = None) -> tuple[str, ...]:
        """Before a load: the build is tried if it is new here, and left if it does worse. Sentences for the load.

        Raises Cancelled.
        """
        notes = []
        build = self.active
        if build.name:
            outcome = self.trial.judge(build, cancelled)
            self._use(outcome.build)
            notes = [outcome.note] if outcome.note else []
        sentence = self.unused()
        return (*notes, sentence) if sentence else tuple(notes)

    def unused(self) -> str | None:
        """That a GPU lies idle, why, and what to do. Takes up to a second for the first who asks."""
        sentence = unused_sentence(self.machine, gpu_kind(libraries_of(self.active)))
        if sentence is None or not self.active.is_installed or not (others := self.shelf.builds()[1:]):
            return sentence
        gpu = self.machine.gpu
        assert gpu is not None
        if why := self.why_rejected(others[0]):
            return f"The GPU ({gpu.name}) is not used. {why}"
        return unused(gpu, "the settings choose the engine build of the CPU", f"“{CHOOSE}” chooses the GPU's")

    def why_rejected(self, build: Build) -> str | None:
        return read(self.state_file).rejected.get(key_of(build))

    def forget_rejection(self, name: str | None) -> None:
        """A person wants it tried again; None: all of them. Where that cannot be kept, it is not."""
        keys = {key_of(build) for build in self.shelf.builds() if name in (None, build.name)}

        def without(state: State) -> State:
            return replace(state, rejected={key: why for key, why in state.rejected.items() if key not in keys})

        with suppress(OSError):
            change(self.state_file, without)

    @cached_property
    def machine(self) -> Machine:
        return look()

    def _use(self, build: Build) -> None:
        before = active_folder()
        activate(build)
        if active_folder() != before:
            for listener in self._switched:
                listener()
