"""Memory runs short for real: it is predicted with the number that decides; forced, one engine dies and all else
lives."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.inference.crash import crash_report
from app.inference.supervisor import EngineState, Supervisor
from backends.protocol import DraftMode, EngineOptions, Failed
from tests.inference.conftest import SECONDS, Answer, ask
from tests.patience import until
from tests.residency.groups import memory_group

MIB = 1 << 20
SERVED = """
import sys, urllib.error, urllib.request
from pathlib import Path

from app.paths import Paths
from app.services import Services
from tests.server.test_native import free_port

sys.stdin.readline()
services = Services(Paths.below(Path(sys.argv[1])))
url = services.start_server(port=free_port())
services.add_folder(Path(sys.argv[2]).parent)
entry = next(each for each in services.library.look().entries if each.path == Path(sys.argv[2]))
body = f'{{"model": "{entry.id}", "messages": [{{"role": "user", "content": "Hi"}}]}}'.encode()
request = urllib.request.Request(url + "/v1/chat/completions", body, {"Content-Type": "application/json"})
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code, error.headers["Retry-After"], error.read().decode())
try:
    services.load_model(entry).wait_ready()
except Exception as error:
    print(error)
services.close()
"""


def test_what_a_container_has_no_memory_for_is_refused_with_the_number(smollm2: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVED, str(tmp_path), str(smollm2)]
    with (
        memory_group(180 * MIB) as processes,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
    ):
        processes.write_text(str(child.pid))
        told, _ = child.communicate("\n")
    refused, forced = told.splitlines()
    assert refused.startswith("503 "), told
    assert re.search(r"It needs 0\.\d GB of RAM, and models may have \d+ MB\.", refused)
    assert re.search(r"needs 0\.\d Gi?B .* and 0\.\d GiB are free\. Choose fewer", forced), "who orders it, too"


def test_an_engine_that_memory_runs_out_for_dies_alone(smollm2: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    try:
        options = EngineOptions(context=4096, parallel=1, draft=DraftMode.OFF)
        squeezed = supervisor.load("squeezed", smollm2, options)
        other = supervisor.load("other", Path("other.gguf"), backend="fake")
        squeezed.wait_ready(SECONDS)
        other.wait_ready(SECONDS)
        with memory_group(4 * MIB) as processes:
            assert squeezed.pid
            processes.write_text(str(squeezed.pid))
            answer: Answer = ask(squeezed, "word " * 3000, max_tokens=8).wait()
            assert isinstance(answer.last, Failed)
            assert "it ran out of memory" in answer.last.message
            until(lambda: squeezed.snapshot.crash or squeezed.snapshot.state is EngineState.READY)
        assert ask(other, "Hello", max_tokens=8).wait().text
        squeezed.wait_ready(SECONDS)
        assert ask(squeezed, "Hello", max_tokens=8).wait().text, "it has come back"
    finally:
        supervisor.close()


@pytest.mark.parametrize(
    "line",
    [
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "MemoryError",
        "OSError: [Errno 12] Cannot allocate memory",
        "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 2147483648",
        "ggml_vulkan: Device memory allocation of size 1073741824 failed. ErrorOutOfDeviceMemory",
        "CUDA error: out of memory",
    ],
)
def test_a_death_for_want_of_memory_is_called_that(tmp_path: Path, line: str) -> None:
    log = tmp_path / "engine.log"
    log.write_text(f"loading\n{line}\n")
    report = crash_report(-6, log)
    assert report.cause == "it ran out of memory"
    assert "smaller context" in report.advice
