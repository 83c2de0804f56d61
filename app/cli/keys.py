"""`slipstream keys`: who may use the port. An open one knows of a change within a second."""

import argparse
from dataclasses import asdict
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--add", metavar="NAME", help="make a key and print it, this one time")
    what.add_argument(
        "--revoke", metavar="NAME", help="revoke the key of this name; an open port refuses it within a second"
    )
    what.add_argument(
        "--require", choices=("on", "off"), help="whether programs on this machine need a key; others always do"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.terminal import show
    from app.paths import Paths
    from app.server.keys import Keys

    keys = Keys(Paths.from_environment().keys_file)
    made = keys.add(arguments.add) if arguments.add is not None else None
    if arguments.revoke is not None:
        keys.revoke(arguments.revoke)
    if arguments.require:
        keys.require(arguments.require == "on")
    kept = [{name: value for name, value in asdict(key).items() if name != "digest"} for key in keys.all()]
    report = {"is_required": keys.is_required, "keys": kept, **({"key": made} if made else {})}
    show(arguments, report, lambda: _tell(report))
    return 0


def _tell(report: dict[str, Any]) -> str:
    from backends.bounds import printable

    lines = [f"{report['key']}\nCopy it now: it is not shown again.\n"] if "key" in report else []
    for key in report["keys"]:
        used = f"last used {key['last_used']}" if key["last_used"] else "never used"
        lines.append(f"{printable(key['name'])}: created {key['created']}, {used}")
    if not report["keys"]:
        lines.append("No keys yet. Make one: slipstream keys --add NAME")
    if report["is_required"]:
        lines.append("Every request needs a key, those of this machine too.")
        lines.append("To let this machine's programs in without one: slipstream keys --require off")
    else:
        lines.append("Programs on this machine need no key; others always do.")
    return "\n".join(lines)
