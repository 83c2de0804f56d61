"""What tests have done in a child of another build."""

from collections.abc import Callable
from pathlib import Path

from backends.child import Progress


def loaded_libraries(_report: Callable[[Progress], None]) -> list[str]:
    """llama.cpp's, by their paths, once all is loaded."""
    from backends.llama import native

    native.start()
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if line.count(" ") > 5 and "/" in line}
    return sorted(path for path in paths if Path(path).name.startswith(("libllama", "libggml")))
