"""`slipstream ps`: what is loaded in the Slipstream that runs."""

import argparse
from typing import Any

from app.cli.terminal import show
from backends.bounds import printable

COLUMNS = ("MODEL", "STATE", "RUNS ON", "CONTEXT", "MEMORY", "ANSWERS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.running_app import wanted_app

    engines = wanted_app().get("models")["engines"]
    show(arguments, {"engines": engines}, lambda: _table(engines))
    return 0


def _table(engines: list[dict[str, Any]]) -> str:
    if not engines:
        return "No model is loaded. “slipstream load M” loads one."
    rows = [COLUMNS, *map(_row, engines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _row(engine: dict[str, Any]) -> tuple[str, ...]:
    is_loading = engine["state"] == "loading"
    return (
        printable(engine["name"]),
        f"loading, {engine['fraction']:.0%}" if is_loading else engine["state"],
        printable(engine["device"] or "n/a"),
        f"{engine['context']:,}" if engine["context"] else "n/a",
        f"{engine['rss_bytes'] / 1e9:.1f} GB" if engine["rss_bytes"] else "n/a",
        _answers(engine),
    )


def _answers(engine: dict[str, Any]) -> str:
    waiting = f", {engine['num_waiting']} waiting" if engine["num_waiting"] else ""
    return f"{engine['num_running']}{waiting}"
