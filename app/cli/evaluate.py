"""`slipstream evaluate`: what a model file's predictions are worth, alone or beside the file it was made from."""

import argparse
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.ending import ending
from app.cli.model_name import find_model
from app.errors import UsageError
from backends.bounds import printable
from backends.protocol import KVType

if TYPE_CHECKING:
    from app.cli.progress import Listener
    from app.lab.card import Card
    from app.lab.settings import Settings
    from app.services import Services
    from backends.measurement import Evaluation

KV_TYPES = tuple(kind.value for kind in KVType)
SHIPPED = Path()  # what --choices without a file stands for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="A", help="a model's id or a GGUF file")
    parser.add_argument("--against", metavar="B", help="the F16, BF16 or Q8_0 file of the same model")
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="UTF-8; without it the text that comes with Slipstream"
    )
    parser.add_argument("--context", type=int, default=512, metavar="N", help="tokens of a chunk (512)")
    parser.add_argument("--chunks", type=int, metavar="N", help="of the text (all of it)")
    parser.add_argument("--kv-type-k", choices=KV_TYPES, default="f16", help="of A's keys (f16, which B always has)")
    parser.add_argument("--kv-type-v", choices=KV_TYPES, default="f16", help="of A's values (f16)")
    parser.add_argument("--exact", action="store_true", help="both models in memory at once, and no file between them")
    parser.add_argument(
        "--choices",
        type=Path,
        nargs="?",
        const=SHIPPED,
        metavar="FILE",
        help="multiple choice as well, HellaSwag's way: 208 items that come with Slipstream, or a FILE in "
        "llama-perplexity's form",
    )
    parser.add_argument(
        "--noise", action="store_true", help="compute A by a second path as well: how far its own predictions scatter"
    )
    parser.add_argument("--gpu-layers", type=int, metavar="N", help="layers on the GPU (all that fit)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (one for each core)")
    parser.add_argument("--card", action="store_true", help="--choices, --noise and the speed, kept as a card")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.progress import ProgressLine
    from app.cli.terminal import show
    from app.paths import Paths
    from app.services import Services

    _check(arguments)
    asked, line = ending(), ProgressLine()
    services = Services(Paths.from_environment())
    try:
        model = _find(arguments.model, services)
        against = _find(arguments.against, services) if arguments.against else None
        measure = _measure_card if arguments.card else _evaluate
        report, text = measure(
            services, model, against, _settings(arguments), line.listener(f"Measuring {printable(model.name)}"), asked
        )
    finally:
        line.close()
        services.close()
    show(arguments, report, lambda: text)
    return 0


def _settings(arguments: argparse.Namespace) -> "Settings":
    from app.lab.settings import Settings

    kinds = KVType(arguments.kv_type_k), KVType(arguments.kv_type_v)
    rest = arguments.exact, arguments.gpu_layers, arguments.threads
    own = None if arguments.choices in (None, SHIPPED) else arguments.choices
    has_choices, has_noise = arguments.choices is not None or arguments.card, arguments.noise or arguments.card
    settings = Settings(arguments.text, arguments.context, arguments.chunks, *kinds, *rest)
    return replace(settings, has_choices=has_choices, choices=own, has_noise=has_noise)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.threads is not None and arguments.threads < 1:
        raise UsageError(f"--threads must be at least 1, not {arguments.threads}.")
    if arguments.chunks is not None and arguments.chunks < 1:
        raise UsageError(f"--chunks must be at least 1, not {arguments.chunks}.")
    if arguments.gpu_layers is not None and arguments.gpu_layers < 0:
        raise UsageError(f"--gpu-layers must be at least 0, not {arguments.gpu_layers}.")
    if arguments.exact and not arguments.against:
        raise UsageError("--exact compares two models: name the other one with --against.")


def _find(name: str, services: "Services") -> Path:
    """Raises UnknownModelError or ModelFileError."""
    return find_model(name, services).path


def _measure_card(
    services: "Services",
    model: Path,
    against: Path | None,
    settings: "Settings",
    listener: "Listener",
    asked: threading.Event,
) -> tuple[dict[str, Any], str]:
    """What `--json` prints, and what is printed without."""
    card = services.lab.measure(model, against, listener, asked, settings=settings)
    return asdict(card), describe_card(card)


def _evaluate(
    services: "Services",
    model: Path,
    against: Path | None,
    settings: "Settings",
    listener: "Listener",
    asked: threading.Event,
) -> tuple[dict[str, Any], str]:
    result = services.lab.evaluate(model, against, listener, asked, settings=settings)
    report = {"model": str(model), "against": str(against) if against else None, **asdict(result)}
    name = printable(model.name)
    heading = f"{name}, compared to {printable(against.name)}" if against else name
    return report, f"{heading}\n\n{describe(result)}"


def describe(result: "Evaluation") -> str:
    """A table for a person."""
    rows = [("Perplexity", f"{result.perplexity:.4f} ± {result.perplexity_error:.4f}")]
    if kld := result.kld:
        rows += [
            ("Perplexity of the reference", f"{result.reference_perplexity:.4f}"),
            ("KL divergence, mean", f"{kld.mean:.6f} ± {kld.error:.6f}"),
            ("KL divergence, 99 % below", f"{kld.p99:.6f}"),
            ("KL divergence, largest", f"{kld.maximum:.6f}"),
            ("Same first choice", f"{kld.same_top:.2%} ± {kld.same_top_error:.2%}"),
        ]
        if kld.approximation:
            rows.append(("The mean is known to within", f"± {kld.approximation:.2g} (the reference is kept in part)"))
    rows += _asides(result)
    rows.append(("Predictions", f"{result.num_tokens:,} in {result.seconds:.1f} s, chunks of {result.context} tokens"))
    rows.append(("KV cache", f"{result.kv_type_k} keys, {result.kv_type_v} values"))
    return _table(rows)


def _asides(result: "Evaluation") -> list[tuple[str, str]]:
    rows = []
    if noise := result.noise:
        rows += [
            ("Kernel noise, KL divergence", f"{noise.mean:.6f} ± {noise.error:.6f} ({noise.path})"),
            (
                "Kernel noise, same choice",
                f"{noise.same_top:.2%}; 99 % of log probabilities within {noise.p99_change:.3f}",
            ),
        ]
    if choices := result.choices:
        interval = f"{choices.low:.1%} to {choices.high:.1%} (95 %), {choices.num_items:,} items"
        rows.append(("Multiple choice", f"{choices.accuracy:.2%}, {interval}"))
        if choices.reference_accuracy is not None and choices.same_answers is not None:
            same = f"{choices.same_answers:.1%} of the answers are the same"
            rows.append(("Multiple choice, reference", f"{choices.reference_accuracy:.2%}; {same}"))
    return rows


def describe_card(card: "Card") -> str:
    from app.lab.card import verdict

    speed = card.speed
    rows = [
        ("Size", f"{card.bytes / 1e6:,.1f} MB, {card.bits_per_weight:.2f} bits per weight ({card.quantization})"),
        ("Loads in", f"{speed.load_seconds:.2f} s"),
        ("Reads a prompt at", f"{speed.prompt_per_second:,.0f} tokens/s"),
        ("Answers at", f"{speed.decode_per_second:,.1f} tokens/s"),
        ("Memory", f"{speed.memory_bytes / 1e6:,.0f} MB"),
        ("Measured on", card.machine),
    ]
    quality = describe(card.evaluation) + "\n" if card.evaluation else ""
    return f"{card.name}: {verdict(card)}\n\n{quality}{_table(rows)}"


def _table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
