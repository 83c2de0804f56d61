"""Makes rates of an engine's totals: what it has done over the last seconds. Pure arithmetic over Stats."""

from collections import deque

from app.inference.snapshot import EngineSnapshot
from app.inference.speed import SECONDS, per_second
from app.telemetry.sample import EngineFigures
from backends.protocol import Ready, Stats

LONG_SECONDS = 10.0  # over which a share is told, or a mean over answers; a speed over SECONDS
STALE = 3.0  # seconds without a word of the engine, after which it has no speed


class Meter:
    """Of one engine since its load. now: seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._known: deque[tuple[float, Stats]] = deque()
        self._snapshot: EngineSnapshot | None = None

    @property
    def works(self) -> bool:
        """It loads, or has answers to give."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.stats is None:
            return snapshot is not None
        return snapshot.stats.num_running + snapshot.stats.num_waiting > 0

    def take(self, snapshot: EngineSnapshot, now: float) -> None:
        before, self._snapshot = self._snapshot, snapshot
        if snapshot.stats is None or (before and before.ready is not snapshot.ready):
            self._known.clear()  # a new process, whose totals begin at nothing
        if snapshot.stats and (before is None or before.stats is not snapshot.stats):
            self._known.append((now, snapshot.stats))
            while len(self._known) > 2 and self._known[1][0] <= now - LONG_SECONDS:
                self._known.popleft()

    def figures(self, now: float) -> EngineFigures | None:
        """None before it was first heard of."""
        snapshot = self._snapshot
        if snapshot is None:
            return None
        name, ready = snapshot.name, snapshot.ready
        if ready is None or not self._known:
            return EngineFigures(name, ready.device if ready else None)
        stats, is_silent = self._known[-1][1], now - self._known[-1][0] > STALE
        near = stats if is_silent else self._since(now - SECONDS)
        far = self._since(now - LONG_SECONDS)
        answered = stats.num_answered - far.num_answered
        return EngineFigures(
            name,
            ready.device,
            answer_rate=None if is_silent else snapshot.speed,
            prompt_rate=per_second(stats.num_prompt_tokens - near.num_prompt_tokens, stats.prompt_us - near.prompt_us),
            first_token_ms=_share(stats.first_token_us - far.first_token_us, 1000 * answered),
            queue_ms=_share(stats.queue_us - far.queue_us, 1000 * answered),
            batch=_share(_tokens(stats) - _tokens(near), stats.num_steps - near.num_steps),
            num_running=stats.num_running,
            num_waiting=stats.num_waiting,
            cells=stats.cells,
            cached=_cached(stats, far),
            acceptance=_share(stats.num_accepted - far.num_accepted, stats.num_drafted - far.num_drafted),
            rss=stats.rss_bytes,
            devices=stats.devices,
            bandwidth=_bandwidth(ready, stats, near),
        )

    def _since(self, moment: float) -> Stats:
        """The totals as they were last told before that moment; else the first that are known."""
        found = self._known[0][1]
        for time, stats in self._known:
            if time > moment:
                break
            found = stats
        return found


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _tokens(stats: Stats) -> int:
    return stats.num_tokens + stats.num_prompt_tokens


def _cached(stats: Stats, before: Stats) -> float | None:
    cached = stats.num_cached_tokens - before.num_cached_tokens
    return _share(cached, cached + stats.num_prompt_tokens - before.num_prompt_tokens)


def _bandwidth(ready: Ready, stats: Stats, before: Stats) -> float | None:
    """Of steps that add to answers; prompts are read many tokens at a time."""
    steps = stats.num_following_steps - before.num_following_steps
    rate = per_second(steps, stats.following_us - before.following_us)
    return rate * ready.model_bytes if rate and ready.model_bytes else None
