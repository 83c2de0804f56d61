"""`slipstream load`: have the Slipstream that runs load a model, and wait until it is there."""

import argparse
import threading
from typing import TYPE_CHECKING, Any

from app.cli.terminal import show

if TYPE_CHECKING:
    from app.cli.running_app import RunningApp

LOOK_SECONDS = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="M", help="a model's id")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Raises SlipstreamError, and Cancelled when asked to end: the load goes on."""
    from app.cli.ending import ending
    from app.cli.running_app import wanted_app

    asked, app = ending(), wanted_app()
    engine = _loaded(app, app.post("models/load", model=arguments.model), asked)
    show(arguments, engine, lambda: f"{engine['name']} is loaded on {engine['device']}.")
    return 0


def _loaded(app: "RunningApp", engine: dict[str, Any], asked: threading.Event) -> dict[str, Any]:
    from app.cli.progress import ProgressLine
    from app.errors import Cancelled, EngineError

    line, name = ProgressLine(), engine["name"]
    try:
        while engine["state"] == "loading":
            line.tell("Loading", engine["fraction"], "")
            if asked.wait(LOOK_SECONDS):
                raise Cancelled("Stopped. Slipstream goes on loading it; “slipstream unload” ends that.")
            engines = {each["name"]: each for each in app.get("models")["engines"]}
            engine = engines.get(name) or {**engine, "state": "closed", "error": "It was unloaded meanwhile."}
    finally:
        line.close()
    if engine["state"] != "ready":
        raise EngineError(engine["error"] or f"{name} is {engine['state']}.")
    return engine
