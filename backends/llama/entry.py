"""Where an engine process comes in: the child that renders chats starts while the native library is imported and the
weights are read, so that the first chat does not wait for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from backends.protocol import Load
from backends.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from backends.llama.encoder_model import EncoderModel
    from backends.llama.model import LlamaModel

TEMPLATES = ("backends.llama.chat_writing",)  # what its jobs import


def prepare() -> "Callable[[Load, Callable[[float], None]], LlamaModel | EncoderModel]":
    """All that needs no model yet; then the function that loads one, once. It raises LoadError."""
    rendering = Sandbox(imports=TEMPLATES)
    rendering.start()
    try:
        from backends.llama import fingerprint, loader, native

        native.start()
    except BaseException:
        rendering.close()
        raise

    def load(load: Load, report: Callable[[float], None]) -> "LlamaModel | EncoderModel":
        fingerprint.take_fingerprint(load.model)
        rendering.log = load.log
        try:
            return loader.load(load, report, rendering)
        except BaseException:
            rendering.close()
            raise

    return load
