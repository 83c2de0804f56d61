"""Draws results/peers.md from results/peers.json."""

from pathlib import Path
from typing import Any

PAIR_KEYS = ("ratio", "lowest", "highest", "pairs")


def write_table(groups: dict[str, Any], path: Path) -> None:
    lines = ["# Beside the peers", ""]
    for name, group in groups.items():
        machine = group["machine"]
        lines += [f"## {name}", "", f"{group['measured']}, {machine['processor']}, {machine['cores']} cores", ""]
        for row in group["rows"]:
            lines.append("- " + _line(row))
        lines.append("")
    path.write_text("\n".join(lines), "utf-8")


def _line(row: dict[str, Any]) -> str:
    values = {key: value for key, value in row.items() if key not in (*PAIR_KEYS, "figure")}
    said = "; ".join(f"{key} {_number(value)}" for key, value in values.items())
    ratio = ""
    if "ratio" in row:
        spread = f"{row['lowest']:.3f} to {row['highest']:.3f} in {row['pairs']} pairs"
        ratio = f" — **{row['ratio']:.3f}** ({spread})"
    return f"{row['figure']}: {said}{ratio}"


def _number(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
