"""Every real chat template there is renders what transformers renders, or a chat that transformers refuses."""

import pytest

from backends.llama.compiled import Template
from tests.bench import templates
from tests.bench.templates import UNEXPLAINED, Real
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
