"""Chat templates that loop, allocate, recurse, compile for ever or break out; and plain ones that must still work.

Each meets a real engine: it answers with a sentence in time, lives, and answers others meanwhile.
"""

# ruff: noqa: E501  (a template, or a grammar, is read best as one line)

from collections.abc import Callable, Iterator
from functools import partial

from jinja2 import Environment
from jinja2.ext import loopcontrols

from backends.protocol import FailureKind, Message
from tests.bench.attacks import stand
from tests.bench.attacks.case import Case
from tests.bench.attacks.stand import Stand
from tests.inference.conftest import Answer

ORDER = "attack"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
# an empty text is no prompt: jinja2 shows nothing of what its sandbox forbids
BAD = (FailureKind.BAD_TEMPLATE, FailureKind.CONTEXT_LENGTH, FailureKind.BAD_REQUEST)
LOAD_SECONDS = 10.0  # of which trying the template may have two; the rest is for a busy machine
Judge = Callable[[Answer], str | None]


def cases() -> Iterator[Case]:
    for name, body in RUNNING.items():
        judge = stand.either if name in MAY_FINISH else stand.refused(BAD)
        yield Case(name, partial(_attack_by_order, body, judge))
    for name in MARKED:
        yield Case(f"origins: {name}", partial(_attack_by_order, RUNNING[name], stand.either, f"{ORDER} <|im_end|>"))
    for name in TRIED:
        yield Case(f"at the load: {name}", partial(_attack_at_load, RUNNING[name]))
    for name, source in COMPILING.items():
        judge = stand.either if name in MAY_FINISH else stand.refused(BAD)
        yield Case(f"source: {name}", partial(_attack_by_source, source, judge))
    for name, source in INNOCENT.items():
        for kind, messages in CHATS.items():
            yield Case(f"innocent: {name}: {kind}", partial(_render_as_jinja_does, source, messages))


def _attack_by_order(body: str, judge: Judge, order: str = ORDER) -> str | None:
    """The template does its harm for one message, and is ChatML for the others."""
    source = f"{{% if messages[0].content == '{order}' %}}{body}{{% else %}}{CHATML}{{% endif %}}"
    neighbours = {"a chat": stand.chat("hello", priority=0), "a text": stand.request("once upon a time")}
    return _attack(source, judge, neighbours, order)


def _attack_at_load(body: str) -> str | None:
    """The template does its harm while it is tried, with chats of several turns; a question is ChatML."""
    source = f"{{% if messages|length > 2 %}}{body}{{% else %}}{CHATML}{{% endif %}}"
    with Stand(source) as attacked:
        if attacked.load_seconds > LOAD_SECONDS:
            return f"the load took {attacked.load_seconds:.0f} seconds"
        answer, fault = attacked.attacked_by(stand.chat("hello"), {"a text": stand.request("once upon a time")})
    return fault or stand.answered(answer)


def _attack_by_source(source: str, judge: Judge) -> str | None:
    """No chat can be rendered; a text still is read."""
    return _attack(source, judge, {"a text": stand.request("once upon a time")})


def _attack(source: str, judge: Judge, neighbours: dict[str, stand.Generate], order: str = ORDER) -> str | None:
    with Stand(source) as attacked:
        answer, fault = attacked.attacked_by(stand.chat(order), neighbours)
    return fault or judge(answer)


