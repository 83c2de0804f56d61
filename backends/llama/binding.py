"""llama.cpp's functions without the classes around them, which take longer to import than a small model to load.

`import llama_cpp` brings jinja2, numpy and a chat server's formats: 0.1 to 0.2 s.
"""

import os
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from backends.with_build import LIBRARIES

VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


def _functions() -> Any:
    """The module of the C API alone. To those who import the package later it was never there."""
    if "llama_cpp" in sys.modules:
        return import_module("llama_cpp.llama_cpp")
    spec = find_spec("llama_cpp")
    assert spec is not None
    package = ModuleType("llama_cpp")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["llama_cpp"] = package
    try:
        return import_module("llama_cpp.llama_cpp")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "llama_cpp"]:
            del sys.modules[name]


lib = _functions()


def libraries() -> Path:
    """The folder of the native libraries: of the build that was chosen, or those that come with the binding."""
    chosen = os.environ.get(LIBRARIES)
    return Path(chosen) if chosen is not None else Path(lib.__file__).parent / "lib"


def version() -> str:
    """Of the binding, which the package alone says."""
    try:
        found = VERSION.search(Path(lib.__file__).with_name("__init__.py").read_text("utf-8", "replace"))
    except OSError:  # a frozen application has no sources
        found = None
    return found[1] if found else str(import_module("llama_cpp").__version__)
