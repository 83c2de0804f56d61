"""What this machine is called on a card: its processor and how many cores it has."""

import platform
import sys
from pathlib import Path

import psutil


def machine_name(device: str = "CPU") -> str:
    """device: what the model ran on, as the engine names it."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    processor = f"{_processor()}, {cores} {'core' if cores == 1 else 'cores'}"
    return processor if device == "CPU" else f"{device}; {processor}"


def _processor() -> str:
    if sys.platform == "linux":
        try:
            lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
        if names:
            return names[0]
    return platform.processor() or platform.machine() or "unknown processor"
