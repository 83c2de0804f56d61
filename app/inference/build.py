"""The native library that is used, as far as its files tell: which build it is, whether it knows a GPU. Loads none."""

import os
import platform
from importlib.util import find_spec
from pathlib import Path

from app.builds.activation import active_folder
from app.errors import EngineError
from backends.gpu_libraries import gpu_kind


def build_key() -> str:
    """Names the installed library and the processor, without loading the one or trusting the other's name."""
    folder = library_folder()
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    stamps = [f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files]
    return " ".join([platform.machine(), _processor(), f"{os.cpu_count()} cores", *stamps])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return " ".join(line for line in lines if line.startswith(("model name", "flags")))[:4000]


def library_folder() -> Path:
    """Where the native libraries lie that an engine will load. Raises EngineError."""
    if chosen := active_folder():
        return chosen
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise EngineError("llama-cpp-python is not installed. Run `make engine`.")
    return Path(spec.origin).parent / "lib"


def has_gpu_library() -> bool:
    """Whether the build that is used knows any kind of GPU."""
    return gpu_kind(library_folder()) is not None
