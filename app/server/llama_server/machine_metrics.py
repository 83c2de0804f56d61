"""Gauges of the machine, its GPUs and what the engines did over the last seconds. Unknown has no line."""

from collections.abc import Iterable, Mapping

from app.server.llama_server.metric import Metric
from app.telemetry.sample import EngineFigures, Gpu, Sample

GPU = {
    "used": ("gpu_memory_used_bytes", "Memory of the GPU in use by all programs."),
    "own": ("gpu_memory_own_bytes", "The part of it that these engines hold."),
    "total": ("gpu_memory_total_bytes", "Memory of the GPU."),
    "shared": ("gpu_memory_shared_bytes", "RAM that the GPU uses as its own."),
    "load": ("gpu_load_ratio", "Share of the time that the GPU worked."),
    "celsius": ("gpu_temperature_celsius", "Temperature of the GPU."),
    "watts": ("gpu_power_watts", "Power of the GPU."),
    "watts_limit": ("gpu_power_limit_watts", "Power that the GPU may take."),
    "mhz": ("gpu_clock_mhz", "Clock of the GPU."),
    "mhz_limit": ("gpu_clock_limit_mhz", "Highest clock of the GPU."),
}
ENGINE = {
    "answer_rate": ("answer_tokens_per_second", "Tokens of answers a second, over the last second."),
    "prompt_rate": ("prompt_tokens_per_second", "Tokens of prompts a second while prompts are read."),
    "first_token_ms": ("first_token_milliseconds", "Mean time to the first token, over the last ten seconds."),
    "queue_ms": ("queue_milliseconds", "Mean time in the queue, over the last ten seconds."),
    "batch": ("step_tokens", "Mean number of tokens in a step."),
    "cached": ("prompt_cached_ratio", "Share of prompts that the prompt cache held, over the last ten seconds."),
    "acceptance": ("draft_accepted_ratio", "Share of drafts that were accepted, over the last ten seconds."),
    "bandwidth": ("weights_bytes_per_second", "Weights read a second, if each step reads them all."),
}


def machine_metrics(sample: Sample) -> list[Metric]:
    host = {"used": sample.host.used, "total": sample.host.total, "own": sample.own_ram}
    words = {"used": "in use by all programs", "total": "of this machine", "own": "of this program with its engines"}
    gpus = [({"gpu": str(number), "name": gpu.name}, gpu) for number, gpu in enumerate(sample.gpus)]
    throttled = [(labels | {"reason": gpu.throttle}, 1.0) for labels, gpu in gpus if gpu.throttle]
    findings = [({"model": found.engine, "kind": found.kind.value}, 1.0) for found in sample.findings]
    metrics = [
        *(_gauge(f"ram_{name}_bytes", f"RAM {words[name]}.", [({}, value)]) for name, value in host.items()),
        *_table(GPU, gpus),
        _gauge("gpu_throttled", "The GPU is slowed down.", throttled),
        *_table(ENGINE, [({"model": figures.name}, figures) for figures in sample.engines]),
        _gauge("finding", "Something is wrong with where or how the model runs.", findings),
    ]
    return [metric for metric in metrics if metric.samples]


def _table(
    names: Mapping[str, tuple[str, str]], things: Iterable[tuple[dict[str, str], Gpu | EngineFigures]]
) -> list[Metric]:
    known = list(things)
    return [
        _gauge(name, help_, [(labels, getattr(thing, field)) for labels, thing in known])
        for field, (name, help_) in names.items()
    ]


def _gauge(name: str, help_: str, values: Iterable[tuple[dict[str, str], float | None]]) -> Metric:
    told = [(labels, float(value)) for labels, value in values if value is not None]
    return Metric(f"slipstream_{name}", "gauge", help_, told)
