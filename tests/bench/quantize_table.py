"""Draws results/quantize.md from results/quantize.json."""

from collections.abc import Iterable
from typing import Any

FILES = ("model", "type", "with", "equal", "bytes", "predicted", "bits/weight", "fallbacks")
MATRICES = ("model", "tensors", "chunks", "same layout", "furthest", "s", "s, llama-imatrix")
SPEEDS = ("who", "model MB", "MB/s", "MB/s, llama-quantize", "ratio", "lowest", "highest", "pairs")


def draw(report: dict[str, Any]) -> str:
    parts = ["# Quantizing beside llama.cpp's own tools, of the same build"]
    if rows := report.get("files"):
        equal = sum(row["is equal"] for row in rows)
        parts.append(f"{equal} of {len(rows)} files equal llama-quantize's byte for byte, or are refused by both.")
        parts.append(_table(FILES, map(_file, rows)))
    if rows := report.get("matrices"):
        parts.append(
            "Importance matrices beside llama-imatrix's, one thread, the same text. “Furthest” is the largest relative "
            "difference of any value: we add up in another order, and in float64."
        )
        parts.append(_table(MATRICES, map(_matrix, rows)))
    if rows := report.get("speed"):
        parts.append("Speed, from the start of the process to the finished file; median of the pairs' ratios.")
        parts.append(_table(SPEEDS, map(_speed, rows)))
    return "\n\n".join(parts) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows])


def _file(row: dict[str, Any]) -> str:
    equal = "yes" if row["is equal"] else "**NO**"
    if "refused" in row:
        return f"| {row['model']} | {row['type']} | {row['with']} | {equal} (refused by both) | | | | |"
    return (
        f"| {row['model']} | {row['type']} | {row['with']} | {equal} | {row['bytes']:,} | {row['predicted']:+} | "
        f"{row['bits per weight']:.2f} | {row['fallbacks']} |"
    )


def _matrix(row: dict[str, Any]) -> str:
    return (
        f"| {row['model']} | {row['tensors']} | {row['chunks']} | {'yes' if row['same layout'] else '**NO**'} | "
        f"{row['furthest']:.1e} | {row['seconds']:.1f} | {row['seconds of llama-imatrix']:.1f} |"
    )


def _speed(row: dict[str, Any]) -> str:
    return (
        f"| {row['who']} | {row['model MB']:,.0f} | {row[row['who']]:.1f} | {row['llama-quantize']:.1f} | "
        f"{row['ratio']:.3f} | {row['lowest']:.3f} | {row['highest']:.3f} | {row['pairs']} |"
    )
