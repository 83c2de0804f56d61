"""The figures of one moment. Unknown is None, never 0; memory is in bytes, shares lie between 0 and 1."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.telemetry.finding import Finding
from backends.protocol import Cells, DeviceMemory


@dataclass(frozen=True, slots=True)
class Gpu:
    """What its driver says of one GPU. `used` is of all programs; `own` is that part of it which our engines hold.

    shared: RAM that it uses as if it were its own. throttle: why it is slowed down; "" when it is not.
    bandwidth: bytes per second that its memory can deliver, by clock and width. source: whose figures, for a tooltip.
    """

    name: str
    source: str
    used: int | None = None
    total: int | None = None
    own: int | None = None
    shared: int | None = None
    load: float | None = None
    celsius: float | None = None
    watts: float | None = None
    watts_limit: float | None = None
    mhz: float | None = None
    mhz_limit: float | None = None
    throttle: str | None = None
    bandwidth: float | None = None

    @property
    def free(self) -> int | None:
        return None if self.used is None or self.total is None else self.total - self.used


@dataclass(frozen=True, slots=True)
class Host:
    """`used` is what no program could have without others losing some; `own` what this process holds."""

    used: int | None = None
    total: int | None = None
    own: int | None = None


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """A loaded model over the last seconds. Rates are of all its answers together, in tokens per second; None while
    there is nothing to divide.

    first_token_ms, queue_ms: a mean. batch: tokens in one step. cached: share of prompts that the prompt cache held.
    acceptance: share of drafts that held. bandwidth: bytes of weights read per second, if each step reads them all.
    """

    name: str
    device: str | None = None  # None while it loads
    answer_rate: float | None = None
    prompt_rate: float | None = None
    first_token_ms: float | None = None
    queue_ms: float | None = None
    batch: float | None = None
    num_running: int = 0
    num_waiting: int = 0
    cells: Cells | None = None
    cached: float | None = None
    acceptance: float | None = None
    rss: int | None = None
    devices: tuple[DeviceMemory, ...] = ()  # as the engine's own backend sees them
    bandwidth: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """time: seconds since 1970."""

    time: float
    host: Host = Host()
    gpus: tuple[Gpu, ...] = ()
    engines: tuple[EngineFigures, ...] = ()
    findings: tuple[Finding, ...] = ()

    def engine(self, name: str | None) -> EngineFigures | None:
        return next((each for each in self.engines if each.name == name), None)

    @property
    def own_ram(self) -> int | None:
        """What this process and its engines hold."""
        return None if self.host.own is None else self.host.own + sum(each.rss or 0 for each in self.engines)


@dataclass(frozen=True, slots=True)
class Moment:
    """A sample as history keeps it: figures by name, without those that were unknown."""

    time: float
    figures: Mapping[str, float]
