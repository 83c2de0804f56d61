"""`slipstream plan`: a table for a person, one object for a program."""

import json
from pathlib import Path

from tests.cli.test_commands import slipstream
from tests.llama.tiny_models import write_sliding


def test_a_plan_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    file = write_sliding(tmp_path / "tiny.gguf")
    result = slipstream("plan", str(file), "--context", "2048", "--kv", "bf16", "--json")
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert plan["verdict"]["fits"] == "fits"
    assert plan["context"]["tokens"] == 2048
    ram = plan["devices"][0]
    assert ram["total_bytes"] == sum(
        ram[part] for part in ram if part.endswith("_bytes") and part[:2] not in ("to", "us")
    )
    assert abs(ram["compute_bytes"] - plan["confirmed"]["compute_bytes"]["RAM"]) < 200_000
    assert plan["confirmed"]["cache_bytes"] > 0


def test_what_has_no_plan_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"no model")
    result = slipstream("plan", str(tmp_path / "m.gguf"))
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
