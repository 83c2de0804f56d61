"""llama.cpp: the only native calls."""

import os

# libgomp reads it when it is loaded, with the first module below this one. Its threads otherwise spin at each of ggml's
# barriers for as long as another program runs on their core: with two other programs on two cores that took 98 % of the
# speed. So many turns of a loop cost an idle machine nothing that could be measured.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
