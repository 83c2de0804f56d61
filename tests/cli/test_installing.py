"""`pull`, `install`, `convert` and `quantize` as a person types them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.paths import Paths
from tests.cli.test_commands import SECONDS, slipstream
from tests.hub.double import HubDouble, HubRepo
from tests.jobs.installing import checkpoint_repo
from tests.library import foreign, gguf_bytes

EXIT_INTERRUPTED = 130


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    checkpoint_repo(folder)
    return folder


@pytest.fixture
def double(hub_double: HubDouble, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> HubDouble:
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    hub_double.add(HubRepo("org/tiny", files))
    hub_double.add(HubRepo("org/whole-GGUF", {f"whole-{kind}.gguf": gguf_bytes.model() for kind in ("Q4_K_M", "Q8_0")}))
    monkeypatch.setenv("HF_ENDPOINT", hub_double.endpoint)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return hub_double


def report(*arguments: str) -> dict[str, Any]:
    result = slipstream(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_install_goes_the_whole_road_and_a_second_time_says_so(double: HubDouble) -> None:
    first = report("install", "org/tiny", "--no-card")
    assert (first["id"], first["quantization"]) == ("org/tiny", "Q4_K_M")
    assert Path(first["path"]).stat().st_size == first["bytes"]
    double.requests.clear()
    again = slipstream("install", "org/tiny", "--no-card")
    assert again.returncode == 0
    assert "is in the library already, as “org/tiny”" in again.stderr
    assert first["path"] in again.stdout
    assert {seen.path.split("/")[1] for seen in double.requests} == {"api"}


def test_the_guide_is_installed_without_a_network_and_a_second_time_says_so(double: HubDouble) -> None:
    told = slipstream("install", "guide")
    assert told.returncode == 0, told.stderr
    assert "slipstream/guide: " in told.stdout
    for step in ("Convert", "Quantize", "Convert the draft", "Add to the library"):
        assert f"slipstream: {step}\n" in told.stderr
    again = slipstream("install", "guide", "--json")
    assert again.returncode == 0
    assert "The guide is in the library already, as “slipstream/guide”." in again.stderr
    document = json.loads(again.stdout)
    assert (document["id"], document["files"], document["quantization"]) == ("slipstream/guide", 2, "Q4_K_M")
    assert double.requests == []
    assert slipstream("install", "guide", "--revision", "v1").returncode == 2
    assert slipstream("pull", "guide").returncode == 2


def test_pull_brings_a_file_as_it_is(double: HubDouble) -> None:
    pulled = report("pull", "org/whole-GGUF/whole-Q8_0.gguf")
    assert Path(pulled["path"]).read_bytes() == gguf_bytes.model()
    assert len(double.downloads()) >= 1


def test_convert_and_quantize_work_on_files(checkpoint: Path, tmp_path: Path) -> None:
    full, small = tmp_path / "full ü.gguf", tmp_path / "small.gguf"
    converted = report("convert", str(checkpoint), str(full), "--type", "f16")
    assert (converted["file"], converted["bytes"]) == (str(full), full.stat().st_size)
    quantized = report("quantize", str(full), str(small), "--type", "Q8_0")
    assert (quantized["type"], quantized["bytes"]) == ("Q8_0", small.stat().st_size)
    assert small.stat().st_size < full.stat().st_size


def test_convert_replaces_a_file_only_when_asked_to(checkpoint: Path, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.odt"
    thesis.write_text("mine")
    refused = slipstream("convert", str(checkpoint), str(thesis))
    assert refused.returncode == 2
    assert f"{thesis} is there already. Name another file, or add --force." in refused.stderr
    assert thesis.read_text() == "mine"
    assert report("convert", str(checkpoint), str(thesis), "--force")["bytes"] == thesis.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pull", "nothing"], 2, "publisher/repo"),
        (["pull", "org/missing"], 1, "org/missing"),
        (["install", "org/whole-GGUF:Q9_Z"], 1, "Name one of these after a colon: Q4_K_M, Q8_0"),
        (["convert", "no such folder", "x.gguf"], 2, "no such folder"),
        (["quantize", "no such file", "x.gguf"], 2, "no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(double: HubDouble, arguments: list[str], code: int, words: str) -> None:
    assert double.endpoint
    result = slipstream(*arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(double: HubDouble) -> None:
    throttle = double.fail(on="/cdn/*", bytes_per_second=500_000)
    command = [sys.executable, "-m", "app", "install", "org/tiny", "--no-card"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        installs = Paths.from_environment().models / ".installs"
        end = time.monotonic() + SECONDS
        while not list(installs.glob("*/download/tiny/*.part")) and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == EXIT_INTERRUPTED
    assert "the same command goes on from here" in errors
    assert "Traceback" not in errors
    assert len(list(installs.iterdir())) == 1
    double.faults.remove(throttle)
    assert report("install", "org/tiny", "--no-card")["id"] == "org/tiny"
    assert list(installs.iterdir()) == []


def test_what_another_application_has_is_named_where_it_lies(double: HubDouble, tmp_path: Path) -> None:
    blob = foreign.ollama(tmp_path / "ollama", "whole:latest", gguf_bytes.model())
    pulled = slipstream("pull", "org/whole-GGUF/whole-Q8_0.gguf", OLLAMA_MODELS=str(tmp_path / "ollama"))
    assert pulled.returncode == 0, pulled.stderr
    assert "is in the library already" in pulled.stderr
    assert str(blob) in pulled.stdout
    assert not [seen for seen in double.requests if "/resolve/" in seen.path]
