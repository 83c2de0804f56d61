"""`slipstream keys`: who may use the port, and who may manage models. An open one knows of a change within a second."""

import argparse
from dataclasses import asdict
from typing import Any

from app.errors import UsageError
from app.server.scope import Scope

MAY = {Scope.USE: "may use models", Scope.MANAGE: "may use and manage models"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--add", metavar="NAME", help="make a key and print it, this one time")
    what.add_argument(
        "--revoke", metavar="NAME", help="revoke the key of this name; an open port refuses it within a second"
    )
    what.add_argument("--change", metavar="NAME", help="change what the key of this name may do: with --scope")
    what.add_argument(
        "--require",
        choices=("on", "off"),
        help="whether a port that this machine alone reaches needs one; others always do",
    )
    parser.add_argument(
        "--scope",
        choices=[scope.value for scope in Scope],
        help="what it may do, with --add or --change: use models (the default), or also manage, which is to load, "
        "unload, install and delete them",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.terminal import show
    from app.paths import Paths
    from app.server.keys import Keys

    is_named = arguments.add is not None or arguments.change is not None
    if (arguments.scope and not is_named) or (arguments.change is not None and not arguments.scope):
        raise UsageError("--scope goes with --add NAME or --change NAME, and --change NAME needs it.")
    keys = Keys(Paths.from_environment().keys_file)
    made = keys.add(arguments.add, Scope(arguments.scope or Scope.USE)) if arguments.add is not None else None
    if arguments.change is not None:
        keys.allow(arguments.change, Scope(arguments.scope))
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
        lines.append(f"{printable(key['name'])}: {MAY[key['scope']]}, created {key['created']}, {used}")
    if not report["keys"]:
        lines.append("No keys yet. Make one: slipstream keys --add NAME")
    if report["is_required"]:
        lines.append("Every request needs a key, those of this machine too.")
        lines.append("To let this machine's programs in without one: slipstream keys --require off")
    else:
        lines.append("A port that only this machine reaches needs no key; one that others reach always does.")
    return "\n".join(lines)
