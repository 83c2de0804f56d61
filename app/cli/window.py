"""`slipstream` without a command: the window. The one place outside ui that knows there is a ui."""

import argparse
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.services import Services

NO_DISPLAY = """\
slipstream: there is no display here, so the window cannot open.
Without one you can use
  slipstream demo     the bundled model answers two questions
  slipstream chat     talk to a model in this terminal
  slipstream serve    the port for other programs, without a window\
"""


def run(_arguments: argparse.Namespace) -> int:
    if not has_display():
        print(NO_DISPLAY, file=sys.stderr)
        return 1
    from app.cli.ending import ending
    from app.inference.standby import Standby

    asked = ending()
    standby = Standby()  # for the model of last time, or the one that is clicked first
    try:
        from app.paths import Paths
        from app.services import Services

        services = Services(Paths.from_environment(), standby)
        try:
            return open_window(services, asked, takes_up=True)
        finally:
            services.close()
    finally:
        standby.close()


def open_window(services: "Services", asked: threading.Event, *, takes_up: bool = False) -> int:
    """Returns its exit code once it is closed, by a person or because it was asked to. The services stay open.

    takes_up: what an earlier run has left unfinished goes on.
    """
    from ui.application import run as run_window

    return run_window(services, sys.argv[:1], asked, takes_up=takes_up)


def has_display() -> bool:
    """Only X11 and Wayland can be absent; a platform plugin named by hand is believed."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
