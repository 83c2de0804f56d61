"""A tiny model whose template obeys the first message: it loops, allocates or refuses on order, else it is ChatML.

`patient` is an engine's whole life like `backends.engine.process.main`, where no template comes to the end of its time.

`python -m tests.llama.traps MODEL LOGS` is an application with an endless template at work: it says the pids of its
engine and of what that started, and waits to be killed.
"""

import sys
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from app.inference.supervisor import Supervisor
from app.jobs.convert import convert_checkpoint
from backends.engine import process
from backends.protocol import EngineOptions, Generate, Message
from backends.sandbox import sandbox
from backends.sandbox.job import Bounds
from tests.convert import checkpoints

LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
DOUBLE = "{% set ns.x = ns.x + ns.x %}"
ORDERS = {
    "loop": LOOP,
    "memory": "{% set ns = namespace(x=messages|string) %}" + DOUBLE * 60,
    "refuse": "{{ raise_exception(messages|string * 90000) }}",
}
CHATML = checkpoints.CHATML + "{{ '<|im_start|>assistant\n' }}"


def template() -> str:
    orders = [f"{{% if messages[0].content == '{order}' %}}{body}{{% endif %}}" for order, body in ORDERS.items()]
    return "".join(orders) + CHATML


def make(folder: Path, source: str) -> Path:
    """A model with this template."""
    checkpoint = folder / "checkpoint"
    checkpoints.write(checkpoint, checkpoints.config(max_position_embeddings=2048), kind="qwen2")
    (checkpoint / "chat_template.jinja").write_text(source, "utf-8")
    convert_checkpoint(checkpoint, folder / "trap.gguf", "f32", logs=folder)
    return folder / "trap.gguf"


PATIENT = "tests.llama.traps:patient"


def patient(connection: Connection, backend: str, log_path: str | None) -> None:
    sandbox.Bounds = partial(Bounds, deadline=3600.0, patience=3600.0)  # type: ignore[misc,assignment]
    process.main(connection, backend, log_path)


def main() -> None:
    supervisor = Supervisor(Path(sys.argv[2]))
    handle = supervisor.load("trap", Path(sys.argv[1]), EngineOptions())
    handle.wait_ready(60)
    handle.submit(Generate((Message("user", "loop"),)), lambda _: None)
    engine = psutil.Process(handle.pid)
    print(handle.pid, *(child.pid for child in engine.children(recursive=True)), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
