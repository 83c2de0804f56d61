"""llama.cpp: the only native calls."""

import os

from backends.child import SPINS

WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
OURS = "SLIPSTREAM_WAITING"  # set where these are not a person's
DEFAULT_SPINS = "8000"  # until the self-test has measured how long a turn takes on this processor: 0.1 ms and more

# libgomp reads them when it is loaded, with the first module below this one: so often its threads look for each other
# at one of ggml's barriers before they sleep, and not at all while there are more threads than processors (see
# backends.llama.waiting). Its own default, 300,000, costs nearly all speed beside other programs.
if not any(name in os.environ for name in WAITING):
    os.environ |= {
        "GOMP_SPINCOUNT": os.environ.setdefault(SPINS, DEFAULT_SPINS),
        "OMP_WAIT_POLICY": "passive",
        OURS: "1",
    }
