"""Makes the children to come use one build: by the environment, as the binding has it. Knows no child."""

import os
from pathlib import Path

from app.builds.build import Build

LIBRARIES = "LLAMA_CPP_LIB_PATH"  # the binding's own variable
OURS = "SLIPSTREAM_ENGINE_BUILD"  # set where that one is not a person's: the build's name


def activate(build: Build) -> None:
    """A person's own variable stands."""
    if is_of_person():
        return
    if build.libraries is None:
        os.environ.pop(LIBRARIES, None)
        os.environ.pop(OURS, None)
    else:
        os.environ |= {LIBRARIES: str(build.libraries), OURS: build.name}


def is_of_person() -> bool:
    return LIBRARIES in os.environ and OURS not in os.environ


def active_folder() -> Path | None:
    """None: the installed build's own."""
    chosen = os.environ.get(LIBRARIES)
    return None if chosen is None else Path(chosen)
