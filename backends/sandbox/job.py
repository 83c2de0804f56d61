"""What is given to a sandbox, and what comes back. Both sides import this; knows neither templates nor grammars."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

DEADLINE = 2.0  # seconds of the processor for one job: a busy machine is not the job's fault
PATIENCE = 10.0  # seconds of the clock for it, whatever the machine does beside
BEGIN = 2.0  # seconds of the clock in which a child must have begun
MEMORY = 200 << 20  # bytes that jobs may allocate over what the idle child has


class Refused(Exception):
    """Raised by a job for what its input is to blame for; str() of it is the reason, in words that follow a colon."""


class Fault(Exception):
    """A job came to nothing; str() of it is the reason, in words that follow a colon.

    is_final: another try would end alike. What took too long may have met a busy machine.
    is_ours: the job was never begun, for want of a child that could, so that its input has no part in it.
    """

    def __init__(self, reason: str, is_final: bool, is_ours: bool = False):
        super().__init__(reason)
        self.is_final = is_final
        self.is_ours = is_ours


class Job(Protocol):
    """A value that is pickled to the child, and run there."""

    def run(self, tools: Mapping[str, Any]) -> Any:
        """The result, which must be picklable. Raises Refused; anything else is a bug, but MemoryError and
        RecursionError."""


class Tool(Protocol):
    """What many jobs need and only the first one brings: a template, a vocabulary."""

    def unpack(self) -> Any:
        """In the child, once in its life, with more time than a job has and without a bound on memory."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a job may take. deadline: seconds of the processor; memory: bytes; patience: seconds of the clock, for a
    job that does nothing and for a machine that has no time; begin: of the clock, too, until the child has read it."""

    deadline: float = DEADLINE
    memory: int = MEMORY
    patience: float = PATIENCE
    begin: float = BEGIN

    @property
    def too_slow(self) -> str:
        return f"it takes longer than {self.deadline:g} seconds"

    @property
    def too_large(self) -> str:
        return f"it needs more than {self.memory >> 20} MB of memory"


@dataclass(frozen=True, slots=True)
class Keep:
    """Under `name`, for all jobs that follow."""

    name: str
    tool: Tool


@dataclass(frozen=True, slots=True)
class Speak:
    """Into this log from now on: the engine's, which was not known when the child was started."""

    log: Path


@dataclass(frozen=True, slots=True)
class Begun:
    """The child has read what it is to do, and does it."""


@dataclass(frozen=True, slots=True)
class Done:
    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """is_spent: the child ran out of memory, and better makes room for a fresh one."""

    reason: str
    is_spent: bool = False
