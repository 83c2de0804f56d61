"""The figures of the page Performance in words. Knows no widget."""

from app.telemetry import EngineFigures
from ui.figures import count, rate, seconds, size


def engine_line(figures: EngineFigures) -> str:
    """A loaded model in a line; what is not known is left out."""
    if figures.device is None:
        return f"{figures.name} is loading"
    parts = [
        figures.device,
        f"{count(figures.num_running)} running, {count(figures.num_waiting)} waiting",
        f"answers {rate(figures.answer_rate)}" if figures.answer_rate is not None else "",
        f"prompts {rate(figures.prompt_rate)}" if figures.prompt_rate is not None else "",
        f"first token {seconds(figures.first_token_ms)}" if figures.first_token_ms is not None else "",
        f"{figures.batch:.1f} tokens in a step" if figures.batch is not None else "",
        _cells(figures),
        f"{figures.cached:.0%} of prompts reused" if figures.cached is not None else "",
        f"{figures.acceptance:.0%} of drafts accepted" if figures.acceptance is not None else "",
        f"{size(figures.rss)} RAM" if figures.rss is not None else "",
        f"{figures.bandwidth / 1e9:,.1f} GB/s of weights read" if figures.bandwidth is not None else "",
    ]
    return f"{figures.name}: " + "  ·  ".join(filter(None, parts))


def whole(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def percent(value: float) -> str:
    return f"{value:.0%}"


def memory(value: float) -> str:
    return size(int(value))


def watts(value: float) -> str:
    return f"{value:.0f} W"


def celsius(value: float) -> str:
    return f"{value:.0f} °C"


def _cells(figures: EngineFigures) -> str:
    cells = figures.cells
    if cells is None or not cells.limit:
        return ""
    most = "" if cells.limit == cells.allocated else f", {count(cells.limit)} at most"
    return f"KV {count(cells.used)} of {count(cells.allocated)} tokens{most}"
