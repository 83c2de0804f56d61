"""What is checked before a native library sees a model: the file's header, and the build itself, once."""

import json
import platform
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from app.errors import EngineError
from app.jobs.child import run_in_child
from app.library.gguf import read_model
from backends.protocol import EngineOptions

SELF_TEST = "backends.llama.selftest:run"
REPACKING_OFF = (
    "The installed build of llama.cpp crashes with its extra buffer types on this processor, so they are off: "
    "several answers at once and drafting are slower. `make engine` builds it with the right flags."
)


class Preflight:
    """Called on an engine's own thread before its process starts. Raises SlipstreamError with a sentence."""

    def __init__(self, cache: Path, logs: Path):
        self._verdict_file = cache / "selftest.json"
        self._log_path = logs / "selftest.log"
        self._lock = threading.Lock()  # two engines that start together should test once

    def __call__(self, model: Path, options: EngineOptions) -> tuple[EngineOptions, tuple[str, ...]]:
        """The options to load with, and sentences for the load event."""
        read_model(model)
        if options.draft_model is not None:
            read_model(options.draft_model)
        if not options.extra_buffer_types or self.extra_buffer_types_work():
            return options, ()
        return replace(options, extra_buffer_types=False), (REPACKING_OFF,)

    def extra_buffer_types_work(self) -> bool:
        """Whether the build survives with everything on. Raises EngineError when it does not work at all."""
        with self._lock:
            key = _build_key()
            verdict = self._read(key)
            if verdict is None:
                verdict = self._test()
                self._write(key, verdict)
        return verdict

    def _test(self) -> bool:
        try:
            run_in_child(SELF_TEST, log_path=self._log_path, extra_buffer_types=True)
        except EngineError as error:
            if error.crash is None:
                raise
            run_in_child(SELF_TEST, log_path=self._log_path, extra_buffer_types=False)
            return False
        return True

    def _read(self, key: str) -> bool | None:
        try:
            verdict = json.loads(self._verdict_file.read_text("utf-8")).get(key)
        except (OSError, ValueError, AttributeError):
            return None
        return verdict if isinstance(verdict, bool) else None

    def _write(self, key: str, verdict: bool) -> None:
        self._verdict_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._verdict_file.with_suffix(".part")
        temporary.write_text(json.dumps({key: verdict}), "utf-8")
        temporary.replace(self._verdict_file)


def _build_key() -> str:
    """Names the installed library and the processor, without loading the one or trusting the other's name."""
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise EngineError("llama-cpp-python is not installed. Run `make engine`.")
    folder = Path(spec.origin).parent / "lib"
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    stamps = [f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files]
    return " ".join([platform.machine(), _processor(), *stamps])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return " ".join(line for line in lines if line.startswith(("model name", "flags")))[:4000]
