"""SmolLM2 is quantized, measured and asked again, by the commands as a person types them."""

import json
from pathlib import Path

from app.inference.supervisor import Supervisor
from app.lab.text import SHIPPED_CHOICES
from backends.protocol import EngineOptions
from tests.cli.test_commands import slipstream
from tests.inference.conftest import SECONDS
from tests.real.test_main_roads import CAPITAL, chat

TEXT = """The lighthouse stood at the end of the long stone pier. Every evening an old man climbed its ninety steps,
lit the lamp, and looked out over the grey water. Ships passed far away, and their captains knew the light. In winter
the waves broke over the wall and the wind sang in the iron railing, but the lamp never went out in forty years.
"""


def test_quantized_to_q4_k_m_it_is_measured_and_still_knows_the_capital(
    own_supervisor: Supervisor, smollm2: Path, tmp_path: Path
) -> None:
    small, text = tmp_path / "small.gguf", tmp_path / "text.txt"
    made = slipstream("quantize", str(smollm2), str(small), "--type", "Q4_K_M", "--allow-requantize", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["bytes"] == small.stat().st_size
    text.write_text(TEXT * 2, "utf-8")
    items = tmp_path / "items.txt"
    items.write_text("\n".join(SHIPPED_CHOICES.read_text("utf-8").split("\n")[:60]), "utf-8")  # ten of them
    how = ("--text", str(text), "--choices", str(items), "--context", "64", "--card", "--json")
    measured = slipstream("evaluate", str(small), "--against", str(smollm2), *how, SLIPSTREAM_HOME=str(tmp_path))
    assert measured.returncode == 0, measured.stderr
    card = json.loads(measured.stdout)
    assert 0 < card["evaluation"]["kld"]["mean"] < 0.5
    assert 1 < card["evaluation"]["perplexity"] < 60
    assert card["evaluation"]["choices"]["num_items"] == 10
    assert card["speed"]["decode_per_second"] > 0
    handle = own_supervisor.load("small", small, EngineOptions(context=512))
    handle.wait_ready(SECONDS)
    assert "Paris" in chat(handle, CAPITAL).text
