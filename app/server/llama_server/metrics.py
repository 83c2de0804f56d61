"""GET /metrics: Prometheus' text format, under llama-server's names and, by model, under ours."""

from collections.abc import Callable, Iterable, Sequence

from app.inference.engine_handle import EngineHandle
from app.server.core.counters import Counters, Totals
from app.server.llama_server.machine_metrics import machine_metrics
from app.server.llama_server.metric import Metric
from app.telemetry.sample import Sample
from backends.protocol import Stats

MEDIA_TYPE = "text/plain; version=0.0.4"
SECONDS = 1000  # milliseconds of one


def exposition(counters: Counters, engines: Sequence[EngineHandle], sample: Sample | None = None) -> str:
    metrics = [*_of_llama_server(counters, engines), *_ours(counters, engines)]
    metrics += machine_metrics(sample) if sample else []
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _of_llama_server(counters: Counters, engines: Sequence[EngineHandle]) -> list[Metric]:
    """Sums over all models. Tokens and times are those of the port's answers, steps those of the engines."""
    totals = list(counters.totals.values())
    stats = [each.snapshot.stats for each in engines if each.snapshot.stats]
    prompt_n, prompt_s = _sum(totals, "prompt_n"), _sum(totals, "prompt_ms") / SECONDS
    predicted_n, predicted_s = _sum(totals, "predicted_n"), _sum(totals, "predicted_ms") / SECONDS
    num_steps = sum(each.num_steps for each in stats)
    by_model = sum(each.num_tokens - each.num_accepted for each in stats)  # each step gives every answer one of these
    sums: list[tuple[str, str, float]] = [
        ("prompt_tokens_total", "Number of prompt tokens processed.", prompt_n),
        ("prompt_tokens_cached_total", "Number of prompt tokens that were reused.", _sum(totals, "cache_n")),
        ("prompt_seconds_total", "Prompt process time in seconds.", prompt_s),
        ("tokens_predicted_total", "Number of generation tokens processed.", predicted_n),
        ("tokens_predicted_seconds_total", "Predict process time in seconds.", predicted_s),
        ("n_decode_total", "Total number of llama_decode() calls.", num_steps),
        ("n_tokens_max", "Largest observed n_tokens.", max((each.longest for each in totals), default=0)),
        ("spec_decode_num_draft_tokens_total", "Draft tokens generated.", _sum(totals, "draft_n")),
        ("spec_decode_num_accepted_tokens_total", "Draft tokens accepted.", _sum(totals, "draft_accepted_n")),
        ("spec_decode_num_drafts_total", "Times that drafts were checked.", sum(each.num_drafts for each in stats)),
    ]
    gauges: list[tuple[str, str, float]] = [
        ("prompt_tokens_seconds", "Average prompt throughput in tokens/s.", _ratio(prompt_n, prompt_s)),
        ("predicted_tokens_seconds", "Average generation throughput in tokens/s.", _ratio(predicted_n, predicted_s)),
        ("requests_processing", "Number of requests processing.", sum(each.num_running for each in stats)),
        ("requests_deferred", "Number of requests deferred.", sum(each.num_waiting for each in stats)),
        ("n_busy_slots_per_decode", "Average number of busy slots per decode.", _ratio(by_model, num_steps)),
    ]
    return [
        *(Metric(f"llamacpp:{name}", "counter", help_, [({}, value)]) for name, help_, value in sums),
        *(Metric(f"llamacpp:{name}", "gauge", help_, [({}, value)]) for name, help_, value in gauges),
    ]


def _ours(counters: Counters, engines: Sequence[EngineHandle]) -> list[Metric]:
    of_answers = [
        ("answers_total", "Answers of the port that have ended.", "num_answers"),
        ("prompt_tokens_total", "Prompt tokens that were decoded for them.", "prompt_n"),
        ("cached_tokens_total", "Prompt tokens that the prompt cache held.", "cache_n"),
        ("answer_tokens_total", "Tokens of these answers.", "predicted_n"),
        ("draft_tokens_total", "Draft tokens.", "draft_n"),
        ("draft_accepted_total", "Draft tokens accepted.", "draft_accepted_n"),
    ]
    seen = [(each.name, each.snapshot.stats) for each in engines if each.snapshot.stats]
    return [
        *(
            Metric(
                f"slipstream_{name}",
                "counter",
                help_,
                [({"model": model}, float(getattr(totals, key))) for model, totals in counters.totals.items()],
            )
            for name, help_, key in of_answers
        ),
        _gauge("requests_running", "Answers that are being computed.", seen, lambda s: s.num_running),
        _gauge("requests_waiting", "Answers that wait for a place.", seen, lambda s: s.num_waiting),
        _gauge("kv_cells_used", "Tokens that running answers hold.", seen, lambda s: s.cells.used),
        _gauge("kv_cells_allocated", "Tokens that the KV cache has place for now.", seen, lambda s: s.cells.allocated),
        _gauge("kv_cells_limit", "Up to which it grows.", seen, lambda s: s.cells.limit),
        _gauge("memory_bytes", "Memory of the engine's process.", seen, lambda s: s.rss_bytes),
    ]


def _gauge(name: str, help_: str, seen: Iterable[tuple[str, Stats]], value: Callable[[Stats], float]) -> Metric:
    return Metric(f"slipstream_{name}", "gauge", help_, [({"model": model}, value(stats)) for model, stats in seen])


def _sum(totals: Iterable[Totals], name: str) -> float:
    return float(sum(getattr(each, name) for each in totals))


def _ratio(number: float, by: float) -> float:
    return number / by if by else 0.0
