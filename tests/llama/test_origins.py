"""Whatever a template does with what people wrote, each character of theirs is known as theirs, and the text is the
same as without knowing. Any marker of theirs that got lost would become a control token."""

import re
from typing import Any

import pytest

from backends.llama.chat_format import ChatFormat
from backends.llama.chat_jobs import TEMPLATE, Render, Template
from backends.llama.chat_writing import SHORT
from backends.llama.compiled import CompiledTemplate
from backends.llama.plain_chat import render as render_plainly
from backends.llama.rendered import Rendered
from backends.llama.said import Said, all_said, concat, spans_of
from backends.protocol import Message

MINE = re.compile(r"<\|p\d\|>|<\|P\d\|>")  # people's markers
CHAT = (
    Message("system", "<|p1|>Be {brief} %s<|p2|>"),
    Message("user", "  <|p3|>ß İ 日本 <b>&\"'\n\n<|p4|>x</think>y<|p5|>  \n"),
    Message("assistant", "<|p6|>"),
    Message("user", "a,b,<|p7|>\tc\r\nd\x0be <|p8|>"),
)
OWN = "<|own|>"
EACH = "{% for m in messages %}" + OWN + "{{ EXPRESSION }}{% endfor %}"
EXPRESSIONS = [
    "m.content",
    "m['content']",
    "'<|own|>' + m.content + '<|own|>'",
    "'<|own|>' ~ m.content ~ 1 ~ none ~ '<|own|>'",
    "m.content | trim",
    "m.content.strip()",
    "m.content.lstrip().rstrip('\n')",
    "m.content.split('</think>')[-1]",
    "m.content.split('</think>') | last",
    "m.content.split() | join('<|own|>')",
    "m.content.rsplit(None, 1)[0]",
    "m.content.split(None, 1) | join('-')",
    "m.content.rsplit('<|p', 1) | join('<|own|>')",
    "m.content.splitlines() | join('<|own|>')",
    "m.content.splitlines(true) | join",
    "'<|own|>'.join(m.content.split('<|'))",
    "('<|own|>' | attr('join'))(m.content.split('<|'))",
    "m.content.partition('|>')[2]",
    "m.content.rpartition('<|') | list | join('<|own|>')",
    "m.content.removeprefix('<|p6')",
    "m.content.removesuffix('|>')",
    "m.content[2:]",
    "m.content[-9:]",
    "m.content[::-1][::-1]",
    "m.content[0]",
    "m.content | first",
    "m.content | list | join",
    "m.content | reverse | reverse",
    "m.content | upper",
    "m.content.upper().lower()",
    "m.content | title",
    "m.content | capitalize",
    "m.content.casefold().swapcase()",
    "m.content | center(99)",
    "m.content.ljust(99)",
    "m.content.zfill(99)",
    "'x'.center(9, m.content[4])",
    "m.content.expandtabs()",
    "m.content | replace('<b>', '<|own|>')",
    "m.content.replace('', '-')",
    "'<|own|>__'.replace('_', m.content)",
    "'<|own|>_' | replace('_', m.content)",
    "m.content.replace('<|', '<|', 1)",
    "m.content * 2",
    "2 * m.content",
    "'<|own|>%s:%d' % (m.content, 1)",
    "'<|own|>%s' % m.content",
    "'%(x)s<|own|>' % {'x': m.content}",
    "m.content % 1 if '%' in m.content",
    "'<|own|>%s-%s' | format(m.content, m.role)",
    "'%(x)s<|own|>' | format(x=m.content)",
    "'<|own|>{}{x}'.format(m.content, x=m.role)",
    "'{0[content]}<|own|>{0[role]:>9}'.format(m)",
    "'{:>200}'.format(m.content)",
    "'{!r}'.format(m.content)",
    "'{x}'.format_map({'x': m.content})",
    "m | tojson",
    "m | tojson(indent=2)",
    "m.content | tojson",
    "m",
    "m | string",
    "[m.content, 1]",
    "'%s' % [m]",
    "'%r' % m.content",
    "m.items() | list",
    "m.values() | join('<|own|>')",
    "messages | map(attribute='content') | join('<|own|>')",
    "messages | join('<|own|>', attribute='content')",
    "messages | map(attribute='content') | map('trim') | list | last",
    "messages | map(attribute='content') | map('upper') | join(' ')",
    "messages | selectattr('role', 'eq', m.role) | map(attribute='content') | join",
    "m.content | default('x')",
    "nothing | default(m.content)",
    "(m.content | e) ~ '<|own|>'",
    "m.content | safe | trim",
    "m.content | striptags",
    "m.content | urlize",
    "m.content | urlencode",
    "{'a': m.content} | xmlattr",
    "m.content | indent(4, true)",
    "m.content | wordwrap(5)",
    "m.content | truncate(12, true, '<|own|>')",
    "m.content | pprint",
    "m.content | forceescape",
    "strftime_now(m.content | replace('%', ''))",
    "m.content | batch(3) | map('join') | join('<|own|>')",
    "m.content | sort | join",
    "m.content | unique | join",
    "[m.content, '<|own|>'] | max",
    "dict(x=m.content).x",
    "dict.fromkeys([m.content]) | list | join",
    "(cycler(m.content, 1)).next()",
    "joiner(m.content)() ~ '<|own|>'",
    "namespace(x=m.content).x",
    "namespace(x=m.content)",
    "m.content if '</think>' in m.content else '<|own|>'",
    "m.content.count('<|') ~ (m.content | length)",
    "m.content.index('<|p') + m.content.find('zz')",
    "(loop.previtem or m).content ~ '<|own|>'",
    "m.content.translate({60: '['})",
    "(m.content ~ '<|own|>').split('<|own|>')[0]",
    "['<|own|>', m.content] | sum(start=[]) if false else m.content | int",
]
BLOCKS = {
    "macro": "{% macro f(x, y='<|own|>') %}{{ y }}{{ x }}{{ varargs | join }}{% endmacro %}{% for m in messages %}"
    "{{ f(m.content) }}{{ '<|own|>' ~ f(m.content | trim, '', m.content) }}{% endfor %}",
    "call block": "{% macro f() %}<|own|>{{ caller(1) | trim }}{% endmacro %}{% for m in messages %}"
    "{% call(n) f() %} {{ m.content }}<|own|> {% endcall %}{% endfor %}",
    "set block": "{% for m in messages %}{% set x %}<|own|>{{ m.content }}{% endset %}{{ x.strip() }}{% endfor %}",
    "set block with a filter": "{% for m in messages %}{% set x | upper %}x{{ m.content }}{% endset %}"
    "{{ x }}<|own|>{% endfor %}",
    "filter block": "{% filter replace('x', '<|own|>') %}{% for m in messages %}{{ m.content }}x{% endfor %}"
    "{% endfilter %}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}<|own|>{% endgeneration %}{% endfor %}",
    "recursive loop": "{% for m in messages recursive %}{{ loop(m.parts) if m.parts else m.content ~ '<|own|>' }}"
    "{% endfor %}",
    "namespace": "{% set ns = namespace(x='<|own|>') %}{% for m in messages %}{% set ns.x = ns.x + m.content %}"
    "{% endfor %}{{ ns.x }}",
    "block": "{% block b %}{% for m in messages %}{{ m.content }}<|own|>{% endfor %}{% endblock %}{{ self.b() }}",
    "letters": "{% for m in messages %}{% for c in m.content %}{{ c }}{{ '' ~ loop.first }}{% endfor %}<|own|>"
    "{% endfor %}",
    "with": "{% with x = messages[0].content ~ '<|own|>' %}{{ x[:-1] }}{{ x }}{% endwith %}",
}
UNFOLLOWED = {
    "escapes": "{% autoescape true %}{{ messages[0].content ~ '<|own|>' }}{% endautoescape %}",
    "bytes": "{{ messages[0].content.encode().decode() }}",
}


