"""Many requests from 64 clients, of which a third leave: right texts, free cells, and nothing that grows."""

import itertools
from pathlib import Path

import psutil
import pytest

from app.inference.supervisor import Supervisor
from backends.fake.loader import answer_to
from backends.protocol import EngineOptions
from tests.server.conftest import SECONDS, serve
from tests.server.crowd import Holdings, Visit, assert_stays, visit_all, wait_until_free

NUM_FIRST = 128  # requests after which nothing may grow any more
NUM_BYTES = 48  # of each answer, which ends behind its last “é”
MAX_GROWTH = 6 << 20


def visit(number: int) -> Visit:
    question = f"Question {number}"
    body = {"prompt": f"user: {question}\n", "max_tokens": NUM_BYTES, "draft": number % 2 == 0}
    return Visit(body, answer_to(question)[:NUM_BYTES].decode())


@pytest.mark.parametrize("num_rest", [172, pytest.param(1000, marks=pytest.mark.real)])
def test_many_requests_leave_nothing_behind(tmp_path: Path, num_rest: int) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    # what the prompt cache keeps on purpose would look like a leak
    options = EngineOptions(parallel=32, context=16_384, prompt_cache_ram=0)
    handle = supervisor.load("fake", Path("2ms"), options, backend="fake")
    visits = [visit(number) for number in range(NUM_FIRST + num_rest)]
    with serve(supervisor) as port:
        handle.wait_ready(SECONDS)
        engine = psutil.Process(handle.pid)
        assert visit_all(port, visits[:NUM_FIRST], seed=1) > NUM_FIRST / 2
        seeds = itertools.count(2)

        def visit_rest() -> None:
            assert visit_all(port, visits[NUM_FIRST:], seed=next(seeds)) > num_rest / 2

        def holdings() -> Holdings:
            wait_until_free(handle)
            return Holdings.of(engine)

        assert_stays(holdings, visit_rest, MAX_GROWTH)
        port.until_idle("fake")
