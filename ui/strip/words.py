"""What the strip says of memory and GPUs, and whose they are. Knows no widget."""

from app.telemetry import EngineFigures, Gpu, Sample
from backends.protocol import Stats
from ui.figures import UNKNOWN, count, size

ALL, OWN = "all programs", "this one"


def ram(sample: Sample | None, stats: Stats | None) -> tuple[str, str, str]:
    """Caption, value and tooltip."""
    machine = UNKNOWN
    if sample and sample.host.used is not None and sample.host.total:
        machine = _of(sample.host.used, sample.host.total)
    engine = size(stats.rss_bytes) if stats else UNKNOWN
    own = size(sample.own_ram) if sample else UNKNOWN
    tooltip = f"Engine process (resident): {engine}\nSlipstream with its engines: {own}\nAll programs: {machine}"
    return (f"Memory, {OWN}", engine, tooltip) if stats else (f"Memory, {ALL}", machine, tooltip)


def vram(sample: Sample | None, stats: Stats | None) -> tuple[str, str, str]:
    """Of all GPUs together, by their drivers; else as the engine's own backend sees its devices."""
    gpus = [gpu for gpu in sample.gpus if gpu.used is not None and gpu.total] if sample else []
    lines = [_memory_line(gpu) for gpu in (sample.gpus if sample else ())]
    for device in stats.devices if stats else ():
        lines.append(f"As the engine sees {device.name}: {size(device.free)} free of {size(device.total)}")
    tooltip = "\n".join(lines) or "This engine runs on the processor and holds no GPU memory"
    if gpus:
        value = _of(sum(gpu.used or 0 for gpu in gpus), sum(gpu.total or 0 for gpu in gpus))
        return f"GPU memory, {ALL}", value, tooltip
    if stats and stats.devices:
        total = sum(device.total for device in stats.devices)
        free = sum(device.free for device in stats.devices)
        return "GPU memory, as the engine sees it", _of(total - free, total), tooltip
    return f"GPU memory, {ALL}", UNKNOWN, tooltip


def gpu_state(gpu: Gpu) -> str:
    """Load, temperature and power; what is not known is left out."""
    parts = [
        "" if gpu.load is None else f"{gpu.load:.0%}",
        "" if gpu.celsius is None else f"{gpu.celsius:.0f} °C",
        "" if gpu.watts is None else f"{gpu.watts:.0f} W",
        gpu.throttle or "",
    ]
    return " · ".join(filter(None, parts)) or UNKNOWN


def gpu_tooltip(gpu: Gpu) -> str:
    clock = UNKNOWN if gpu.mhz is None else f"{gpu.mhz:,.0f} MHz"
    power = UNKNOWN if gpu.watts is None else f"{gpu.watts:.0f} W"
    throttle = UNKNOWN if gpu.throttle is None else gpu.throttle or "no"
    return "\n".join(
        (
            f"{gpu.name}, {ALL}; source: {gpu.source}",
            f"Clock: {clock}{f' of {gpu.mhz_limit:,.0f} MHz' if gpu.mhz_limit else ''}",
            f"Power: {power}{f' of {gpu.watts_limit:.0f} W' if gpu.watts_limit else ''}",
            f"Slowed down: {throttle}",
        )
    )


def speed_lines(figures: EngineFigures | None) -> list[str]:
    """Prompts apart from answers."""
    if figures is None:
        return []
    lines = []
    if figures.prompt_rate is not None:
        lines.append(f"Prompts: {figures.prompt_rate:,.0f} tok/s")
    if figures.batch is not None:
        lines.append(f"Tokens in a step: {figures.batch:.1f}")
    if figures.num_running or figures.num_waiting:
        lines.append(f"Answers: {count(figures.num_running)} running, {count(figures.num_waiting)} waiting")
    return lines


def _memory_line(gpu: Gpu) -> str:
    used = UNKNOWN if gpu.used is None else _of(gpu.used, gpu.total) if gpu.total else size(gpu.used)
    own = "" if gpu.own is None else f", of it {size(gpu.own)} {OWN}"
    shared = f"; {size(gpu.shared)} of RAM" if gpu.shared else ""
    return f"{gpu.name}, {ALL}: {used}{own}{shared}; source: {gpu.source}"


def _of(used: int, total: int) -> str:
    return f"{size(used)} of {size(total)}"
