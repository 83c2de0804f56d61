#!/usr/bin/env python3
"""Where the set-up begins. `make` calls it; without make: `python packaging/bootstrap.py run` (or test, check, engine).

The work is done in preparation.py. This file must be readable to every Python, Python 2 too, which is told here that it
is too old: no annotations, no f-strings, ASCII alone.
"""

import sys

NEEDED = (3, 11)


def main():
    if sys.version_info < NEEDED:
        sentence = "slipstream: Python %d.%d or newer is needed; this is %d.%d. Install one, and name it: "
        advice = "make run PYTHON=python3.12, or without make: python3.12 packaging/bootstrap.py run\n"
        sys.stderr.write((sentence + advice) % (NEEDED + tuple(sys.version_info[:2])))
        return 1
    from preparation import main as prepare

    return prepare()


if __name__ == "__main__":
    sys.exit(main())
