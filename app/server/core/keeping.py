"""What the port may do with the models on disk. app/keeper.py implements it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PullState:
    """How far a download is. status: a few words. fraction: 0 to 1. num_bytes: to be downloaded. error: a sentence; it
    has failed then."""

    status: str
    fraction: float
    num_bytes: int
    is_done: bool = False
    error: str | None = None


class Pull(Protocol):
    """Thread-safe, and never blocks."""

    def state(self) -> PullState: ...

    def leave(self) -> None:
        """Whoever asked for it has gone: it rests, and goes on where it was when it is asked for again."""


class ModelKeeper(Protocol):
    """Both block, and are called on threads of the port."""

    def pull(self, name: str) -> Pull | None:
        """Begin, or go on with, the install of a model of the Hub, by the same road as the window's. None: it is here.

        Raises UsageError for what is no such name, HubError, InstallError.
        """

    def remove(self, name: str) -> None:
        """Delete a model that Slipstream has installed. Raises UnknownModelError, and ModelFileError with why not."""
