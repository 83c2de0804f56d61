"""What ends an answer of a chat, as the template itself writes it."""

from typing import Any

import pytest

from backends.engine.runner import PromptError
from backends.llama.markers import Marker, Markers
from backends.llama.rendered import Rendered
from backends.llama.template import ChatTemplate
from backends.llama.template_ends import PROBE, TemplateEnds, find_ends
from backends.protocol import FailureKind, Message
from backends.sandbox.sandbox import Sandbox

MARKERS = Markers(
    [
        *(Marker(i, text, is_control=True) for i, text in enumerate(("<s>", "</s>", "<|im_end|>", "<|user|>"))),
        Marker(8, "<|end|>", is_control=False, is_guarded=True),
        Marker(9, "\n", is_control=False),
    ]
)


class Written:
    """A template in a line: how a turn begins, and how it ends."""

    is_broken = False

    def __init__(self, begin: str, end: str):
        self._begin, self._end = begin, end

    def render(self, messages: tuple[Message, ...], _sandbox: Any, **_: bool) -> Rendered:
        turns = (f"{self._begin.format(m.role)}{m.content}{self._end}" for m in messages)
        return Rendered("".join(turns) + self._begin.format("assistant"))

    def inside_answers(self, _sandbox: Any) -> tuple[str, ...]:
        return ()


class Refusing:
    is_broken = False

    def render(self, *_: Any) -> Rendered:
        raise PromptError(FailureKind.BAD_TEMPLATE, "no")


@pytest.mark.parametrize(
    ("begin", "end", "token", "stop"),
    [
        ("<|im_start|>{}\n", "<|im_end|>\n", 2, None),
        ("[INST] ", " </s>", 1, None),
        ("<|{}|>\n", "\n", 3, None),  # GLM-4: the next turn's beginning
        ("<|turn>{}\n", "<turn|>\n", None, "<turn|>"),  # no token of this vocabulary
        ("<|start|>{}<|message|>", "<|end|>", None, None),  # gpt-oss: stands within its answers, too
        ("{}: ", "\n\n", None, None),
        ("{}: ", " – and so on <|im_end|>", None, None),
    ],
)
def test_what_follows_an_assistants_text_ends_it(begin: str, end: str, token: int | None, stop: str | None) -> None:
    ends = find_ends(Written(begin, end), None, MARKERS)  # type: ignore[arg-type]
    assert ends.tokens == ({token} if token is not None else set())
    assert ends.stops == ((stop,) if stop else ())


TURNS = "{% for m in messages %}<|{{ m.role }}|>THOUGHTS{{ m.content }}<|im_end|>{% endfor %}"
HEAD = "{% if add_generation_prompt %}<|assistant|>HEAD{% endif %}"


@pytest.mark.parametrize(
    ("thoughts", "head", "end"),
    [
        ("", "", 2),
        ("{% if m.thinking %}<think>{{ m.thinking }}</think>{% endif %}", "<think>", 2),
        ("{% if m.reasoning_content %}{{ m.reasoning_content }}<|im_end|><|assistant|>{% endif %}", "", None),  # Solar
        ("{% if m.reasoning %}{{ m.reasoning }}<|im_end|>think<|answer|>{% endif %}", "<think>", None),  # Kimi K3
        ("", "<think><|im_end|>", None),
    ],
)
def test_what_stands_within_an_answer_does_not_end_it(thoughts: str, head: str, end: int | None) -> None:
    source = TURNS.replace("THOUGHTS", thoughts) + HEAD.replace("HEAD", head)
    with Sandbox() as sandbox:
        template = ChatTemplate(source, {})
        template.probe(sandbox)
        ends = find_ends(template, sandbox, MARKERS)
    assert ends == TemplateEnds(frozenset(() if end is None else (end,)))


@pytest.mark.parametrize("between", ["\n</think>\n\n", "</think><|im_end|>"])
def test_nor_does_what_stands_behind_thoughts_within_the_text(between: str) -> None:
    source = "{% for m in messages %}{{ m.content | replace('\n</think>\n\n', BETWEEN) }}<|im_end|>{% endfor %}"
    with Sandbox() as sandbox:
        template = ChatTemplate(source.replace("BETWEEN", repr(between)), {})
        assert bool(find_ends(template, sandbox, MARKERS).tokens) == ("<|im_end|>" not in between)


def test_a_template_that_refuses_or_changes_the_answer_names_no_end() -> None:
    assert find_ends(Refusing(), None, MARKERS) == TemplateEnds()  # type: ignore[arg-type]
    forgetful = Written("{}", "<|im_end|>")
    forgetful.render = lambda *_: Rendered("nothing of it")  # type: ignore[method-assign]
    assert find_ends(forgetful, None, MARKERS) == TemplateEnds()  # type: ignore[arg-type]
    assert PROBE[1].role == "assistant"