def _render_as_jinja_does(source: str, messages: tuple[Message, ...]) -> str | None:
    """A chat is answered, and reads as many tokens as the text that jinja2 alone makes of it."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    shown = [{"role": message.role, "content": message.content} for message in messages]
    expected = environment.from_string(source).render(
        messages=shown, add_generation_prompt=True, bos_token="", eos_token="<|im_end|>"
    )
    with Stand(source) as attacked:
        answer, fault = attacked.attacked_by(stand.request(messages), {"a text": stand.request("once")})
        again, _ = attacked.attacked_by(stand.request((Message("user", "x"),)), {})
        alike, _ = attacked.attacked_by(stand.request(messages), {})
    del again
    if fault or (fault := stand.answered(answer)):
        return fault
    counts = {_num_prompt(answer), _num_prompt(alike)}
    if len(counts) != 1:
        return f"one chat was read as {counts} tokens"
    least = len(expected.encode()) / 48  # no token of this vocabulary is longer
    return None if least <= counts.pop() <= len(expected.encode()) else "the prompt is not the template's text"


def _num_prompt(answer: Answer) -> int:
    timings = getattr(answer.last, "timings", None)
    return timings.prompt_n + timings.cache_n if timings else 0


def _nested(opening: str, closing: str, depth: int, middle: str = "1") -> str:
    return opening * depth + middle + closing * depth


def _doubling(statement: str, times: int) -> str:
    return "{% set ns = namespace(x=messages|string) %}" + statement * times


LOOPS = {
    f"{depth} {'telling ' * has_text}loops over {size}": "".join(
        f"{{% for v{n} in range({size}) %}}" for n in range(depth)
    )
    + "x" * has_text
    + "{% endfor %}" * depth
    for depth, size, has_text in [(2, 99999, 0), (2, 99999, 1), (3, 9999, 0), (4, 999, 1), (6, 99, 0), (20, 9, 0)]
}
RUNNING = {
    **LOOPS,
    "loop over a string made long": "{% set s = messages|string * 90000 %}{% for c in s %}{% for d in s %}{% endfor %}{% endfor %}",
    "recursive loop": "{% for m in [messages] recursive %}{{ loop([m]) }}{% endfor %}",
    "macro that calls itself": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "two macros in turn": "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
    "call block in itself": "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{% call f() %}x{% endcall %}",
    "fibonacci": "{% macro f(n) %}{% if n < 2 %}1{% else %}{{ f(n-1) }}{{ f(n-2) }}{% endif %}{% endmacro %}{{ f(45) }}",
    "ackermann": "{% macro a(m,n) %}{% if m == 0 %}{{ n+1 }}{% elif n == 0 %}{{ a(m-1,1) }}{% else %}{{ a(m-1,a(m,n-1)|int) }}"
    "{% endif %}{% endmacro %}{{ a(3,9) }}",
    "sorting for ever": "{% for i in range(99999) %}{{ range(99999)|list|sort|length }}{% endfor %}",
    "summing for ever": "{% for i in range(99999) %}{{ range(99999)|sum }}{% endfor %}",
    "string doubled by +": _doubling("{% set ns.x = ns.x + ns.x %}", 60),
    "string doubled by ~": _doubling("{% set ns.x = ns.x ~ ns.x %}", 60),
    "string doubled by join": _doubling("{% set ns.x = [ns.x, ns.x]|join %}", 60),
    "string doubled by format": _doubling("{% set ns.x = '%s%s'|format(ns.x, ns.x) %}", 60),
    "string doubled by %": _doubling("{% set ns.x = '%s%s' % (ns.x, ns.x) %}", 60),
    "string doubled by replace": _doubling("{% set ns.x = ns.x|replace('s', ns.x) %}", 8),
    "string doubled by str.format": _doubling("{% set ns.x = '{0}{0}'.format(ns.x) %}", 60),
    "string doubled by a block": _doubling("{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}", 60),
    "string doubled by escape": _doubling("{% set ns.x = ns.x|escape|forceescape %}{% set ns.x = ns.x ~ ns.x %}", 50),
    "list doubled": _doubling("{% set ns.x = ns.x|list + ns.x|list %}", 60),
    "list in lists": "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
    "lists compared in depth": "{% set ns = namespace(x=[], y=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}"
    "{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "dictionary in dictionaries": "{% set ns = namespace(x={}) %}{% for i in range(99999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}"
    "{{ ns.x|tojson }}",
    "set blocks that double": "".join(
        f"{{% set v{n + 1} %}}{{{{ v{n} }}}}{{{{ v{n} }}}}{{% endset %}}"
        if n
        else "{% set v1 %}{{ messages }}{% endset %}"
        for n in range(60)
    ),
    "squared numbers": "{% set ns = namespace(x=99) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    "powers": "{% set ns = namespace(x=99) %}{% for i in range(60) %}{% set ns.x = ns.x ** 64 %}{% endfor %}{{ ns.x }}",
    "added numbers": "{% set ns = namespace(x=99) %}{% for i in range(99999) %}{% for j in range(999) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}{% endfor %}{{ ns.x }}",
    "pages of lorem": "{{ lipsum(n=99999999) }}",
    "long lorem": "{{ lipsum(n=5, min=99999999, max=999999999) }}",
    "output without end": "{% for i in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
    "megabytes": "{{ messages|string * 99999 }}",
    "words by the million": "{% for i in range(99999) %}some words {% endfor %}" * 3,
    "long refusal": "{{ raise_exception(messages|string * 99999) }}",
    "very long refusal": "{{ raise_exception('x' * 99999 * messages|length * 999) }}",
    "refusal of lists": "{{ raise_exception([messages] * 9999) }}",
    "refusal in colours": "{{ raise_exception('\x1b[31mred\x1b[0m\\n\\n\\r\\0' ~ messages) }}",
    "refusal of nothing": "{{ raise_exception('') }}",
    "refusal of a number": "{{ raise_exception(1) }}",
    "date that is long": "{{ strftime_now('%c' * 99999 * (messages|length + 99)) }}",
    "date that is odd": "{{ strftime_now(messages) }}",
    "cut in batches": "{% for i in range(99999) %}{{ range(99999)|batch(1)|list|length }}{% endfor %}",
    "slices": "{{ messages|slice(10**9)|list|length }}",
    "grouped": "{% for i in range(99999) %}{{ range(99999)|groupby('real')|length }}{% endfor %}",
    "unique": "{% for i in range(99999) %}{{ range(99999)|map('string')|unique|list|length }}{% endfor %}",
    "urls": "{{ ('www.' * 50000 ~ messages)|urlize }}{% for i in range(9999) %}{{ ('(' * 9999)|urlize }}{% endfor %}",
    "tags": "{% for i in range(9999) %}{{ ('<' * 90000)|striptags }}{% endfor %}",
    "wrapped words": "{% for i in range(9999) %}{{ ('ab ' * 30000)|wordwrap(1)|length }}{% endfor %}",
    "pretty": "{% for i in range(9999) %}{{ (messages * 9999)|pprint|length }}{% endfor %}",
    "joined by much": "{{ range(99999)|join(messages|string * 999) }}",
}
WIDE = {
    "center": "messages|string|center({})",
    "indent": "(messages|string ~ '\\n' ~ messages)|indent({})",
    "format d": "'%{}d'|format(messages|length)",
    "format s": "('%{}s' % messages|length)",
    "format f": "'%.{}f'|format(messages|length / 3)",
    "str.format": "'{{0:>{}}}'.format(messages|length)",
    "ljust": "(messages|string).ljust({})",
    "rjust": "(messages|string).rjust({})",
    "zfill": "(messages|string).zfill({})",
    "expandtabs": "('\\t' ~ messages).expandtabs({})",
    "json indent": "messages|tojson(indent={})",
    "times": "messages|string * {}",
    "list times": "messages * {}",
}
for _name, _form in WIDE.items():
    for _size in (10**8, 5 * 10**9, 10**18):
        RUNNING[f"{_name} of {_size:.0e}"] = f"{{{{ {_form.format(_size)} }}}}"
for _number, _escape in enumerate(
    [
        "''.__class__.__mro__[1].__subclasses__()",
        "messages.__class__.__base__.__subclasses__()",
        "raise_exception.__globals__",
        "raise_exception.__code__.co_consts",
        "strftime_now.__globals__['__builtins__']",
        "cycler.__init__.__globals__.os.popen('id').read()",
        "lipsum.__globals__['os'].system('true')",
        "namespace.__init__.__globals__",
        "self.__init__.__globals__",
        "self._TemplateReference__context.environment.sandboxed",
        "messages|attr('__class__')|attr('__mro__')",
        "('{0.__class__.__mro__}').format(messages).__class__.__mro__",
        "messages.append(messages)",
        "messages[0].update({'role': 'king'})",
        "messages.pop()",
        "messages.clear()",
        "messages[0].__setitem__('role', 'x')",
        "dict.fromkeys(range(99999), 1).__class__.mro()",
        "joiner.__call__.__globals__",
        "().__class__.__bases__[0]",
    ]
):
    RUNNING[f"way out {_number}"] = f"{{{{ {_escape} }}}}"

# with people's markers in the chat, so that the text has to know its origin
MARKED = [
    *(name for name in RUNNING if name.startswith(("string doubled", "set blocks", "output without", "megabytes"))),
    *("loop over a string made long", "macro that calls itself twice", "joined by much", "list doubled", "slices"),
    *("dictionary in dictionaries", "list in lists", "urls", "wrapped words", "format s of 1e+08", "times of 5e+09"),
]
TRIED = [
    *("2 loops over 99999", "string doubled by +", "list doubled", "output without end", "macro that calls itself"),
    *("very long refusal", "refusal in colours", "powers", "center of 5e+09", "cut in batches"),
]
MAX = 250_000  # characters: a template may have that many
COMPILING = {
    "folded center": "{{ 'x'|center(10**10) }}",
    "folded format": "{{ '%5000000000d'|format(1) }}",
    "folded product": "{{ ('x' * 100000) * 99999 }}",
    "folded power": "{{ 64 ** 64 ** 64 }}",
    "folded list": "{{ [[0] * 99999] * 99999 }}",
    "folded shift by format": "{{ '{:>9999999999}'.format(1) }}",
    "folded products": "{{ " + " * ".join(["99999"] * 30_000) + " }}",
    "folded doubling": "{{ " + _nested("(", " * 2)", 80, "'x' * 99999") + " }}",
    "ifs in ifs": _nested("{% if x %}", "{% endif %}", 8_000),
    "loops in loops": _nested("{% for a in b %}", "{% endfor %}", 8_000),
    "withs in withs": _nested("{% with %}", "{% endwith %}", 10_000),
    "sets in sets": _nested("{% set x %}", "{% endset %}", 10_000),
    "filters in filters": _nested("{% filter upper %}", "{% endfilter %}", 7_000),
    "macros in macros": _nested("{% macro m() %}", "{% endmacro %}", 8_000),
    "calls in calls": _nested("{% call m() %}", "{% endcall %}", 8_000),
    "parentheses": "{{ " + _nested("(", ")", MAX // 2) + " }}",
    "brackets": "{{ " + _nested("[", "]", MAX // 2) + " }}",
    "braces": "{{ " + _nested("{1:", "}", MAX // 4) + " }}",
    "nots": "{{ " + "not " * (MAX // 4) + "x }}",
    "minuses": "{{ " + "-" * MAX + "1 }}",
    "pluses": "{{ 1" + "+1" * (MAX // 2) + " }}",
    "tildes": "{{ 1" + "~x" * (MAX // 2) + " }}",
    "powers": "{{ 1" + "**1" * (MAX // 3) + " }}",
    "attributes": "{{ x" + ".a" * (MAX // 2) + " }}",
    "subscripts": "{{ x" + "[0]" * (MAX // 3) + " }}",
    "calls": "{{ x" + "()" * (MAX // 2) + " }}",
    "filters": "{{ x" + "|e" * (MAX // 2) + " }}",
    "tests": "{{ x" + " is x" * (MAX // 5) + " }}",
    "comparisons": "{{ x" + "<x" * (MAX // 2) + " }}",
    "ands": "{{ x" + " and x" * (MAX // 6) + " }}",
    "conditions": "{{ x" + " if x else x" * (MAX // 12) + " }}",
    "elifs": "{% if x %}" + "{% elif x %}" * (MAX // 12) + "{% endif %}",
    "outputs": "{{x}}" * (MAX // 5),
    "outputs of nothing": "{{ nothing.at.all }}" * (MAX // 20),
    "variables": "".join(f"{{% set v{n}=1 %}}" for n in range(MAX // 17)),
    "macros": "".join(f"{{% macro m{n}() %}}{{% endmacro %}}" for n in range(MAX // 35)),
    "blocks": "".join(f"{{% block b{n} %}}{{% endblock %}}" for n in range(MAX // 34)),
    "arguments": "{{ dict(" + ",".join(f"a{n}=1" for n in range(MAX // 9)) + ") }}",
    "large number": "{{ " + "9" * MAX + " }}",
    "long name": "{{ " + "a" * MAX + ".b }}",
    "opened a hundred thousand times": "{{" * (MAX // 2),
    "statement never closed": "{% if " + "x" * MAX,
    "comment never closed": "{# " + "x" * MAX,
    "raw never closed": "{% raw %}" + "x" * MAX,
    "string never closed": "{{ '" + "x" * MAX,
    "backslashes": "{{ '" + "\\" * (MAX - 1) + " }}",
    "longer than any": "x" * 300_000,
    "blank": " ",
    "includes": "{% include 'x' %}",
    "extends itself": "{% extends messages %}",
    "extends None": "{% extends none %}",
    "imports": "{% import '/etc/passwd' as p %}{{ p }}",
    "unknown tag": "{% nothing %}",
    "unknown filter": "{{ x|nothing }}",
    "half a tag": "{% for m in %}",
    "super": "{% block a %}{{ super() }}{% endblock %}",
    "block in itself": "{% block a %}{{ self.a() }}{% endblock %}",
    "zero bytes": "{{ 'a\0b' }}\0{{ nothing.at.all }}",
}
# what jinja2 makes of these in time is a prompt like any other, if it is not empty or too long
MAY_FINISH = {
    "outputs", "elifs", "ands", "comparisons", "variables", "macros", "blocks", "arguments", "blank", "tests", "slices",
    "urls", "string doubled by replace", "lists compared in depth", "pages of lorem",
    "refusal of nothing", "way out 9", "way out 11", "folded products", "tildes", "conditions", "minuses", "nots",
    "long name", "opened a hundred thousand times", "attributes", "filters", "withs in withs",
    "filters in filters", "sets in sets", "date that is long", "zero bytes",
}  # fmt: skip

INNOCENT = {
    "ChatML": CHATML,
    "ChatML with a system text of its own": "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    + CHATML,
    "brackets": "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
    "headers": "{% for m in messages %}{{ '<|header|>' + m['role'] + '<|end|>\n\n' + m['content'] | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|header|>assistant<|end|>\n\n' }}{% endif %}",
    "turns": "{%- for m in messages -%}<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}</turn>\n"
    "{%- endfor -%}<turn>model\n",
    "instructions": "{% for m in messages %}### {{ m.role|capitalize }}:\n{{ m.content }}\n\n{% endfor %}### Assistant:\n",
    "loop controls": "{% for m in messages %}{% if m.content == '' %}{% continue %}{% endif %}{{ m.role }}: {{ m.content }}\n"
    "{% endfor %}assistant:",
    "namespace and macros": "{% macro line(m) %}{{ m.role|upper }}> {{ m.content }}{% endmacro %}{% set ns = namespace(n=0) %}"
    "{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }} {{ line(m) }}\n{% endfor %}ASSISTANT>",
    "reasoning dropped": "{% for m in messages %}{% set text = m.content.split('</think>')[-1] %}<{{ m.role }}>{{ text }}</{{ m.role }}>"
    "{% endfor %}<assistant>",
    "reversed and sliced": "{% for m in messages[::-1] %}{{ m.role }}={{ m.content|length }};{% endfor %}"
    "{{ messages[-1]['content'] }}\nA:",
    "json": "{% for m in messages %}{{ m.role|tojson }}: {{ m.content|length|tojson }}\n{% endfor %}{{ messages[-1].content }}|",
}
_TURNS = tuple(Message("assistant" if n % 2 else "user", f"turn {n}, " + "words " * 3) for n in range(21))
CHATS = {
    "one question": (Message("user", "Why is the sky blue?"),),
    "in other scripts": (Message("system", "Grüße"), Message("user", "日本語 🙂 {{ not a template }} {% if %}")),
    "many turns": _TURNS,
}
