"""What this machine and its engines do: memory, GPUs, tokens per second."""

from app.telemetry.sample import EngineFigures, Gpu, Host, Sample
from app.telemetry.telemetry import Telemetry

__all__ = ["EngineFigures", "Gpu", "Host", "Sample", "Telemetry"]
