"""`slipstream plan`: a table for a person, one object for a program."""

import json
import re
from pathlib import Path

import pytest

from app.command_line import execute
from app.inference import machine_rates, planning
from tests.cli.test_commands import slipstream
from tests.llama import quick_rates
from tests.llama.tiny_models import write_sliding


def test_a_plan_is_told_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_rates, "MEASURE", f"{quick_rates.__name__}:measure")
    file = write_sliding(tmp_path / "tiny.gguf")
    code = execute(["plan", str(file), "--context", "2048", "--kv", "bf16", "--json"])
    result = capsys.readouterr()
    assert code == 0, result.err
    plan = json.loads(result.out)
    assert plan["rates_are_measured"]
    assert plan["tokens_per_second"] > 0
    assert plan["verdict"]["fits"] == "fits"
    assert plan["context"]["tokens"] == 2048
    assert plan["context"]["tokens_at_load"] == 512
    ram = plan["devices"][0]
    assert ram["total_bytes"] == sum(
        ram[part] for part in ram if part.endswith("_bytes") and part[:2] not in ("to", "us")
    )
    assert abs(ram["compute_bytes"] - plan["confirmed"]["compute_bytes"]["RAM"]) < 200_000
    assert plan["confirmed"]["cache_bytes"] > 0


def test_whether_the_cache_grows_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_sliding(tmp_path / "tiny.gguf")
    for grows, sentence in (
        ("on", "The KV cache begins with place for 512 tokens, and grows with the conversations up to this."),
        ("off", "All of the KV cache is allocated at the load."),
    ):
        assert execute(["plan", str(file), "--context", "2048", "--kv-grow", grows, "--no-confirm"]) == 0
        assert sentence in capsys.readouterr().out.splitlines()


def test_its_sum_is_what_is_told_of_it_while_it_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_sliding(tmp_path / "tiny.gguf")
    assert execute(["plan", str(file), "--no-confirm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head, ram = (re.split(r"  +", line.strip()) for line in lines[2:4])
    (loaded,) = (line for line in lines if "slipstream ps" in line)
    gigabytes = float(loaded.removesuffix(" GB RAM.").rpartition(" ")[2])
    mebibytes = float(ram[head.index("UP TO")].removesuffix(" MiB").replace(",", ""))
    assert abs(gigabytes - mebibytes * 2**20 / 1e9) < 0.06


def test_what_has_no_plan_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"no model")
    result = slipstream("plan", str(tmp_path / "m.gguf"))
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_machine_too_slow_to_be_measured_has_its_plan_without_a_speed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_sliding(tmp_path / "tiny.gguf")
    monkeypatch.setattr(machine_rates, "LIMIT_SECONDS", 0.0)
    monkeypatch.setattr(planning, "CHILD_SECONDS", 0.0)
    monkeypatch.setattr(planning, "has_gpu_library", lambda: False)
    assert execute(["plan", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Fits in RAM")
    why = "The child process for “measure” took longer than 0 s and was ended."
    assert f"Speed: not measured. {why}" in lines
    assert f"llama.cpp's own figures: not known. {why}" in lines
    assert execute(["plan", str(file), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["tokens_per_second"], plan["rates_are_measured"], plan["rates_problem"]) == (None, False, why)
    assert (plan["confirmed"], plan["confirmation_problem"]) == (None, why)
