"""`slipstream tune`: finds the engine options that suit a model here, and applies them where that is wanted."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app.cli.model_name import find_model
from app.cli.terminal import say, show, warn
from app.errors import UsageError

if TYPE_CHECKING:
    from app.bench.tuned import Tuned
    from app.library.defaults import ModelDefaults
    from app.library.entry import ModelEntry
    from app.services import Services

PURPOSES = ("chat", "batch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="M", help="a model's id or a GGUF file")
    for_help = "how soon one answer is there (chat), or what many requests get through together (batch)"
    parser.add_argument("--for", dest="purpose", choices=PURPOSES, default="chat", help=f"{for_help}; chat by default")
    wanted = parser.add_mutually_exclusive_group()
    apply_help = "make what was found last the model's defaults; if nothing was yet, find it first"
    wanted.add_argument("--apply", action="store_true", help=apply_help)
    wanted.add_argument("--undo", action="store_true", help="give the model back the defaults before the last --apply")
    kv_help = "with --apply: the quantized KV cache that was offered as well, which changes answers by what it says"
    parser.add_argument("--with-kv", action="store_true", help=kv_help)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Raises SlipstreamError. What Ctrl+C ends keeps nothing."""
    from app.paths import Paths
    from app.services import Services

    if arguments.with_kv and not arguments.apply:
        raise UsageError("--with-kv goes with --apply.")
    services = Services(Paths.from_environment())
    try:
        entry = find_model(arguments.model, services)
        if arguments.undo:
            options = services.workbench.undo(entry)
            show(arguments, {"options": options.values}, lambda: f"{entry.name} is as it was: {_named(options)}.")
            return 0
        return _tune(arguments, services, entry)
    finally:
        services.close()


def _tune(arguments: argparse.Namespace, services: "Services", entry: "ModelEntry") -> int:
    from app.bench.tuned import Purpose
    from app.bench.tuned_page import tuned_page

    purpose, bench = Purpose(arguments.purpose), services.workbench
    found = bench.tuned(entry, purpose) if arguments.apply else None
    if found is None or found.before != bench.defaults(entry):  # of options that it has no longer
        found = _search(services, entry, purpose)
    applied = bench.apply(entry, found, takes_offer=arguments.with_kv) if arguments.apply else None
    if arguments.json:
        show(arguments, _document(found, applied), str)
        return 0
    say(tuned_page(found))
    if applied is not None:
        warn(f"{entry.name} has these defaults now: {_named(applied)}. “slipstream tune M --undo” takes them back")
    elif found.is_gain:
        warn(f"Nothing was changed. “slipstream tune M{_flag(purpose)} --apply” makes it the model's defaults")
    return 0


def _search(services: "Services", entry: "ModelEntry", purpose: Any) -> "Tuned":
    from app.cli.ending import ending
    from app.cli.progress import ProgressLine

    asked, line = ending(), ProgressLine()
    try:
        return services.workbench.tune(
            entry, purpose, lambda doing, done: line.tell(f"Tuning {entry.name}: {doing}", done, ""), asked
        )
    finally:
        line.close()


def _document(found: "Tuned", applied: "ModelDefaults | None") -> dict[str, Any]:
    return {
        **asdict(found),
        "is_gain": found.is_gain,
        "is_trusted": not found.is_busy,
        "ratio": found.gain.ratio if found.gain else None,
        "noise": found.noise,
        "applied": None if applied is None else applied.values,
    }


def _named(options: "ModelDefaults") -> str:
    from app.bench.tuned_page import named

    return named(options)


def _flag(purpose: str) -> str:
    return "" if purpose == PURPOSES[0] else f" --for {purpose}"
