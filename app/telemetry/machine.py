"""What memory this machine has in all. Wakes no sleeping GPU, and holds none awake."""

from contextlib import suppress

import psutil

from app.telemetry.sample import is_plausible
from app.telemetry.telemetry import default_providers


def total_memory() -> tuple[int, int | None]:
    """RAM, and the largest GPU's own memory or None, in bytes. Takes up to a second where a driver is asked."""
    vram = None
    for provider in default_providers():
        with suppress(Exception):  # a source that fails costs its figure, nothing else
            memory = provider.read()
            if vram is None and memory is not None and is_plausible(memory):
                vram = memory.total
        with suppress(Exception):
            provider.close()
    return psutil.virtual_memory().total, vram
