"""`slipstream ps`: what is loaded in the Slipstream that runs, whoever has loaded it."""

import argparse
from typing import Any

from app.cli.terminal import show
from backends.bounds import printable

COLUMNS = ("MODEL", "STATE", "RUNS ON", "CONTEXT", "KV CACHE", "MEMORY", "SPEED", "ANSWERS", "USED BY", "UNLOADS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.running_app import wanted_app

    told = wanted_app().get("models")
    room = {name: told[name] for name in ("memory", "memory_limit")}
    show(arguments, {"engines": told["engines"], **room}, lambda: _text(told["engines"], room))
    return 0


def _text(engines: list[dict[str, Any]], room: dict[str, dict[str, int]]) -> str:
    return "\n".join([_table(engines), *_troubles(engines), _room(**room)])


def _troubles(engines: list[dict[str, Any]]) -> list[str]:
    """An older Slipstream that runs says nothing of them."""
    found = [(each["name"], each.get(kind)) for each in engines for kind in ("processor", "shortage")]
    return [f"{printable(name)}: {printable(sentence)}" for name, sentence in found if sentence]


def _room(memory: dict[str, int], memory_limit: dict[str, int]) -> str:
    parts = [f"{_size(memory.get(device, 0))} of {_size(limit)} {device}" for device, limit in memory_limit.items()]
    return f"Kept for loaded models: {', '.join(parts)}."


def _table(engines: list[dict[str, Any]]) -> str:
    if not engines:
        return "No model is loaded. “slipstream load M” loads one."
    rows = [COLUMNS, *map(_row, engines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _row(engine: dict[str, Any]) -> tuple[str, ...]:
    return (
        printable(engine["name"]),
        _state(engine),
        printable(engine["device"] or "n/a"),
        f"{engine['context']:,}" if engine["context"] else "n/a",
        _cells(engine["kv_cells"]),
        _memory(engine),
        f"{engine['tokens_per_second']:.1f} tok/s" if engine["tokens_per_second"] is not None else "–",
        _answers(engine),
        printable(", ".join(engine["users"])) or "–",
        _unloads(engine),
    )


def _state(engine: dict[str, Any]) -> str:
    if engine["state"] != "loading":
        return str(engine["state"])
    return printable(engine["waits"]) or f"loading, {engine['fraction']:.0%}"


def _cells(cells: dict[str, int] | None) -> str:
    """Tokens that running answers hold, of those there is place for now, and for how many there would be."""
    if not cells:
        return "n/a"
    limit = f", up to {cells['limit']:,}" if cells["limit"] > cells["allocated"] else ""
    return f"{cells['used']:,} of {cells['allocated']:,}{limit}"


def _memory(engine: dict[str, Any]) -> str:
    """What it holds now, and up to how much it may, on each device: the sums of `slipstream plan`."""
    limits, held = engine["memory_limit"], engine["memory"]
    parts = [
        f"{_size(held[device]) if device in held else 'n/a'}, up to {_size(limit)} {device}"
        for device, limit in limits.items()
    ]
    return "; ".join(parts) or (_size(engine["rss_bytes"]) if engine["rss_bytes"] else "n/a")


def _unloads(engine: dict[str, Any]) -> str:
    if engine["is_pinned"]:
        return "pinned"
    return "–" if engine["unloads_in"] is None else f"in {engine['unloads_in'] / 60:.0f} min"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.0f} MB"


def _answers(engine: dict[str, Any]) -> str:
    waiting = f", {engine['num_waiting']} waiting" if engine["num_waiting"] else ""
    return f"{engine['num_running']}{waiting}"
