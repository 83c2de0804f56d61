"""A worker child that works with another build of llama.cpp than the application's other children do."""

import os
from collections.abc import Callable
from typing import Any

from backends.child import Progress, resolve

LIBRARIES = "LLAMA_CPP_LIB_PATH"  # the binding's own variable: the folder of its native libraries


def run(report: Callable[[Progress], None], build: str | None, work: str, **arguments: Any) -> Any:
    """Calls `work` ("package.module:function"). build: the folder of the libraries, None for the installed ones."""
    os.environ.pop(LIBRARIES, None)
    if build is not None:
        os.environ[LIBRARIES] = build
    return resolve(work)(report, **arguments)  # which imports the binding only now
