"""What the machine has left: RAM, and the memory of its GPUs."""

from app.telemetry.sample import GpuMemory, GpuProvider, MemorySample
from app.telemetry.telemetry import Telemetry

__all__ = ["GpuMemory", "GpuProvider", "MemorySample", "Telemetry"]
