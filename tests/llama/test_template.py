"""Chat templates are foreign code: they render, or they are refused in a sentence, soon and at no cost to others."""

from collections.abc import Iterator

import pytest

from backends.engine.runner import PromptError
from backends.llama.template import CHATML, ChatTemplate, chat_template
from backends.protocol import FailureKind, Message
from backends.sandbox.sandbox import Sandbox

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
CHAT = (Message("system", "Be brief."), Message("user", "Hi <b>"))


class Renderer:
    """A child for each template, as for each model; the same one for many would keep the first."""

    def __init__(self) -> None:
        self._sandboxes: list[Sandbox] = []

    def __call__(self, source: str | None, chat: tuple[Message, ...] = CHAT, continues: bool = False) -> str:
        self._sandboxes.append(Sandbox())
        return ChatTemplate(source, TOKENS).render(chat, self._sandboxes[-1], continues=continues).text

    def close(self) -> None:
        for sandbox in self._sandboxes:
            sandbox.close()


@pytest.fixture
def render() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.close()


def test_a_template_sees_messages_tokens_and_the_generation_prompt(render: Renderer) -> None:
    turns = "{% for m in messages %}[{{ m.role }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"
    source = "{{ bos_token }}" + turns + "{{ add_generation_prompt }}"
    assert render(source) == "<s>[system]Be brief.</s>[user]Hi <b></s>True"


def test_without_a_template_the_chat_is_a_plain_dialogue_that_ends(render: Renderer) -> None:
    chat = (*CHAT, Message("assistant", " Hello. "), Message("user", "Bye"))
    assert render(None, chat) == "Be brief.\n\nUser:\nHi <b>\n\nAssistant:\nHello.\n\nUser:\nBye\n\nAssistant:\n"
    assert render(None, (*CHAT, Message("assistant", "Hel")), continues=True).endswith("Assistant:\nHel")
    assert "\nUser:" in ChatTemplate(None, TOKENS).stops
    assert ChatTemplate(CHATML, TOKENS).stops == ()


@pytest.mark.parametrize(("known", "is_chatml"), [(("<|im_start|>", "<|im_end|>"), True), (("<|im_end|>",), False)])
def test_without_a_template_but_with_its_markers_the_chat_is_chatml(known: tuple[str, ...], is_chatml: bool) -> None:
    template = chat_template(None, TOKENS, known.__contains__)
    with Sandbox() as sandbox:
        text = template.render(CHAT, sandbox).text
    assert text.endswith("<|im_start|>user\nHi <b><|im_end|>\n<|im_start|>assistant\n") is is_chatml
    assert bool(template.stops) is not is_chatml


def test_loop_controls_and_block_trimming_work_as_in_transformers(render: Renderer) -> None:
    source = "{% for m in messages %}\n    {% if loop.first %}{% continue %}{% endif %}\n{{ m.content }}{% endfor %}"
    assert render(source) == "Hi <b>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ raise_exception.__globals__.os }}",
        "{{ 9 ** 9999 }}",
        "{% for x in range(100000000) %}{% endfor %}",
        "{{ 'x' * 99999999999 }}",
        "{% if %}",
        "{{ nothing.at.all }}",
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages | nosuchfilter }}",
        "{{ 1 // 0 }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x'|center(10**10) }}",
        "{{ '%5000000000d'|format(1) }}",
        "{{ ('x'*100000)*99999 }}",
        "{% set ns = namespace(x='x' * 99) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
        "{{ raise_exception('x' * 5000000) }}",
        "{{ raise_exception(messages|string * 99999) }}",
        "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
        "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
        "{{ " + "[" * 90 + "1" + "]" * 90 + "|length" + "+1" * 60_000 + " }}",
        "x" * 300_000,
    ],
    ids=lambda source: source[:40],
)
def test_what_a_template_may_not_do_is_a_sentence_soon(render: Renderer, source: str) -> None:
    with pytest.raises(PromptError, match="chat template refused this chat") as refusal:
        render(source)
    assert refusal.value.kind is FailureKind.BAD_TEMPLATE
    assert len(str(refusal.value)) < 400
    assert str(refusal.value).isprintable()


def test_origins_cost_no_more_than_a_template_may() -> None:
    """Each letter with its own origin, in a text that is copied for each."""
    source = (
        "{% set ns = namespace(x='') %}{% for c in messages[0].content %}{% set ns.x = ns.x ~ c ~ '-' %}{% endfor %}"
        "{{ ns.x }}"
    )
    with Sandbox() as sandbox:
        template = ChatTemplate(source, TOKENS)
        it = template.render((Message("user", "ab" * 2_000),), sandbox, tracked=True)
        assert it.text.count("-") == 4_000
        assert it.said == tuple((at, at + 1) for at in range(0, 8_000, 2))
        with pytest.raises(PromptError, match=r"longer than 2 seconds|more than 200 MB") as refused:
            template.render((Message("user", "ab" * 100_000),), sandbox, tracked=True)
    assert refused.value.kind is FailureKind.BAD_TEMPLATE


def test_what_is_bad_is_said_when_it_is_tried() -> None:
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with Sandbox() as sandbox:
        template = ChatTemplate(
            f"{{% if messages|length > 2 %}}{loop}{{% endif %}}{{{{ messages[-1].content }}}}", TOKENS
        )
        (note,) = template.probe(sandbox)
        assert "could not be tried: it takes longer than 2 seconds" in note
        assert template.is_broken
        assert template.render(CHAT, sandbox).text == CHAT[-1].content


@pytest.mark.parametrize("order", ["break", "continue"])
def test_an_order_outside_of_a_loop_is_a_sentence(render: Renderer, order: str) -> None:
    with pytest.raises(PromptError, match="loop") as refused:
        render(f"{{% {order} %}}")
    assert refused.value.kind is FailureKind.BAD_TEMPLATE


def test_a_templates_own_refusal_is_repeated(render: Renderer) -> None:
    with pytest.raises(PromptError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


ERRORS = {
    "{{ 2.0 ** 64 ** 64 }}": "it computes what has no result",
    "{{ 1 // 0 }}": "it computes what has no result",
    "{{ raise_exception() }}": "it gives no reason",
    "{{ namespace() | tojson }}": "it does something with a value of the wrong kind",
    "{{ 'x' + 1 }}": "it does something with a value of the wrong kind",
    "{{ '%d' | format(messages[0].content) }}": "it does something with a value of the wrong kind",
    "{{ '{1}'.format(2) }}": "it asks for an entry that is not there",
    "{{ [].index(3) }}": "it does something with a value that does not fit",
    "{{ nothing.at_all }}": "it makes an error: 'nothing' is undefined",
    "{% if %}": "it cannot be read: Expected an expression, got 'end of statement block' (line 1)",
}


@pytest.mark.parametrize("source", ERRORS)
def test_an_error_of_a_template_is_said_in_words_for_people(render: Renderer, source: str) -> None:
    with pytest.raises(PromptError) as refused:
        render(source)
    assert str(refused.value) == f"The model's chat template refused this chat: {ERRORS[source]}."


def test_a_template_cannot_change_what_it_is_given(render: Renderer) -> None:
    with pytest.raises(PromptError):
        render("{{ messages.append(1) }}")
    assert CHAT[0].content == "Be brief."


def test_a_large_chat_is_rendered_whole(render: Renderer) -> None:
    chat = tuple(Message("user", "wörd " * 200_000) for _ in range(8))
    assert render(None, chat).count("wörd") == 1_600_000
