"""Templates as they are in the world refuse, drop and bend turns: a chat is made to fit, and else rendered as it is."""

from collections.abc import Iterator

import pytest

from backends.llama.chat_format import FIRST_WORDS
from backends.llama.template import ChatTemplate
from backends.sandbox.sandbox import Sandbox
from tests.real.chats import CHATS, TOKENS, as_transformers, chat

NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}[{{ m.role }}]{{ m.content | trim }}{% endfor %}"
    "{% if add_generation_prompt %}[model]{% endif %}"
)
DEAF = (
    "{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[model]{% endif %}"
)
FIRST_ONLY = (
    "{% if messages[0].role == 'system' %}[system]{{ messages[0].content }}{% set messages = messages[1:] %}{% endif %}"
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System message must be first') }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[model]{% endif %}"
)
FILLED = (
    "{% for m in messages %}{% if not m.content %}{{ raise_exception('A message must have content') }}{% endif %}"
    "[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[model]{% endif %}"
)
GENERATION = (
    "{%- for m in messages -%}{%- if m.role == 'assistant' -%}[assistant]{% generation %}{{ m.content }}{{ eos_token }}"
    "{% endgeneration %}{%- else -%}[{{ m.role }}]{{ m.content }}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}[model]{%- endif -%}"
)
PARTS = (
    "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %}[model]{% endif %}"
)
FORGETFUL = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}A:"
TOOLS = "{% for t in tools %}{{ t }}{% endfor %}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[model]"
OPTIONS = (
    "{% set known = dict(a='<é>', b=[1, 2]) %}{{ known | tojson }}{{ known | tojson(indent=2, sort_keys=true) }}"
    "{{ known | tojson(ensure_ascii=true, separators=(',', ':')) }}{{ 'n' if messages[0].name is not defined }}"
    "{{ 'p' if sep_token is not defined }}{{ pad_token }}{% set ns = namespace(x=1) %}{{ ns.x }}"
    "{{ strftime_now('%Y') }}"
    "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}{{ m | tojson }}{% endfor %}"
    "{% generation %}{% set ns.x = 2 %}{% set inner = 3 %}{{ ns.x }}{% endgeneration %}{{ inner is defined }}"
)


class Model:
    """A template with its sandbox, tried as at the load."""

    def __init__(self, source: str):
        self.source = source
        self._sandbox = Sandbox()
        self._template = ChatTemplate(source, TOKENS)
        self.notes = self._template.probe(self._sandbox)

    def __call__(self, *turns: str, continues: bool = False, tracked: bool = False) -> str:
        messages = chat(*turns).messages
        return self._template.render(messages, self._sandbox, continues=continues, tracked=tracked).text

    def close(self) -> None:
        self._sandbox.close()


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    model = Model(request.param)
    yield model
    model.close()


@pytest.mark.parametrize("model", [NO_SYSTEM], indirect=True)
def test_a_system_text_goes_where_the_template_takes_it(model: Model) -> None:
    assert model("system: Be brief.", "user: Hi") == "<s>[user]Be brief.\n\nHi[model]"
    assert len(model.notes) == 1
    assert "no system prompt" in model.notes[0]


@pytest.mark.parametrize("model", [DEAF], indirect=True)
def test_a_system_text_that_would_be_dropped_is_not(model: Model) -> None:
    assert model("system: Be brief.", "user: Hi") == "[user]Be brief.\n\nHi[model]"
    assert "no system prompt" in model.notes[0]


@pytest.mark.parametrize("model", [NO_SYSTEM], indirect=True)
def test_a_chat_goes_on_after_an_answer_that_was_stopped_empty(model: Model) -> None:
    """The window drops the answer, another program may not: both leave a person twice in a row."""
    assert model("user: Hi", "user: Are you there?") == "<s>[user]Hi\n\nAre you there?[model]"
    assert (
        model("user: Hi", "assistant: ", "user: Are you there?") == "<s>[user]Hi[assistant][user]Are you there?[model]"
    )
    assert model("assistant: Welcome.", "user: Hi") == "<s>[user][assistant]Welcome.[user]Hi[model]"
    assert model("system: Be brief.", "assistant: Welcome.", "user: Hi").startswith("<s>[user]Be brief.[assistant]Welc")


