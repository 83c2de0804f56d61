"""What GPUs a build of llama.cpp can use, by the names of its libraries: nothing of them is loaded."""

import os
import re
from pathlib import Path

GPU_LIBRARY = re.compile(r"ggml-(cuda|vulkan|hip|metal|sycl|musa|opencl)\.")


def gpu_kind(folder: Path | None) -> str | None:
    """ "cuda", "vulkan" …; None: the CPU alone."""
    for name in names_in(folder):
        if found := GPU_LIBRARY.search(name):
            return found[1]
    return None


def names_in(folder: Path | None) -> list[str]:
    """Sorted; none of a folder that cannot be read."""
    try:
        return sorted(os.listdir(folder)) if folder is not None else []
    except OSError:
        return []
