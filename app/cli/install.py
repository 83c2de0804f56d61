"""`slipstream install`: the whole road from a name on the Hub, or of a model without one, to a model in the library."""

import argparse

from app.cli.installing import add_install_arguments, run_install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_install_arguments(parser, has_guide=True)
    parser.add_argument("--no-card", action="store_true", help="do not measure quality and speed at the end")


def run(arguments: argparse.Namespace) -> int:
    return run_install(arguments, converts=True, has_card=not arguments.no_card)
