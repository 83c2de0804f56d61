"""`slipstream pull`: files of the Hub into the library as they are."""

import argparse

from app.cli.installing import add_install_arguments, run_install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_install_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    return run_install(arguments, converts=False)
