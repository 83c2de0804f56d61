"""`slipstream convert`: a checkpoint's folder to a GGUF file."""

import argparse
from pathlib import Path
from typing import Any

from app.cli.target import add_force, require_free
from backends.bounds import printable, sentence

TYPES = ("bf16", "f16", "f32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="FOLDER", help="config.json, tokenizer and weights")
    parser.add_argument("target", type=Path, metavar="FILE", help="the .gguf file to write")
    parser.add_argument("--type", choices=TYPES, default=TYPES[0], help="of the large tensors (bf16)")
    add_force(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.ending import ending
    from app.cli.progress import ProgressLine
    from app.cli.terminal import show
    from app.errors import UsageError
    from app.jobs.convert import convert_checkpoint
    from app.paths import Paths

    if not arguments.source.is_dir():
        raise UsageError(f"{arguments.source} is no folder. Name the folder that holds the checkpoint's files.")
    require_free(arguments.target.absolute(), is_forced=arguments.force)
    asked, line = ending(), ProgressLine()
    try:
        result = convert_checkpoint(
            arguments.source.absolute(),
            arguments.target.absolute(),
            arguments.type,
            logs=Paths.from_environment().logs,
            on_progress=line.listener("Convert"),
            cancelled=asked,
        )
    finally:
        line.close()
    report: dict[str, Any] = {
        "file": str(arguments.target),
        "type": arguments.type,
        "bytes": result.bytes,
        "tensors": result.num_tensors,
        "seconds": result.seconds,
        "verified_texts": result.verified_texts,
        "notes": result.notes,
    }
    show(arguments, report, lambda: _tell(report))
    return 0


def _tell(report: dict[str, Any]) -> str:
    figures = f"{report['tensors']} tensors, {report['bytes'] / 1e6:.1f} MB, {report['seconds']:.1f} s."
    return "\n".join((f"{printable(report['file'])}: {figures}", *map(sentence, report["notes"])))
