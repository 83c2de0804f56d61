"""Names the backends. Imports one only when an engine process asks for it."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from backends.protocol import Load

if TYPE_CHECKING:
    from backends.engine.runner import LoadedModel

Loader = Callable[[Load, Callable[[float], None]], "LoadedModel"]

BACKENDS = {
    "llama": "backends.llama.entry",
    "fake": "backends.fake.loader",
}


def loader(backend: str) -> Loader:
    """The function that loads a model with this backend, with everything imported that a load needs.

    Raises KeyError for a name that is not listed."""
    module = import_module(BACKENDS[backend])
    return module.prepare()  # type: ignore[no-any-return]
