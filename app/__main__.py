"""The command `slipstream`. Imports nothing before Ctrl+C is heard: the commands take a second to come in."""

import sys
from collections.abc import Sequence

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the task failed (one line why on stderr), 2 wrong usage, 130 asked to end before that."""
    try:
        from app.standard_streams import open_closed_streams

        open_closed_streams()  # before the others open files
        from app.command_line import execute

        return execute(argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
