"""Standard streams that whoever started us has closed: they lead nowhere, and their numbers are no other file's."""

import os
import sys
from contextlib import suppress

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_closed_streams() -> None:
    """Before any other file is opened, which would get the number of one that is closed."""
    for number, (name, mode) in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # a system without one
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the end
