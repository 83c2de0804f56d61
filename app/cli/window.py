"""`slipstream` without a command: the window. The one place outside ui that knows there is a ui."""

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.terminal import warn

if TYPE_CHECKING:
    from app.services import Services
    from ui.one_window import OneWindow

COMES = "Slipstream is open already; its window comes to the front."
SILENT = "Slipstream is open already, and does not answer. Close it, or end its process, then try again."

NO_DISPLAY = """\
slipstream: there is no display here, so the window cannot open.
Without one you can use
  slipstream demo     the bundled model answers two questions
  slipstream chat     talk to a model in this terminal
  slipstream serve    the port for other programs, without a window\
"""


def run(arguments: argparse.Namespace) -> int:
    if not has_display():
        print(NO_DISPLAY, file=sys.stderr)
        return 1
    files = [str(Path(file).absolute()) for file in arguments.files]
    one = only_window()
    is_ours = one.take_or_tell(files) if one else True
    if not is_ours:
        warn(COMES if is_ours is False else SILENT)
        return 0 if is_ours is False else 1
    try:
        return _open(one, files)
    finally:
        if one:
            one.close()


def _open(one: "OneWindow | None", files: list[str]) -> int:
    from app.cli.ending import ending
    from app.inference.standby import Standby

    asked = ending()
    standby = Standby()  # for the model of last time, or the one that is clicked first
    try:
        from app.paths import Paths
        from app.services import Services

        services = Services(Paths.from_environment(), standby)
        try:
            return open_window(services, asked, takes_up=True, one=one, files=files)
        finally:
            services.close()
    finally:
        standby.close()


def only_window() -> "OneWindow | None":
    """Of this data folder. None where no place can be found to say so: then two are better than none."""
    from app.paths import Paths
    from ui.one_window import OneWindow

    try:
        return OneWindow(Paths.from_environment().data)
    except OSError as fault:
        warn(f"A second window would not be noticed: {fault}.")
        return None


def open_window(
    services: "Services",
    asked: threading.Event,
    *,
    takes_up: bool = False,
    one: "OneWindow | None" = None,
    files: Sequence[str] = (),
) -> int:
    """Returns its exit code once it is closed, by a person or because it was asked to. The services stay open.

    takes_up: what an earlier run has left unfinished goes on. one: the claim to be the only window; files: to look at.
    """
    from ui.application import run as run_window

    return run_window(services, sys.argv[:1], asked, takes_up=takes_up, one=one, files=files)


def has_display() -> bool:
    """Only X11 and Wayland can be absent; a platform plugin named by hand is believed."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