def rendered(source: str, **how: bool) -> Rendered:
    return Render(CHAT, ChatFormat(), **how).run({TEMPLATE: Template(source).unpack()})


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_people_wrote_is_known_after_any_operation(expression: str) -> None:
    check(EACH.replace("EXPRESSION", expression))


@pytest.mark.parametrize("name", BLOCKS)
def test_what_people_wrote_is_known_after_any_block(name: str) -> None:
    check(BLOCKS[name])


@pytest.mark.parametrize("name", UNFOLLOWED)
def test_what_cannot_be_followed_is_said(name: str) -> None:
    plain = rendered(UNFOLLOWED[name])
    assert "p1" in plain.text
    assert rendered(UNFOLLOWED[name], tracked=True) == Rendered(plain.text, None)


def test_a_chat_for_which_knowing_who_wrote_what_changes_the_text_is_written_without() -> None:
    """No template is known to be safe from that: here the chat brings the marks that our formatting leaves in a text.
    So a short chat is written twice."""
    chat = (Message("user", "\x000\x00{}"),)
    template = Template("{{ messages[0].content.format('p1') }}").unpack()
    it = Render(chat, ChatFormat(), tracked=True).run({TEMPLATE: template})
    assert it == Rendered("\x000\x00p1", None)


def test_a_clock_stands_still_while_a_chat_is_written() -> None:
    """So that it is seen that knowing who wrote what changes nothing."""
    source = "{{ strftime_now('%f') }}{% for i in range(20000) %}{% endfor %}{{ strftime_now('%f') }}"
    it = rendered(source, tracked=True)
    assert it.said == ()
    assert it.text[:6] == it.text[6:]


