"""DeepSeek R1, V3, V3.1 and V3.2; V4 writes as V3.2 does."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.named import Named
from backends.chat.syntaxes.tagged import Tagged

AROUND = Pattern("<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜>")
FENCED = Named(
    Pattern("<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"),
    AROUND,
    between="\n",
)
PLAIN = Named(Pattern("<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>"), AROUND)


def _marked_up(block: str) -> Tagged:
    return Tagged(
        call=Pattern('<｜DSML｜invoke name="{name}">\n{arguments}</｜DSML｜invoke>'),
        argument=Pattern('<｜DSML｜parameter name="{key}" string="{kind}">{value}</｜DSML｜parameter>\n'),
        around=Pattern(f"<｜DSML｜{block}>\n{{calls}}\n</｜DSML｜{block}>"),
    )


FORMATS = (
    Format("deepseek-v3", (FENCED,)),
    Format("deepseek-v3.1", (PLAIN,)),
    Format("deepseek-v3.2", (_marked_up("function_calls"),)),
    Format("deepseek-v4", (_marked_up("tool_calls"),)),
)
