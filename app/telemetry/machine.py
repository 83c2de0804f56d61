"""What memory this machine has in all. Wakes no sleeping GPU, and holds none awake."""

from contextlib import suppress

import psutil

from app.telemetry.bounds import sane_gpus
from app.telemetry.telemetry import gpu_providers


def total_memory() -> tuple[int, int | None]:
    """RAM, and the largest GPU's own memory or None, in bytes. Takes up to a second where a driver is asked."""
    totals: list[int] = []
    for provider in gpu_providers():
        with suppress(Exception):  # a source that fails costs its figure, nothing else
            totals += [gpu.total for gpu in sane_gpus(provider.read()) if gpu.total]
        with suppress(Exception):
            provider.close()
    return psutil.virtual_memory().total, max(totals, default=None)