@pytest.mark.parametrize("model", [FIRST_ONLY], indirect=True)
def test_a_later_system_text_goes_before_the_next_question(model: Model) -> None:
    assert model.notes == ()
    text = model("system: Be brief.", "user: Hi", "assistant: Ho", "system: In French.", "user: Go")
    assert text == "[system]Be brief.[user]Hi[assistant]Ho[user]In French.\n\nGo[model]"
    assert model("system: Be brief.", "system: Be kind.", "user: Hi") == "[system]Be brief.\n\nBe kind.[user]Hi[model]"
    assert model("user: Hi", "system: In French.") == "[user]Hi[user]In French.[model]"


@pytest.mark.parametrize("model", [FILLED], indirect=True)
def test_empty_turns_are_left_out_where_they_are_refused(model: Model) -> None:
    assert model("user: Hi", "assistant: ", "user: Are you there?") == "[user]Hi[user]Are you there?[model]"
    assert model("user: Hi", "assistant: Hel", continues=True) == "[user]Hi[assistant]Hel"
    assert FIRST_WORDS not in model("assistant: Welcome.", "user: Hi"), "it takes an answer first"


@pytest.mark.parametrize("model", [PARTS], indirect=True)
def test_content_comes_in_parts_where_they_are_expected(model: Model) -> None:
    assert model("system: Be brief.", "user: Hi") == "[system]Be brief.[user]Hi[model]"
    assert model("user: Hi", "assistant: Hel", continues=True) == "[user]Hi[assistant]Hel"
    assert model("user: <|im_end|>", tracked=True) == "[user]<|im_end|>[model]"
    for name, it in CHATS.items():
        turns = [f"{message.role}: {message.content}" for message in it.messages]
        assert model(*turns, continues=it.continues) == as_transformers(PARTS, it, as_parts=True), name


@pytest.mark.parametrize("model", [TOOLS], indirect=True)
def test_a_template_for_tools_gets_an_empty_list_of_them(model: Model) -> None:
    assert model("user: Hi") == "[user]Hi[model]"


@pytest.mark.parametrize("model", [GENERATION], indirect=True)
def test_a_template_that_marks_generations_is_a_template(model: Model) -> None:
    assert model("user: Hi", "assistant: Ho", "user: Go") == "[user]Hi[assistant]Ho</s>[user]Go[model]"
    assert model("user: Hi", "assistant: Hel", continues=True) == "[user]Hi[assistant]Hel"


@pytest.mark.parametrize("model", ["{{ raise_exception('Never') }}"], indirect=True)
def test_a_template_that_takes_nothing_is_said_at_the_load(model: Model) -> None:
    assert model.notes == ("The model's chat template could not be tried: Never.",)


IGNORING = "[user]Say hi[model]", "{% for m in messages %}[{{ m.role }}]{% endfor %}", "{{ strftime_now('%Y') }}"


@pytest.mark.parametrize("model", IGNORING, indirect=True)
def test_a_template_that_leaves_out_what_people_write_is_said_at_the_load(model: Model) -> None:
    (note,) = model.notes
    assert note.startswith("The model's chat template leaves out what people write, so its chats cannot work: ")


@pytest.mark.parametrize("model", ["{% for m in messages %}{{ m.content | upper }}{% endfor %}"], indirect=True)
def test_a_template_may_write_it_in_capitals(model: Model) -> None:
    assert model.notes == ()


@pytest.mark.parametrize(
    "model", ["{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}A:"], indirect=True
)
def test_what_a_template_drops_is_continued_all_the_same(model: Model) -> None:
    assert model("user: Hi", "assistant: <think>so</think>", continues=True) == "HiA:<think>so</think>"


ALIKE = {"alternating": NO_SYSTEM, "deaf": DEAF, "one system": FIRST_ONLY, "filled": FILLED, "generation": GENERATION}


@pytest.mark.parametrize("model", [*ALIKE.values(), OPTIONS], indirect=True, ids=[*ALIKE, "options"])
def test_what_transformers_renders_is_rendered_alike(model: Model) -> None:
    num_compared = 0
    for name, it in CHATS.items():
        if model.source in (DEAF, FIRST_ONLY) and any(message.role == "system" for message in it.messages):
            continue  # it would leave out what the system says
        try:
            expected = as_transformers(model.source, it)
        except Exception:  # it may raise anything
            continue
        turns = [f"{message.role}: {message.content}" for message in it.messages]
        assert model(*turns, continues=it.continues) == expected, name
        num_compared += 1
    assert num_compared >= 12
