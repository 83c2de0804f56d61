"""llama.cpp's functions without the classes around them, which take longer to import than a plan takes to make.

`import llama_cpp` brings jinja2, numpy and a chat server's formats: 0.2 s, one percent of quantizing a gigabyte.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


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
