"""Cards as a table for other programs: CSV and Markdown. The window draws the picture."""

import csv
import io
from collections.abc import Callable, Sequence

from app.lab.card import Card, verdict

Value = str | float | int | None

COLUMNS: tuple[tuple[str, Callable[[Card], Value]], ...] = (
    ("model", lambda card: card.name),
    ("quantization", lambda card: card.quantization),
    ("bytes", lambda card: card.bytes),
    ("bits per weight", lambda card: card.bits_per_weight),
    ("mean KLD", lambda card: card.kld.mean if card.kld else None),
    ("KLD error", lambda card: card.kld.error if card.kld else None),
    ("99 % KLD", lambda card: card.kld.p99 if card.kld else None),
    ("maximum KLD", lambda card: card.kld.maximum if card.kld else None),
    ("same first choice", lambda card: card.kld.same_top if card.kld else None),
    ("perplexity", lambda card: card.evaluation.perplexity if card.evaluation else None),
    ("perplexity error", lambda card: card.evaluation.perplexity_error if card.evaluation else None),
    ("multiple choice", lambda card: card.choices.accuracy if card.choices else None),
    ("multiple choice low", lambda card: card.choices.low if card.choices else None),
    ("multiple choice high", lambda card: card.choices.high if card.choices else None),
    ("multiple choice of the reference", lambda card: card.choices.reference_accuracy if card.choices else None),
    ("kernel noise KLD", lambda card: card.noise.mean if card.noise else None),
    ("KV cache", lambda card: f"{card.evaluation.kv_type_k}/{card.evaluation.kv_type_v}" if card.evaluation else None),
    ("compared to", lambda card: card.reference.name if card.reference else None),
    ("load seconds", lambda card: card.speed.load_seconds),
    ("prompt tokens/s", lambda card: card.speed.prompt_per_second),
    ("decode tokens/s", lambda card: card.speed.decode_per_second),
    ("memory bytes", lambda card: card.speed.memory_bytes),
    ("VRAM bytes", lambda card: card.speed.vram_bytes),
    ("machine", lambda card: card.machine),
    ("build", lambda card: card.speed.build),
    ("measured", lambda card: card.made),
    ("verdict", verdict),
)


def to_csv(cards: Sequence[Card]) -> str:
    """A header and a line each; unknown is empty. What a spreadsheet would take for a formula becomes a text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([title for title, _ in COLUMNS])
    writer.writerows([[_cell(value(card)) for _, value in COLUMNS] for card in cards])
    return out.getvalue()


def to_markdown(cards: Sequence[Card]) -> str:
    lines = ["| " + " | ".join(title for title, _ in COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for card in cards:
        lines.append("| " + " | ".join(_escaped(_text(value(card))) for _, value in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: Value) -> Value:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _text(value: Value) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
