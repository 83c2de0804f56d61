"""What the port must be told of the models. services.py implements it."""

from typing import Protocol

from app.inference.engine_handle import EngineHandle


class ModelDirectory(Protocol):
    """Both methods may block, and are called on threads of the port, several at a time."""

    def names(self) -> list[str]:
        """Every model that a request may name, loaded or not."""

    def engine(self, name: str | None) -> EngineHandle:
        """The engine of this name, loading it on demand; None: the only or first one. Raises UnknownModelError."""
