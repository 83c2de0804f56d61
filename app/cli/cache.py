"""`slipstream cache`: what the prompts kept on disk take up, and their removal."""

import argparse

REMOVES = "The next load of a model removes what nobody writes any more."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clear", action="store_true", help="remove them; engines that run read their prompts again")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.terminal import show
    from app.errors import SlipstreamError
    from app.paths import Paths
    from backends.disk_fault import told
    from backends.formats.kept_prompts import clear, our_files

    folder = Paths.from_environment().prompt_cache
    try:
        removed = [file for file in clear(folder) if file.is_whole] if arguments.clear else []
        found = our_files(folder)
    except FileNotFoundError:
        removed, found = [], []
    except OSError as error:
        raise SlipstreamError(told(error, folder)) from error
    kept = [file for file in found if file.is_whole]
    report: dict[str, int | str] = {
        "folder": str(folder),
        "files": len(kept),
        "bytes": sum(file.num_bytes for file in kept),
        "unfinished_bytes": sum(file.num_bytes for file in found if not file.is_whole),
        "removed_files": len(removed),
        "removed_bytes": sum(file.num_bytes for file in removed),
    }
    show(arguments, report, lambda: _tell(report, arguments.clear))
    return 0


def _tell(report: dict[str, int | str], is_cleared: bool) -> str:
    kept = f"Prompts kept in {report['folder']}: {report['files']}, {int(report['bytes']) / 1e6:.1f} MB."
    if unfinished := int(report["unfinished_bytes"]):
        kept += f"\nNot written whole: {unfinished / 1e6:.1f} MB. {REMOVES}"
    removed = f"Prompts removed: {report['removed_files']}, {int(report['removed_bytes']) / 1e6:.1f} MB."
    return f"{removed}\n{kept}" if is_cleared else kept
