"""`slipstream demo`: the whole road on the bundled model, without window and network."""

import argparse
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.terminal import say, say_json
from app.errors import EngineError, RequestError
from backends.protocol import (
    GREEDY,
    EngineOptions,
    Failed,
    Generate,
    KVType,
    Message,
    Output,
    Priority,
    Ready,
    Timings,
)

if TYPE_CHECKING:
    from app.inference.engine_handle import EngineHandle
    from app.paths import Paths

LOAD_SECONDS, ANSWER_SECONDS = 120.0, 120.0
DRAFT_LENGTH = 4  # always, to show it; a chat drafts only as far as that pays on the machine
OPTIONS = EngineOptions(kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0, draft_length=DRAFT_LENGTH)
NUM_TURNS = 2

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a story")


def run(arguments: argparse.Namespace) -> int:
    from app.jobs.leftovers import demo
    from app.paths import Paths

    paths = Paths.from_environment()
    paths.ensure()
    workshops = demo(paths.cache)
    workshops.clear()
    workshop = workshops.make()
    try:
        report = demonstrate(workshop.path, paths, _silent if arguments.json else _print)
    finally:
        workshop.remove()
    if arguments.json:
        say_json(report)
    return 0


def demonstrate(folder: Path, paths: "Paths", say: Say) -> dict[str, Any]:
    """The demo's report, in the shape that `--json` prints. Raises SlipstreamError."""
    from app.guide import DRAFT_DIR, GUIDE_DIR
    from app.jobs.convert import convert_checkpoint, quantize_file

    say("Slipstream takes its bundled model, a tiny Llama, from checkpoint to answers on this machine.\n")
    full, model, draft = folder / "guide-F16.gguf", folder / "guide-Q4_K_M.gguf", folder / "guide-draft-F16.gguf"
    converted = convert_checkpoint(GUIDE_DIR, full, "f16", logs=paths.logs)
    say(f"converted  safetensors → GGUF F16       {_mb(converted.bytes)}  {converted.seconds:6.2f} s")
    quantized = quantize_file(full, model, "Q4_K_M", logs=paths.logs)
    say(f"quantized  F16 → {quantized.type}               {_mb(quantized.bytes)}  {quantized.seconds:6.2f} s")
    convert_checkpoint(DRAFT_DIR, draft, "f16", logs=paths.logs)
    load, turns, memory = _converse(model, draft, paths, say)
    return {
        "convert": {"seconds": converted.seconds, "bytes": converted.bytes},
        "quantize": {"type": quantized.type, "seconds": quantized.seconds, "bytes": quantized.bytes},
        "load": load,
        "turns": turns,
        "memory": memory,
    }


def _converse(
    model: Path, draft: Path, paths: "Paths", say: Say
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    from app.builds.builds import Builds
    from app.guide import SUGGESTED_QUESTIONS
    from app.inference.preflight import Preflight
    from app.inference.supervisor import Supervisor

    builds = Builds(paths.builds, paths.builds_state_file, paths.logs)  # of which the command has chosen already
    supervisor = Supervisor(paths.logs, Preflight(paths.cache, paths.logs, builds))
    try:
        handle = supervisor.load("guide", model, replace(OPTIONS, draft_model=draft))
        ready = handle.wait_ready(LOAD_SECONDS)
        say(_describe(ready))
        messages: list[Message] = []
        turns = []
        for question in SUGGESTED_QUESTIONS[:NUM_TURNS]:
            messages.append(Message("user", question))
            text, timings = _ask(handle, tuple(messages))
            messages.append(Message("assistant", text))
            say(_tell_turn(question, text, timings))
            turns.append({"prompt": question, "text": text, "timings": timings_json(timings)})
        return _load_json(ready), turns, _memory_json(handle)
    finally:
        supervisor.close()


def _ask(handle: "EngineHandle", messages: tuple[Message, ...]) -> tuple[str, Timings]:
    pieces: list[str] = []
    last: list[Output | Failed] = []
    finished = threading.Event()

    def sink(event: Output | Failed) -> None:
        if isinstance(event, Output):
            pieces.append(event.text)
        if isinstance(event, Failed) or event.finish:
            last.append(event)
            finished.set()

    handle.submit(Generate(messages, sampling=GREEDY, priority=Priority.WINDOW), sink)
    if not finished.wait(ANSWER_SECONDS):
        raise EngineError(f"The engine gave no answer within {ANSWER_SECONDS:.0f} seconds. Its log: {handle.log_path}")
    event = last[0]
    if isinstance(event, Failed):
        raise RequestError(event.kind, event.message, event.numbers)
    assert event.timings is not None
    return "".join(pieces), event.timings


def timings_json(timings: Timings) -> dict[str, float | int]:
    return {
        "prompt_n": timings.prompt_n,
        "cache_n": timings.cache_n,
        "predicted_n": timings.predicted_n,
        "draft_n": timings.draft_n,
        "draft_accepted_n": timings.draft_accepted_n,
        "prompt_ms": timings.prompt_ms,
        "predicted_ms": timings.predicted_ms,
        "predicted_per_second": timings.predicted_per_second,
    }


def _load_json(ready: Ready) -> dict[str, Any]:
    return {
        "seconds": ready.load_seconds,
        "device": ready.device,
        "kv_type_k": ready.kv_type_k,
        "kv_type_v": ready.kv_type_v,
        "draft": ready.draft,
        "notes": list(ready.notes),
    }


def _memory_json(handle: "EngineHandle") -> dict[str, int | None]:
    """vram_bytes: what the backend's GPUs have in use, all programs together; None on a build without one."""
    stats = handle.snapshot.stats
    devices = stats.devices if stats else ()
    used = sum(device.total - device.free for device in devices) if devices else None
    return {"rss_bytes": stats.rss_bytes if stats else 0, "vram_bytes": used}


def _describe(ready: Ready) -> str:
    notes = "".join(f"\n           {note}" for note in ready.notes)
    return (
        f"loaded     on {ready.device}, KV cache {ready.kv_type_k}/{ready.kv_type_v}, drafts: {ready.draft}"
        f"  {ready.load_seconds:.2f} s{notes}"
    )


def _tell_turn(question: str, text: str, timings: Timings) -> str:
    return (
        f"\n> {question}\n\n{text}\n\n"
        f"  {timings.predicted_per_second:.0f} tokens/s · first token after {timings.first_token_ms:.0f} ms · "
        f"{timings.cache_n} of {timings.cache_n + timings.prompt_n} prompt tokens reused · "
        f"{timings.draft_accepted_n} of {timings.draft_n} drafted tokens accepted"
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:6.1f} MB"


def _print(line: str) -> None:
    say(line)


def _silent(_line: str) -> None:
    pass
