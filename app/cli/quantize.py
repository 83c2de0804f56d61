"""`slipstream quantize`: a GGUF file to a smaller one, or only what that would take."""

import argparse
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.fallbacks import folded
from app.cli.model_name import find_model
from app.cli.target import add_force, require_free
from backends.bounds import printable, sentence
from backends.formats import FormatError
from backends.formats.quantizations import QUANTIZATIONS
from backends.formats.recipe import Recipe, parse_override

if TYPE_CHECKING:
    from app.cli.progress import ProgressLine
    from app.paths import Paths
    from backends.child import QuantizePlan

AUTO = "auto"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    types = ", ".join(QUANTIZATIONS)
    parser.add_argument("source", metavar="SOURCE", help="a GGUF file (of a split one the first part), or a library id")
    parser.add_argument("target", type=Path, nargs="?", metavar="TARGET", help="the .gguf file to write (beside it)")
    parser.add_argument("--type", default="Q4_K_M", metavar="T", help=f"one of {types} (Q4_K_M)")
    parser.add_argument("--imatrix", metavar="FILE", help="importance matrix; “auto” makes one first")
    parser.add_argument("--calibration", type=Path, metavar="TEXT", help="text for --imatrix auto (the shipped one)")
    parser.add_argument(
        "--tensor-type", action="append", default=[], metavar="REGEX=TYPE", help="for tensors by name; may be repeated"
    )
    parser.add_argument("--output-type", metavar="T", help="of the output tensor")
    parser.add_argument("--embedding-type", metavar="T", help="of the token embeddings")
    parser.add_argument("--pure", action="store_true", help="one type for all tensors, no mix")
    parser.add_argument("--allow-requantize", action="store_true", help="from a source that is quantized already")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (all)")
    add_force(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.ending import ending
    from app.cli.progress import ProgressLine
    from app.cli.terminal import show
    from app.paths import Paths

    paths, asked, line = Paths.from_environment(), ending(), ProgressLine()
    options = _options(arguments)
    source = _source(arguments.source, paths, has_place=arguments.target is not None or arguments.dry_run)
    target = _target(arguments, source)
    try:
        if arguments.dry_run:
            report, text = _plan(arguments, source, options, paths.logs)
        else:
            with tempfile.TemporaryDirectory() as folder:
                if arguments.imatrix == AUTO:
                    options["imatrix"] = _matrix(arguments, source, Path(folder), paths.logs, line, asked)
                report, text = _quantize(arguments, source, target, options, paths.logs, line, asked)
    finally:
        line.close()
    show(arguments, report, lambda: text)
    return 0


def _source(name: str, paths: "Paths", has_place: bool) -> Path:
    """has_place: the result goes elsewhere than beside the source, or nowhere. Raises UsageError or ModelFileError."""
    from app.errors import UnknownModelError, UsageError
    from app.library.gguf import leading_name
    from app.library.origin import Origin
    from app.services import Services

    if Path(name).is_file():
        return _sound(Path(leading_name(name)).absolute())
    services = Services(paths)
    try:
        entry = find_model(name, services)
    except UnknownModelError:
        raise UsageError(f"{name} is no file and no model of the library. Name a GGUF file.") from None
    finally:
        services.close()
    if entry.origin is not Origin.MANAGED and not has_place:
        raise UsageError(f"{name} lies in {entry.path.parent}, which is only read. Name the file to write as well.")
    return entry.path


def _sound(path: Path) -> Path:
    """The file itself. Raises ModelFileError for what is no GGUF file, before anything is said of its place."""
    from app.library.gguf import CompanionFileError, describe_parts

    with suppress(CompanionFileError):  # the quantization has its own sentence for it
        describe_parts(path)
    return path


def _target(arguments: argparse.Namespace, source: Path) -> Path:
    """Raises UsageError for one that must not be written."""
    from app.errors import UsageError
    from app.jobs.quantize import output_name

    target: Path = (arguments.target or source.with_name(output_name(source, arguments.type.upper()))).absolute()
    if not arguments.dry_run:
        if target.exists() and target.samefile(source):
            raise UsageError(f"{target} is the source itself. Name another file to write.")
        require_free(target, is_forced=arguments.force)
    return target


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """For `plan_quantization` and `quantize_file`. Raises UsageError."""
    from app.errors import UsageError

    if arguments.calibration is not None and arguments.imatrix != AUTO:
        raise UsageError("--calibration names the text for --imatrix auto.")
    matrix = arguments.imatrix
    try:
        Recipe(arguments.type.upper()).check()
        overrides = tuple(map(parse_override, arguments.tensor_type))
    except FormatError as fault:
        raise UsageError(str(fault)) from None
    return {
        "imatrix": None if matrix in (None, AUTO) else Path(matrix).absolute(),
        "overrides": overrides,
        "output_type": arguments.output_type and arguments.output_type.upper(),
        "embedding_type": arguments.embedding_type and arguments.embedding_type.upper(),
        "is_pure": arguments.pure,
    }


def _plan(
    arguments: argparse.Namespace, source: Path, options: dict[str, Any], logs: Path
) -> tuple[dict[str, Any], str]:
    from app.jobs.convert import plan_quantization

    plan = plan_quantization(source, arguments.type.upper(), logs=logs, **options)
    return asdict(plan), _describe(plan)


def _describe(plan: "QuantizePlan") -> str:
    shares = ", ".join(f"{share.num_tensors} × {share.type}" for share in plan.tensors)
    lines = [f"{plan.type}: {plan.bytes / 1e6:,.1f} MB, {plan.bits_per_weight:.2f} bits per weight; {shares}."]
    if plan.needs_imatrix:
        lines.append("It needs an importance matrix: --imatrix FILE, or --imatrix auto to make one first.")
    return "\n".join([*lines, *map(sentence, (*plan.warnings, *folded(plan.fallbacks)))])


def _matrix(
    arguments: argparse.Namespace,
    source: Path,
    folder: Path,
    logs: Path,
    line: "ProgressLine",
    asked: threading.Event,
) -> Path:
    from app.jobs.convert import make_imatrix

    target = folder / f"{source.stem}.imatrix.gguf"
    text = arguments.calibration.absolute() if arguments.calibration else None
    listener = line.listener("Importance matrix")
    make_imatrix(source, target, text, threads=arguments.threads, logs=logs, on_progress=listener, cancelled=asked)
    return target


def _quantize(
    arguments: argparse.Namespace,
    source: Path,
    target: Path,
    options: dict[str, Any],
    logs: Path,
    line: "ProgressLine",
    asked: threading.Event,
) -> tuple[dict[str, Any], str]:
    from app.jobs.convert import quantize_file

    result = quantize_file(
        source,
        target,
        arguments.type.upper(),
        allow_requantize=arguments.allow_requantize,
        threads=arguments.threads,
        logs=logs,
        on_progress=line.listener("Quantize"),
        cancelled=asked,
        **options,
    )
    report = {"file": str(target), **asdict(result)}
    size = f"{result.bytes / 1e6:.1f} MB, {result.bits_per_weight:.2f} bits per weight, {result.seconds:.1f} s"
    lines = [
        f"{printable(str(target))}: {result.type}, {size}.",
        *map(sentence, (*result.warnings, *folded(result.fallbacks))),
    ]
    return report, "\n".join(lines)
