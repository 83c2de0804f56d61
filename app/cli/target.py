"""The file that a command is to write: one that is there already is replaced only when that was asked for."""

import argparse
import os
from pathlib import Path

from app.errors import UsageError
from backends.ownership.files import is_regular


def add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="replace the file if it is there already, in one step")


def require_free(target: Path, *, is_forced: bool) -> None:
    """Before any work. Raises UsageError."""
    if not os.path.lexists(target):
        return
    if not is_regular(target):
        raise UsageError(
            f"{target} is there already, and is no regular file that could be replaced. Name another file."
        )
    if not is_forced:
        raise UsageError(f"{target} is there already. Name another file, or add --force.")
