"""/metrics has the machine and the engines from where the window has them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.server.llama_server.machine_metrics import machine_metrics
from app.telemetry import EngineFigures, Gpu, Host, Sample
from app.telemetry.finding import Finding, Kind, Remedy
from tests.ui.stage import StageServices, entry

CARD = Gpu('RTX "4090"', "test", used=7, total=9, watts=210.5, throttle="too hot")
ENGINE = EngineFigures("M", "CUDA0", answer_rate=52.5, acceptance=0.75)
HOT = Finding("M", Kind.THROTTLED, "It is hot.", Remedy.LOOK)


def lines(sample: Sample) -> list[str]:
    return [line for metric in machine_metrics(sample) for line in metric.lines() if not line.startswith("#")]


def test_what_is_known_has_a_line_and_what_is_not_has_none() -> None:
    told = lines(Sample(1.0, Host(1, 2, 3), (CARD,), (ENGINE,), (HOT,)))
    assert told == [
        "slipstream_ram_used_bytes 1",
        "slipstream_ram_total_bytes 2",
        "slipstream_ram_own_bytes 3",
        r'slipstream_gpu_memory_used_bytes{gpu="0",name="RTX \"4090\""} 7',
        r'slipstream_gpu_memory_total_bytes{gpu="0",name="RTX \"4090\""} 9',
        r'slipstream_gpu_power_watts{gpu="0",name="RTX \"4090\""} 210.5',
        r'slipstream_gpu_throttled{gpu="0",name="RTX \"4090\"",reason="too hot"} 1',
        'slipstream_answer_tokens_per_second{model="M"} 52.5',
        'slipstream_draft_accepted_ratio{model="M"} 0.75',
        'slipstream_finding{model="M",kind="throttled"} 1',
    ]
    assert lines(Sample(1.0)) == []
    assert not [line for line in lines(Sample(1.0, gpus=(replace(CARD, throttle=""),))) if "throttled" in line]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, [entry("Quick")])
    yield result
    result.close()


def test_a_scrape_is_a_look_and_leaves_nobody_watching(services: StageServices) -> None:
    url = services.start_server(port=0)
    services.load_model(services.stage_store.entries[0]).wait_ready(60)
    told = httpx.get(f"{url}/metrics", timeout=60).text
    assert "\nslipstream_ram_total_bytes " in told
    assert '\nslipstream_memory_bytes{model="stage/quick"} ' in told
    assert services.telemetry._num_watchers == 0
