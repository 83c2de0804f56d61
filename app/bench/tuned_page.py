"""What tuning has found, in words: Markdown for a terminal, the window and others. Knows no engine."""

from datetime import datetime

from app.bench.figures import Comparison
from app.bench.tuned import UNITS, Offer, Trial, Tuned
from app.bench.words import percent, plain, short
from app.library.defaults import ModelDefaults
from backends.protocol import FlashAttention, KVLayout, KVType

NAMES = {
    "context": "context",
    "parallel": "answers side by side",
    "gpu_layers": "GPU layers",
    "threads": "threads",
    "batch": "batch",
    "micro_batch": "micro-batch",
    "kv_type_k": "keys",
    "kv_type_v": "values",
    "kv_layout": "layout of the KV cache",
    "flash_attention": "flash attention",
}


def tuned_page(tuned: Tuned) -> str:
    """With a line feed at its end."""
    parts = [
        f"# {plain(tuned.name)}, tuned for {tuned.purpose}",
        f"Measured on {datetime.fromisoformat(tuned.measured):%d %B %Y at %H:%M} on {plain(tuned.machine)}, "
        f"{plain(tuned.build)}.",
        _doubt(tuned),
        summary(tuned),
        _noise(tuned),
        offered(tuned),
        *_table(tuned),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(tuned: Tuned) -> str:
    """One sentence or two: what to do."""
    if not tuned.is_gain or tuned.gain is None:
        return f"Nothing is quicker than what it has now ({named(tuned.before)}): leave it."
    unit = UNITS[tuned.purpose]
    return f"With {named(tuned.after)}: {_gain(tuned.gain, unit)}."


def offered(tuned: Tuned) -> str:
    """The KV cache's types, which are never changed without being asked for."""
    offer = tuned.offer
    if offer is None:
        return ""
    said = f"A KV cache of {offer.kind} was tried beside it: "
    if not tuned.is_offer_gain:
        return f"{said}no quicker here. Take it for the memory that it saves, if you need that."
    return f"{said}{_gain(offer.gain, UNITS[tuned.purpose])}. {_price(offer)}"


def named(options: ModelDefaults) -> str:
    """As words; those of the settings where it has none of its own."""
    chosen = options.values
    return ", ".join(f"{NAMES[name]} {_value(value)}" for name, value in chosen.items()) or "as in the settings"


def _price(offer: Offer) -> str:
    it = offer.divergence
    if it is None:
        return "What that changes in the answers was not measured."
    return (
        f"Its price: at {1 - it.same_top:.1%} of the words of a text another one comes first, and the KL divergence is "
        f"{it.mean:.5f} ± {it.error:.5f} nats per token."
    )


def _gain(gain: Comparison, unit: str) -> str:
    one, other = gain.without, gain.within
    return (
        f"{percent(gain.ratio - 1)} more, {short(other.median)} {unit} ({short(min(other.values))} to "
        f"{short(max(other.values))}) instead of {short(one.median)} ({short(min(one.values))} to "
        f"{short(max(one.values))})"
    )


def _doubt(tuned: Tuned) -> str:
    if not tuned.is_busy:
        return ""
    return (
        f"**The machine was busy.** Other programs used up to {max(tuned.others):.1f} of {tuned.num_cores} cores "
        "meanwhile: do not trust it, and tune again when nothing else runs."
    )


def _noise(tuned: Tuned) -> str:
    how = " What was found was measured once more in engines of its own, in turns with what there was." * bool(
        tuned.gain
    )
    return f"Two engines with equal options came out {percent(tuned.noise)} apart; less than that is no gain.{how}"


def _table(tuned: Tuned) -> list[str]:
    if not tuned.trials:
        return []
    head = [f"| tried | {UNITS[tuned.purpose]} | lowest | highest | |", "|---|---|---|---|---|"]
    return ["## What was tried", "\n".join(head + [_row(trial) for trial in tuned.trials])]


def _row(trial: Trial) -> str:
    if trial.score is None:
        return f"| {plain(trial.words)} | – | – | – | {plain(trial.problem)} |"
    values = trial.score.values
    numbers = [short(value) for value in (trial.score.median, min(values), max(values))]
    return f"| {plain(trial.words)} | {' | '.join(numbers)} | {'gone on with' if trial.is_taken else ''} |"


def _value(value: object) -> str:
    """As a command has it."""
    if value is None:
        return "automatic"
    return str(value) if isinstance(value, KVType | KVLayout | FlashAttention) else f"{value:,}"
