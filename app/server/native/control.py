"""What the native API needs of the application. app/control.py implements it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.server.native.shapes import Engine, Figures, JobShape, Models, News, ToldCard


class Control(Protocol):
    """All may block, and are called on threads of the port, several at a time."""

    def models(self) -> Models: ...

    def engines(self) -> list[Engine]: ...

    def load(self, model: str, options: Mapping[str, Any]) -> Engine:
        """Begin to load it, or to wait until there is room for it, and return at once. options: fields of
        EngineOptions; with some, a loaded one is loaded anew; draft_model: a model's id.

        Raises UnknownModelError, ModelFileError or EngineError."""

    def unload(self, model: str) -> Engine:
        """As it was. By the engine's name or the model's id. Raises UnknownModelError."""

    def pin(self, model: str, is_pinned: bool) -> Engine:
        """Whether it stays loaded until it is unloaded by its name. Raises UnknownModelError."""

    def jobs(self) -> list[JobShape]: ...

    def install(self, name: str, revision: str | None) -> JobShape:
        """As `slipstream install`. Raises what that raises."""

    def cancel(self, job_id: int) -> JobShape | None:
        """None: there is no such job."""

    def cards(self, model: str | None) -> list[ToldCard]:
        """Of one model, or all of them. Raises UnknownModelError."""

    def figures(self) -> list[Figures]: ...

    def subscribe(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """Called on any thread with what happens; the function returned ends that."""
