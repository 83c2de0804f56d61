"""The application asked to end while something hangs: always in time, and nothing is left."""

import signal
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from app.guide import GUIDE_DIR
from app.jobs.convert import convert_checkpoint
from tests.e2e.serving import Serving, serving
from tests.patience import PATIENCE

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process"),
    pytest.mark.skipif(not (GUIDE_DIR / "model.safetensors").exists(), reason="the guide's weights are not here"),
]


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    convert_checkpoint(GUIDE_DIR, folder / "guide.gguf", "f16", logs=folder)
    return folder / "guide.gguf"


def assert_ends(app: Serving, children: list[psutil.Process], number: int = signal.SIGTERM) -> None:
    app.ask_to_end(number)  # in how many seconds, tests.bench.attacks.stopped measures
    assert not [child for child in children if child.is_running()]
    assert "Traceback" not in app.log.read_text()


def abandon_forty(app: Serving) -> None:
    body = {"model": "guide", "prompt": "word " * 2000, "max_tokens": 5}
    for _ in range(40):
        app.abandon("/v1/completions", body)
    time.sleep(0.5)  # all are read by then, or not: both must end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_port_ends_with_a_stopped_engine_and_forty_abandoned_requests(
    guide: Path, tmp_path: Path, number: int
) -> None:
    with serving(tmp_path / "home", guide) as app:
        engines = app.stop_engines()
        assert engines
        abandon_forty(app)
        assert_ends(app, engines, number)


def test_the_window_ends_with_a_stopped_engine_and_an_open_stream(guide: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "home", guide, window=True) as app:
        ended = open_stream(app)
        engines = app.stop_engines()
        assert_ends(app, engines)
        assert ended.wait(PATIENCE)


def test_a_healthy_engine_writes_its_prompts_before_the_end(guide: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, guide) as app:
        question = "Tell me about Slipstream, the port and the prompt cache. " * 20
        httpx.post(f"{app.url}/v1/completions", json={"prompt": question, "max_tokens": 3}, timeout=360.0)
        assert_ends(app, app.engines())
        assert app.process.returncode == 0
    assert list(home.rglob("*.state"))


def open_stream(app: Serving) -> threading.Event:
    """One that runs; the event is set when it has ended."""
    begun, ended = threading.Event(), threading.Event()

    def read() -> None:
        body = {"prompt": "Hello", "max_tokens": 4000, "ignore_eos": True, "stream": True}
        try:
            with httpx.stream("POST", f"{app.url}/v1/completions", json=body, timeout=360.0) as response:
                for _ in response.iter_lines():
                    begun.set()
        except httpx.HTTPError:
            pass
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    assert begun.wait(PATIENCE)
    return ended
