"""The crowd once more, at llama.cpp with the tiny model: whoever stays gets the text that is said alone."""

from pathlib import Path

import pytest

from app.inference.supervisor import Supervisor
from backends.protocol import DraftMode, EngineOptions
from tests.llama.test_engine import EXACT
from tests.server.conftest import SECONDS, serve
from tests.server.crowd import PATH, Visit, visit_all, wait_until_free

NUM_VISITS, NUM_PROMPTS = 96, 8


@pytest.mark.parametrize("draft", [DraftMode.OFF, DraftMode.LOOKUP])
def test_a_crowd_gets_what_each_would_get_alone(tiny: Path, tmp_path: Path, draft: DraftMode) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    options = EngineOptions(parallel=8, context=1024, draft=draft, **EXACT)  # type: ignore[arg-type]
    handle = supervisor.load("tiny", tiny, options)
    with serve(supervisor) as port:
        handle.wait_ready(SECONDS)
        bodies = [
            {"prompt": list(range(20 + 9 * n, 60 + 10 * n)), "temperature": 0, "max_tokens": 24, "ignore_eos": True}
            for n in range(NUM_PROMPTS)
        ]
        alone = [port.client.post(PATH, json=body).json()["choices"][0]["text"] for body in bodies]
        visits = [Visit(bodies[n % NUM_PROMPTS], alone[n % NUM_PROMPTS]) for n in range(NUM_VISITS)]
        assert visit_all(port, visits, seed=3) > NUM_VISITS / 2
        wait_until_free(handle)
