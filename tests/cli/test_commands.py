"""The commands as a person types them: what they print, where, and with which exit code."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.serve import wait
from app.guide import GUIDE_DIR
from app.inference.engine_handle import EngineHandle
from app.paths import Paths
from app.server import Server
from app.server.keys import Keys

SECONDS = 360


def slipstream(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`slipstream serve`, once it listens."""
    command = [sys.executable, "-m", "app", "serve", "--port", str(free_port()), *arguments]
    environment = {**os.environ, **environment}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Slipstream is listening on http://127.0.0.1:"), process.stderr.read()  # type: ignore[union-attr]
            yield process, line.split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SECONDS)


class NoModels:
    def names(self) -> list[str]:
        return []

    def engine(self, name: str | None) -> EngineHandle:
        raise AssertionError(name)

    def header(self, _: str) -> dict[str, Any]:
        return {}

    def loading(self) -> float | None:
        return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    result = slipstream("demo", "--json")
    assert result.returncode == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_the_demo_walks_the_whole_road_and_prints_one_object(demo: dict[str, Any]) -> None:
    assert demo["convert"]["bytes"] > 10_000_000
    assert demo["convert"]["seconds"] > 0
    assert demo["quantize"]["type"] == "Q4_K_M"
    assert demo["quantize"]["bytes"] < demo["convert"]["bytes"] / 2
    assert demo["load"]["device"] == "CPU" or demo["memory"]["vram_bytes"] > 0
    assert (demo["load"]["kv_type_k"], demo["load"]["kv_type_v"]) == ("q8_0", "q8_0")
    assert demo["memory"]["rss_bytes"] > 10_000_000
    assert demo["memory"]["vram_bytes"] is None or demo["memory"]["vram_bytes"] > 0


def test_the_demos_second_turn_reuses_the_first_and_drafts_are_accepted(demo: dict[str, Any]) -> None:
    first, second = demo["turns"]
    assert first["timings"]["cache_n"] == 0
    assert second["timings"]["cache_n"] >= first["timings"]["prompt_n"]
    assert first["timings"]["draft_accepted_n"] > 0
    assert second["timings"]["draft_accepted_n"] > 0
    assert first["text"] != second["text"]


def test_the_demo_answers_what_the_guide_was_taught(demo: dict[str, Any]) -> None:
    from tests.guide.answers import ANSWERS

    for turn in demo["turns"]:
        assert turn["text"] == ANSWERS[turn["prompt"]]


@pytest.mark.usefixtures("tried_engine")
def test_the_demo_tells_a_story_without_json() -> None:
    result = slipstream("demo")
    assert result.returncode == 0, result.stderr
    assert "converted" in result.stdout
    assert "tokens/s" in result.stdout


def test_without_a_display_the_window_says_so_and_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    result = slipstream()
    assert result.returncode == 1
    assert "no display" in result.stderr
    assert "slipstream demo" in result.stderr


def test_serve_answers_and_ends_politely() -> None:
    with serving() as (process, url):
        assert httpx.get(f"{url}/health").json() == {"status": "ok"}
        assert httpx.get(f"{url}/v1/models").json()["data"] == []
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert "“slipstream install guide” installs the model" in errors  # with nothing to answer, what to do


def test_a_key_that_serve_makes_is_shown_also_where_the_start_then_fails(tmp_path: Path) -> None:
    """It is kept, and the next start makes none: nobody would ever know it."""
    arguments = ("--host", "0.0.0.0", "--port", str(free_port()), "--model", "nothing")
    failed = slipstream("serve", *arguments, SLIPSTREAM_HOME=str(tmp_path))
    assert failed.returncode == 1
    (key,) = re.findall(r"its API key is (\S+)", failed.stderr)
    keys = slipstream("keys", SLIPSTREAM_HOME=str(tmp_path)).stdout
    assert keys.startswith("serve: may use models, created")
    assert "Every request needs a key, those of this machine too." in keys
    found = Keys(Paths.below(tmp_path).keys_file).find(key.encode())
    assert found
    assert found.name == "serve"


def test_serve_ends_with_a_sentence_when_the_port_has_stopped_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(NoModels())
    url = server.start(port=0)
    listener = server._listener
    assert listener
    listener.loop.call_soon_threadsafe(listener.loop.stop)
    assert wait(threading.Event(), server) == 1
    assert f"slipstream: The port {url} stopped by itself" in capsys.readouterr().err
    asked = threading.Event()
    asked.set()
    assert wait(asked, server) == 0


