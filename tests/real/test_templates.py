"""Every real chat template there is renders what transformers renders, or a chat that transformers refuses."""

from pathlib import Path

import pytest

from app.inference.supervisor import Supervisor
from backends.llama.chat_jobs import Template
from backends.protocol import GREEDY, DraftMode, EngineOptions, Finish, Generate, Message, Output
from tests.bench import templates
from tests.bench.templates import UNEXPLAINED, Real
from tests.inference.conftest import SECONDS, Answer
from tests.real import things
from tests.real.chats import CHATS

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def real_templates() -> list[Real]:
    return list(templates.real_templates())


def test_every_template_renders_every_chat_as_transformers_does(real_templates: list[Real]) -> None:
    faults, num_equal = [], 0
    for real in real_templates:
        template = Template(real.source, real.tokens).unpack()
        form = templates.form_of(template)
        for name, it in CHATS.items():
            verdict = templates.judge(real, template, form, it)
            num_equal += verdict.kind == "equal"
            if verdict.kind == "refused" or verdict.why == UNEXPLAINED:
                faults.append(f"{real.name}: {name}: {verdict.kind}: {verdict.why}")
    assert not faults
    assert len(real_templates) >= 75
    assert num_equal > 0.9 * len(real_templates) * len(CHATS)


def test_no_template_loses_what_people_wrote(real_templates: list[Real]) -> None:
    faults = []
    for real in real_templates:
        template = Template(real.source, real.tokens).unpack()
        form = templates.form_of(template)
        for name, it in CHATS.items():
            faults += [f"{real.name}: {name}: {lost}" for lost in templates.lost_origins(template, form, it)]
    assert not faults


def test_a_base_model_chats_in_a_plain_dialogue_and_stops(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    try:
        handle = supervisor.load("gemma", things.gemma(), EngineOptions(context=1024, draft=DraftMode.OFF))
        handle.wait_ready(SECONDS)
        ready = handle.snapshot.ready
        assert ready
        assert not ready.has_chat_template
        answer = Answer()
        chat = Message("system", "You are a helpful assistant."), Message("user", "What is the capital of France?")
        handle.submit(Generate(chat, max_tokens=60, sampling=GREEDY), answer)
        answer.wait()
    finally:
        supervisor.close()
    assert isinstance(answer.last, Output)
    assert answer.last.finish is Finish.STOP
    assert "Paris" in answer.text
    assert "User:" not in answer.text
    assert answer.text == answer.text.strip()
