"""`slipstream quantize`: a GGUF file to a smaller one."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a GGUF file of F32, F16 or BF16")
    parser.add_argument("target", type=Path, metavar="FILE", help="the .gguf file to write")
    parser.add_argument("--type", default="Q4_K_M", metavar="T", help="one of llama.cpp's types (Q4_K_M)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.ending import ending
    from app.cli.progress import ProgressLine
    from app.errors import UsageError
    from app.jobs.convert import quantize_file
    from app.paths import Paths

    if not arguments.source.is_file():
        raise UsageError(f"{arguments.source} is no file. Name a GGUF file.")
    asked, line = ending(), ProgressLine()
    try:
        result = quantize_file(
            arguments.source.absolute(),
            arguments.target.absolute(),
            arguments.type,
            threads=arguments.threads,
            logs=Paths.from_environment().logs,
            on_progress=line.listener("Quantize"),
            cancelled=asked,
        )
    finally:
        line.close()
    report = {"file": str(arguments.target), "type": result.type, "bytes": result.bytes, "seconds": result.seconds}
    print(
        json.dumps(report, ensure_ascii=False, indent=2)
        if arguments.json
        else f"{arguments.target}: {result.type}, {result.bytes / 1e6:.1f} MB, {result.seconds:.1f} s."
    )
    return 0
