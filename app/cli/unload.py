"""`slipstream unload`: have the Slipstream that runs give a model's memory back."""

import argparse

from app.cli.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="M", help="a model's id, or its name as “slipstream ps” has it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.cli.running_app import wanted_app

    engine = wanted_app().post("models/unload", model=arguments.model)
    show(arguments, engine, lambda: f"{engine['name']} is unloaded.")
    return 0
