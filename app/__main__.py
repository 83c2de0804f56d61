"""The command `slipstream`. Imports nothing before Ctrl+C is heard: the commands take a second to come in."""

import sys
from collections.abc import Sequence

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the task failed (one line why on stderr), 2 wrong usage, 130 asked to end before that."""
    try:
        import os
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # what is raised in an import may get lost
            signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
        from app.standard_streams import open_closed_streams

        open_closed_streams()  # before the others open files
        from app.command_line import execute

        return execute(argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
