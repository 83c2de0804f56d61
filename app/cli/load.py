"""`slipstream load`: have the Slipstream that runs load a model, and wait until it is there."""

import argparse
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.terminal import show
from app.errors import ModelFileError

if TYPE_CHECKING:
    from app.cli.running_app import RunningApp

LOOK_SECONDS = 0.25
UNKNOWN = "model_not_found"  # the word of the native API for a name that no model has


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="M", help="a model's id")
    parser.add_argument("--pin", action="store_true", help="keep it loaded until “slipstream unload”")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Raises SlipstreamError, and Cancelled when asked to end: the load goes on."""
    from app.cli.ending import ending
    from app.cli.running_app import Refused, wanted_app

    asked, app = ending(), wanted_app()
    try:
        begun = app.post("models/load", model=arguments.model)
    except Refused as refused:
        if refused.code == UNKNOWN and (hint := _on_a_file(Path(arguments.model).expanduser())):
            raise ModelFileError(hint) from None
        raise
    if arguments.pin:
        begun = app.post("models/pin", model=begun["name"], is_pinned=True)
    engine = _loaded(app, begun, asked)
    show(arguments, engine, lambda: f"{engine['name']} is loaded on {engine['device']}.")
    return 0


def _on_a_file(path: Path) -> str | None:
    """What to do with it; None where nothing lies there."""
    if not os.path.lexists(path):
        return None
    folder = path if path.is_dir() else path.absolute().parent
    return (
        f"{path} is no name of a model of the library, and only those are loaded. “slipstream models --add-folder "
        f"{folder}” lists the models that lie there; “slipstream models” tells their names."
    )


def _loaded(app: "RunningApp", engine: dict[str, Any], asked: threading.Event) -> dict[str, Any]:
    from app.cli.progress import ProgressLine
    from app.errors import Cancelled, EngineError

    line, name = ProgressLine(), engine["name"]
    try:
        while engine["state"] == "loading":
            line.tell("Loading", engine["fraction"], engine["waits"])
            if asked.wait(LOOK_SECONDS):
                raise Cancelled("Stopped. Slipstream goes on loading it; “slipstream unload” ends that.")
            engines = {each["name"]: each for each in app.get("models")["engines"]}
            engine = engines.get(name) or {**engine, "state": "closed", "error": "It was unloaded meanwhile."}
    finally:
        line.close()
    if engine["state"] != "ready":
        raise EngineError(engine["error"] or f"{name} is {engine['state']}.")
    return engine
