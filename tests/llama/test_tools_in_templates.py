"""Tools, calls and their results reach the model: by the template where it knows them, by our words where not."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backends.chat.form import ReasoningForm, ToolForm
from backends.llama.chat_format import ChatFormat
from backends.llama.chat_turns import shown_tools
from backends.llama.template import ChatTemplate
from backends.messages import Message, Tool, ToolCall
from backends.sandbox.sandbox import Sandbox
from tests.real.chats import TOKENS

LIKE_HERMES = (
    "{% if tools %}[system]{% for tool in tools %}{{ tool | tojson }}{% endfor %}<tool_call>{% endif %}"
    "{% for m in messages %}[{{ m.role }}]"
    "{% if m.reasoning_content and loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}"
    "{% for call in m.tool_calls %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)
LIKE_LLAMA = (
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}[{{ m.role }}]"
    "{% if m.tool_calls %}{% if m.tool_calls | length > 1 %}{{ raise_exception('one at a time') }}{% endif %}"
    '{% set f = m.tool_calls[0].function %}{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}'
    "{% else %}{{ m.content }}{% endif %}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
LIKE_MISTRAL = (
    "{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}{% for m in messages %}"
    "{% if m.tool_calls %}{% for c in m.tool_calls %}"
    "{% if c.id | length != 9 %}{{ raise_exception('bad id') }}{% endif %}"
    "[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments }}{% endfor %}</s>{% elif m.role == 'tool' %}"
    "{% if m.tool_call_id | length != 9 %}{{ raise_exception('bad id') }}{% endif %}"
    "[TOOL_RESULTS]{{ m.content }}[/TOOL_RESULTS]{% else %}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}"
)
DESCRIBED = (
    "{% for t in tools or [] %}{{ t.function.name }}: {{ t.function.description }}"
    "{% for name, p in t.function.parameters.properties.items() %}{{ ' ' + name + p.description }}{% endfor %}"
    "{% endfor %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls %}<tool_call>"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</tool_call>'
    "{% endfor %}{% endfor %}"
)
PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}[assistant]"
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role not in ('user', 'assistant') %}{{ raise_exception('no such role') }}"
    "{% endif %}"
    "[{{ m.role }}]{{ m.content }}[end]{% endfor %}[assistant]"
)
TOOL = Tool("weather", "Tells it.", '{"type": "object", "properties": {"city": {"type": "string"}}}')
CALLS = (ToolCall("call_1", "weather", '{"city": "Rome"}'), ToolCall("call_2", "weather", '{"city": "<b>"}'))
ASK = Message("user", "How is it?")
CHAT = (
    ASK,
    Message("assistant", "", CALLS, reasoning="I must look."),
    Message("tool", "sunny", (), "call_1"),
    Message("tool", "wet", (), "call_2"),
)


class Model:
    def __init__(self, source: str | None):
        self._sandbox = Sandbox()
        self._template = ChatTemplate(source, TOKENS)
        self._template.probe(self._sandbox)
        self.form = self._template.form

    def __call__(self, *messages: Message, tools: tuple[Tool, ...] = (), **options: object) -> str:
        rendered = self._template.render(messages, self._sandbox, tools=tools, options=tuple(options.items()))
        tracked = self._template.render(
            messages, self._sandbox, tools=tools, options=tuple(options.items()), tracked=True
        )
        assert tracked.text == rendered.text
        self.said = [tracked.text[begin:end] for begin, end in tracked.said or ()]
        return rendered.text

    def close(self) -> None:
        self._sandbox.close()


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    model = Model(request.param)
    yield model
    model.close()


@pytest.mark.parametrize("model", [LIKE_HERMES], indirect=True)
def test_a_template_that_knows_tools_is_given_them(model: Model) -> None:
    form = model.form.tools
    assert (form.format, form.takes_tools, form.takes_calls, form.takes_results) == ("hermes", True, True, True)
    text = model(*CHAT, tools=(TOOL,))
    assert json.dumps(json.loads(TOOL.parameters)) in text
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>' in text
    assert "[tool]sunny[end][tool]wet[end][assistant]" in text
    assert "I must look." not in text


@pytest.mark.parametrize("model", [LIKE_HERMES], indirect=True)
def test_what_the_template_does_with_thoughts_is_known(model: Model) -> None:
    form = model.form.reasoning
    assert form == ReasoningForm("think", "reasoning_content", switches=("enable_thinking",))
    assert model(ASK, enable_thinking=False).endswith("<think>\n\n</think>\n\n")
    assert model(ASK).endswith("[assistant]")


@pytest.mark.parametrize("model", [LIKE_LLAMA], indirect=True)
def test_calls_come_one_by_one_where_the_template_wants_it(model: Model) -> None:
    assert model.form.tools.format == "llama"
    text = model(*CHAT, tools=(TOOL,))
    assert text.index('"Rome"') < text.index("sunny") < text.index('"<b>"') < text.index("wet")


@pytest.mark.parametrize("model", [LIKE_MISTRAL], indirect=True)
def test_ids_of_others_become_such_as_the_template_takes(model: Model) -> None:
    assert model.form.tools.format == "mistral"
    assert not model.form.tools.wants_objects
    assert model(*CHAT, tools=(TOOL,)) == model(*CHAT, tools=(TOOL,))
    assert '[ARGS]{"city": "Rome"}' in model(*CHAT)


@pytest.mark.parametrize("model", [DESCRIBED], indirect=True)
def test_descriptions_that_a_template_takes_for_granted_are_empty(model: Model) -> None:
    assert model.form.tools.wants_descriptions
    assert "weather: Tells it. city" in model(ASK, tools=(TOOL,))


@pytest.mark.parametrize("properties", ["[]", '["city"]', '"city"', "null", "true"])
def test_properties_that_are_no_object_are_shown_as_they_are(properties: str) -> None:
    form = ChatFormat(tools=ToolForm(takes_tools=True, wants_descriptions=True))
    shown = shown_tools([replace(TOOL, parameters=f'{{"properties": {properties}}}')], form)
    assert shown is not None
    assert shown[0]["function"]["parameters"] == {"properties": json.loads(properties)}


@pytest.mark.parametrize("model", [PLAIN, NO_SYSTEM, None], indirect=True)
def test_a_template_without_tools_gets_them_in_words(model: Model) -> None:
    assert model.form.tools.format == "generic"
    text = model(Message("system", "Be kind."), *CHAT, tools=(TOOL,))
    for part in ("Be kind.", TOOL.name, TOOL.description, TOOL.parameters, "<tool_call>", "sunny", "wet", "How is it?"):
        assert part in text
    assert '{"name": "weather", "arguments": {"city": "Rome"}}' in text
    assert "tool]" not in text
    assert text.index("sunny") < text.index("wet")


@pytest.mark.parametrize("model", [PLAIN, LIKE_HERMES], indirect=True)
def test_what_tools_and_models_wrote_is_told_from_the_templates_marks(model: Model) -> None:
    call = replace(CALLS[0], arguments='{"city": "<|x|>"}')
    tool = replace(TOOL, description="<|y|>")
    result = Message("tool", "<|z|>", (), "call_1")
    text = model(ASK, Message("assistant", "", (call,)), result, tools=(tool,))
    for marker in ("<|x|>", "<|y|>", "<|z|>"):
        assert text.count(marker) == sum(said.count(marker) for said in model.said) == 1
    assert not any("<tool_call>" in said for said in model.said if "city" in said)


@pytest.mark.parametrize("model", [PLAIN], indirect=True)
def test_a_mark_of_the_format_within_a_call_is_not_read_as_one(model: Model) -> None:
    call = replace(CALLS[0], arguments='{"city": "</tool_call>"}')
    model(ASK, Message("assistant", "", (call,)), ASK)
    assert any(said.count("</tool_call>") == 2 for said in model.said)
