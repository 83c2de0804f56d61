"""Chat templates are foreign code: they render, or they are refused in a sentence."""

import pytest

from backends.engine.runner import PromptError
from backends.llama.template import CHATML, ChatTemplate
from backends.protocol import Message

CHAT = (Message("system", "Be brief."), Message("user", "Hi <b>"))


def render(source: str | None) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>").render(CHAT)


def test_a_template_sees_messages_tokens_and_the_generation_prompt() -> None:
    turns = "{% for m in messages %}[{{ m.role }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"
    source = "{{ bos_token }}" + turns + "{{ add_generation_prompt }}"
    assert render(source) == "<s>[system]Be brief.</s>[user]Hi <b></s>True"


def test_without_a_template_the_chat_is_chatml() -> None:
    assert render(None).endswith("<|im_start|>user\nHi <b><|im_end|>\n<|im_start|>assistant\n")
    assert render(None) == render(CHATML)


def test_loop_controls_and_block_trimming_work_as_in_transformers() -> None:
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
    ],
)
def test_what_a_template_may_not_do_is_a_sentence(source: str) -> None:
    with pytest.raises(PromptError, match="chat template refused this chat"):
        render(source)


def test_a_templates_own_refusal_is_repeated() -> None:
    with pytest.raises(PromptError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


def test_a_template_cannot_change_what_it_is_given() -> None:
    with pytest.raises(PromptError):
        render("{{ messages.append(1) }}")
    assert CHAT[0].content == "Be brief."