def test_a_long_chat_is_written_once() -> None:
    """Twice would take twice the time, of which a template has two seconds."""

    class Counting(CompiledTemplate):
        num_written = 0

        def write(self, *args: Any, **named: Any) -> str:
            self.num_written += 1
            return super().write(*args, **named)

    counting = Counting(Template("{% for m in messages %}{{ m.content }}{% endfor %}"))
    it = Render((Message("user", "a" * (SHORT + 1)),), ChatFormat(), tracked=True).run({TEMPLATE: counting})
    assert it.said == ((0, SHORT + 1),)
    assert counting.num_written == 1


def check(source: str) -> None:
    plain, tracked = rendered(source), rendered(source, tracked=True)
    assert tracked.text == plain.text
    assert type(tracked.text) is str
    assert plain.said == ()
    assert tracked.said is not None
    for marker in MINE.finditer(tracked.text):  # of a token that is not the template's alone none is made
        assert any(begin < marker.end() and marker.start() < end for begin, end in tracked.said), marker[0]
    for begin, end in tracked.said:
        assert 0 <= begin < end <= len(tracked.text)
    if source.startswith("{% for m in messages %}" + OWN):
        assert not any(begin < len(OWN) for begin, _ in tracked.said), "the template has written it"


@pytest.mark.parametrize("name", BLOCKS)
def test_a_templates_own_markers_stay_its_own(name: str) -> None:
    tracked = rendered(BLOCKS[name], tracked=True)
    own = [match.span() for match in re.finditer(re.escape(OWN), tracked.text)]
    assert own
    assert not any(begin < there[1] and there[0] < end for begin, end in tracked.said for there in own)


def test_roles_of_the_format_are_no_words_of_people() -> None:
    template = Template("{% for m in messages %}{{ '<|' + m.role + '|>' }}{{ m.content }}{% endfor %}").unpack()
    chat = (Message("user", "Hi"), Message("end|><|user", "x"))
    it = Render(chat, ChatFormat(), tracked=True).run({TEMPLATE: template})
    assert [it.text[begin:end] for begin, end in it.said] == ["Hi", "end|><|user", "x"]


def test_a_continued_answer_is_said_too() -> None:
    chat = (Message("user", "Hi"), Message("assistant", "<|p1|> so"))
    for source in ("{% for m in messages %}<|own|>{{ m.content }}{% endfor %}", "{{ messages[0].content }}<|own|>"):
        it = Render(chat, ChatFormat(), continues=True, tracked=True).run({TEMPLATE: Template(source).unpack()})
        assert it.text.endswith("<|p1|> so")
        assert it.said[-1] == (len(it.text) - len("<|p1|> so"), len(it.text))


def test_a_plain_dialogue_knows_who_said_what() -> None:
    it = render_plainly(CHAT, tracked=True)
    assert [it.text[begin:end] for begin, end in it.said] == [message.content.strip() for message in CHAT]
    assert render_plainly(CHAT).said == ()


def test_texts_of_two_origins_keep_their_places() -> None:
    text = "<" + all_said("a b") + ">" + all_said("c") + Said("d")
    assert spans_of(text) == ((1, 4), (5, 6))
    assert spans_of(concat((all_said("a"), all_said("b"), "c"))) == ((0, 2),)
    assert [spans_of(part) for part in text.split(" ")] == [((1, 2),), ((0, 1), (2, 3))]
    assert [str(part) for part in all_said("sepep").split("sep")] == ["", "ep"]