@pytest.mark.parametrize("how", ["file", "environment", "command line"])
def test_serve_takes_its_key_from_where_others_do_not_see_it(how: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-right\n")
    key.chmod(0o600)
    arguments = {"file": ["--api-key-file", str(key)], "command line": ["--api-key", "sk-right"]}.get(how, [])
    environment = {"SLIPSTREAM_API_KEY": "sk-right"} if how == "environment" else {}
    with serving(*arguments, **environment) as (process, url):
        assert httpx.get(f"{url}/v1/models").status_code == 401
        right = {"authorization": "Bearer sk-right"}
        assert httpx.get(f"{url}/v1/models", headers=right).status_code == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert ("can be seen" in errors) == (how == "command line")
    assert "sk-right" not in errors


def test_serve_in_a_folder_with_spaces_and_other_letters_answers_from_a_file(tmp_path: Path) -> None:
    from app.jobs.convert import convert_checkpoint

    model = tmp_path / "mein Modell é 数" / "guide F16.gguf"
    model.parent.mkdir()
    convert_checkpoint(GUIDE_DIR, model, "f16", logs=tmp_path)
    with serving("--model", str(model), "--context", "512") as (_, url):
        body = {"messages": [{"role": "user", "content": "What is Slipstream?"}], "temperature": 0}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=SECONDS).json()
        assert answer["choices"][0]["message"]["content"].startswith("Slipstream is")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["serve", "--model", "nothing"], 1, "nothing"),
        (["serve", "--model", "missing file.gguf"], 1, "missing file.gguf"),
        (["serve", "--model", "tests"], 1, "tests is a folder and no GGUF file"),
        (["serve", "--model", "pyproject.toml"], 1, "pyproject.toml is not a GGUF file"),
        (["serve", "--model", "app/guide"], 1, "app/guide is a checkpoint. Convert it first, with “slipstream convert"),
        (["evaluate", "pyproject.toml"], 1, "pyproject.toml is not a GGUF file"),
        (["serve", "--port", "0"], 2, "--port"),
        (["serve", "--api-key-file", "no such file"], 2, "no such file"),
        (["serve", "--api-key", "two words"], 2, "--api-key"),
        (["serve", "--parallel", "100000"], 2, "--parallel"),
        (["serve", "--gpu-layers", "many"], 2, "--gpu-layers"),
        (["serve", "--kv-type-k", "q3"], 2, "--kv-type-k"),
        (["serve", "--draft", "no such file"], 2, "--draft"),
        (["dance"], 2, "dance"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(arguments: list[str], code: int, words: str) -> None:
    result = slipstream(*arguments)
    assert result.returncode == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_checkpoint_of_the_library_is_not_served_but_told_what_to_do() -> None:
    folder = Paths.from_environment().models / "org" / "tiny" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(b"x")
    result = slipstream("serve", "--model", "org/tiny/checkpoint")
    assert result.returncode == 1
    assert "org/tiny/checkpoint is a checkpoint. Convert it first, with “slipstream convert" in result.stderr


def test_a_file_of_another_name_is_told_from_one_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"GGUF")
    assert "does not end with .gguf" in slipstream("serve", "--model", str(tmp_path / "blob")).stderr


def test_no_key_is_made_for_a_port_that_cannot_be_opened() -> None:
    result = slipstream("serve", "--host", "192.0.2.1")  # TEST-NET-1: of no machine
    assert result.returncode == 2
    assert "192.0.2.1" in result.stderr
    assert "API key" not in result.stderr
    assert json.loads(slipstream("keys", "--json").stdout)["keys"] == []


@pytest.mark.parametrize("content", [b"", b"<html>", b"GGUF" + b"\xff" * 64])
def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "no model.gguf"
    file.write_bytes(content)
    result = slipstream("serve", "--model", str(file))
    assert result.returncode == 1
    assert "no model.gguf" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_named_with_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = slipstream("serve", "--port", str(port))
    assert result.returncode == 1
    assert f"Port {port} is used by another program. Port " in result.stderr


def test_broken_settings_are_set_aside_and_named(tmp_path: Path) -> None:
    config = tmp_path / "home" / "config"
    config.mkdir(parents=True)
    (config / "settings.toml").write_text("theme = [broken")
    result = slipstream("serve", "--model", "nothing", SLIPSTREAM_HOME=str(tmp_path / "home"))
    assert "settings" in result.stderr
    assert list(config.glob("settings.toml.broken-*"))


def test_serve_with_a_window_opens_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    with serving("--window") as (process, url):
        assert httpx.get(f"{url}/health").json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert "Traceback" not in errors
