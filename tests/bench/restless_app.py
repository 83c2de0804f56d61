"""`slipstream` with engines whose caches change their size at random: `python -m tests.bench.restless_app serve …`."""

import sys

from app.__main__ import main
from app.inference import engine_process
from tests.engine import restless

if __name__ == "__main__":
    engine_process.ENTRY = restless.MAIN
    sys.exit(main())
