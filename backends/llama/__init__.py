"""llama.cpp: the only native calls."""

import os

from backends.child import SPINS

DEFAULT_SPINS = "20000"  # until the self-test has measured how long a turn takes on this processor

# libgomp reads it when it is loaded, with the first module below this one: so often its threads look for each other at
# one of ggml's barriers before they sleep. Its own default, 300,000, costs nearly all speed beside other programs. What
# a person has chosen stays.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = os.environ.setdefault(SPINS, DEFAULT_SPINS)
