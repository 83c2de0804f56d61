"""`slipstream plan`: what a model takes of this machine before it is loaded, and what else could be chosen."""

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app.cli.engine_options import add_engine_options, engine_options
from app.cli.model_name import find_model
from app.cli.terminal import show

if TYPE_CHECKING:
    from app.planner.plan import Alternative, Plan, Room
    from backends.measurement import Buffers

COLUMNS = ("DEVICE", "WEIGHTS", "KV CACHE", "STATES", "COMPUTE", "DRAFT", "OTHER", "UP TO", "MAY HAVE")
EXIT_NO = 1


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a plan lacks what was to be measured for it, in a sentence each."""

    rates: str | None = None
    confirmation: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="M", help="a model's id or a GGUF file")
    parser.add_argument("--kv", metavar="T", help="type of keys and values, as --kv-type-k T --kv-type-v T")
    confirm_help = "measure nothing: neither llama.cpp's buffers nor, once, how fast this machine is"
    parser.add_argument("--no-confirm", action="store_true", help=confirm_help)
    add_engine_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """1 when it does not fit."""
    from app.cli.ending import ending
    from app.cli.progress import ProgressLine
    from app.errors import EngineError, SlowError
    from app.paths import Paths
    from app.services import Services

    asked, line, missing = ending(), ProgressLine(), Missing()
    services = Services(Paths.from_environment())
    try:
        entry = find_model(arguments.model, services)
        options = services.planned_options(_options(arguments, services.options_for(entry)))
        planning = services.planning
        if not arguments.no_confirm:
            try:  # memory needs no speed
                planning.measure_rates(options, line.listener("Measuring this machine, once"), asked)
            except EngineError as error:
                missing = replace(missing, rates=str(error))
            line.close()
        study = planning.study(entry.path, options.draft_model)
        plan = study.plan(options)
        found = None
        if not arguments.no_confirm:
            try:
                found = planning.confirm(entry.path, plan)
            except SlowError as error:
                missing = replace(missing, confirmation=str(error))
        plan = study.priced(plan, options)
    finally:
        line.close()
        services.close()
    show(arguments, _document(entry.id, plan, found, missing), lambda: _text(plan, found, missing))
    return 0 if plan.verdict.runs else EXIT_NO


def _options(arguments: argparse.Namespace, defaults: Any) -> Any:
    if arguments.kv:
        arguments.kv_type_k = arguments.kv_type_v = arguments.kv
    return engine_options(arguments, defaults)


def _text(plan: "Plan", found: "Buffers | None", missing: Missing) -> str:
    lines = [
        f"{plan.verdict.sentence}.",
        "",
        *_table(plan),
        "",
        _context(plan),
        *_growth(plan),
        _loaded(plan),
        f"Speed: not measured. {missing.rates}" if missing.rates else _speed(plan),
    ]
    if plan.spread.kept:
        kept = plan.spread.kept_layers(plan.num_layers)
        lines.append(f"In RAM: the {plan.spread.keeps} of layers {kept.start} to {kept.stop - 1}.")
    if found:
        reckoned = sum(room.take.compute for room in plan.rooms)
        lines.append(f"llama.cpp says {_mib(sum(found.compute.values()))} for compute; planned are {_mib(reckoned)}.")
    if missing.confirmation:
        lines.append(f"llama.cpp's own figures: not known. {missing.confirmation}")
    if plan.alternatives:
        lines += ["", "What else could be chosen:", *map(_alternative, plan.alternatives)]
    return "\n".join(lines)


def _table(plan: "Plan") -> list[str]:
    rows = [COLUMNS, *map(_row, plan.rooms)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]


def _row(room: "Room") -> tuple[str, ...]:
    take = room.take
    parts = (take.weights, take.cache, take.states, take.compute, take.draft, take.other, take.total, room.usable)
    return (take.device, *map(_mib, parts))


def _context(plan: "Plan") -> str:
    layout = plan.layout
    how = "one pool of cells" if layout.is_unified else f"{layout.num_slots} streams"
    kinds = f"{plan.sizing.type_k} and {plan.sizing.type_v}"
    batch = plan.sizing.batch
    return f"Context: {layout.context:,} tokens in {how}, keys and values {kinds}, micro-batches of {batch.tokens}."


def _growth(plan: "Plan") -> list[str]:
    if not any(room.take.cache for room in plan.rooms):  # an encoder, or states alone
        return []
    if not plan.options.kv_grow:
        return ["All of the KV cache is allocated at the load."]
    return [f"The KV cache begins with place for {_start(plan):,} tokens, and grows with the conversations up to this."]


def _loaded(plan: "Plan") -> str:
    """How the figures of `slipstream ps` belong to these."""
    from app.planner.verdict import size

    sums = ", ".join(f"{size(room.take.total)} {room.take.device}" for room in plan.rooms if room.take.total)
    return f"While it is loaded, “slipstream ps” tells what it takes by then, and that it is up to {sums}."


def _start(plan: "Plan") -> int:
    """Tokens that one conversation has place for at the load."""
    return (
        plan.layout.start(is_recurrent=False, batch=plan.options.batch).cells
        if plan.options.kv_grow
        else plan.layout.context
    )


def _speed(plan: "Plan") -> str:
    from app.planner.verdict import about

    by = "" if plan.speed.is_measured else ", by the rates of common machines"
    if plan.speed.is_measured and not plan.speed.is_quiet:
        by = ", by rates that were measured while other programs were at work"
    where = f"{plan.spread.gpu_layers} of {plan.num_layers + 1} layers on the GPU" if plan.spread.gpu_layers else "CPU"
    return f"Speed: {about(plan.speed.tokens)} ({where}{by})."


def _alternative(other: "Alternative") -> str:
    return f"  {other.name}: {other.gain}; costs {other.price}"


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / (1 << 20):,.0f} MiB"


def _document(name: str, plan: "Plan", found: "Buffers | None", missing: Missing) -> dict[str, Any]:
    verdict, spread, layout = plan.verdict, plan.spread, plan.layout
    return {
        "model": name,
        "verdict": {
            "fits": verdict.fits,
            "place": verdict.place,
            "needed_bytes": verdict.needed,
            "available_bytes": verdict.available,
            "sentence": verdict.sentence,
        },
        "tokens_per_second": None if missing.rates else round(plan.speed.tokens, 2),
        "rates_are_measured": plan.speed.is_measured,
        "rates_problem": missing.rates,
        "devices": [_device(room) for room in plan.rooms],
        "placement": {
            "gpu_layers": spread.gpu_layers,
            "layers": plan.num_layers + 1,
            "split": list(spread.counts),
            "in_ram": spread.keeps,
            "in_ram_layers": spread.kept,
            "draft_gpu_layers": plan.draft_spread.gpu_layers,
        },
        "context": {
            "tokens": layout.context,
            "tokens_at_load": _start(plan),
            "layout": layout.kind,
            "slots": layout.num_slots,
            "kv_type_k": plan.sizing.type_k,
            "kv_type_v": plan.sizing.type_v,
            "micro_batch": plan.sizing.batch.tokens,
            "flash_attention": plan.sizing.batch.flash_attention,
        },
        "from_disk_bytes": plan.from_disk,
        "is_corrected": plan.is_corrected,
        "confirmed": found
        and {"compute_bytes": found.compute, "cache_bytes": found.cache, "state_bytes": found.states},
        "confirmation_problem": missing.confirmation,
        "alternatives": [
            {"name": each.name, "gain": each.gain, "price": each.price, "context": each.tokens}
            for each in plan.alternatives
        ],
    }


def _device(room: "Room") -> dict[str, Any]:
    take = room.take
    return {
        "name": take.device,
        "weights_bytes": take.weights,
        "cache_bytes": take.cache,
        "state_bytes": take.states,
        "compute_bytes": take.compute,
        "draft_bytes": take.draft,
        "other_bytes": take.other,
        "total_bytes": take.total,
        "usable_bytes": room.usable,
    }
