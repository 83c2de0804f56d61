"""Runs pip, and ends with the application that has started it: then its stdin comes to an end. Started by its path."""

import os
import runpy
import sys
import threading

EXIT_ORPHANED = 75


def _end_with_the_application() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(EXIT_ORPHANED)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_application, daemon=True).start()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
