"""The table of word splitters: what a tokenizer.json says on the left, llama.cpp's name for it on the right.

A splitter is the sequence of steps before the byte-level one, as (kind, argument). llama.cpp holds each of them in
C++ (`src/llama-vocab.cpp`, `llm_tokenizer_bpe`); the regexes here are those that the checkpoints ship. Knows no files.
"""

from dataclasses import dataclass

Step = tuple[str, str]  # ("regex", pattern), ("digits", "single" | "runs"), ("words", "") for GPT-2's own regex


@dataclass(frozen=True, slots=True)
class Splitter:
    """What llama.cpp calls it, without and with the shortcut for words that are tokens as they stand.

    Where it knows one of the two only, the other one's tokens are the same unless the vocabulary holds a word that no
    merges reach: that is looked at after the conversion. capitals_differ: beyond ASCII llama.cpp knows no capitals
    and no combining marks there.
    """

    plain: str | None
    shortcut: str | None
    capitals_differ: bool = False


_END = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_CLITICS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _gpt4(digits: str, letters: str = r"\p{L}+", others: str = r" ?[^\s\p{L}\p{N}]+[\r\n]*") -> str:
    return rf"{_CLITICS}|[^\r\n\p{{L}}\p{{N}}]?{letters}|{digits}|{others}{_END}"


def _cased(clitics: str, digits: str) -> str:
    """Words of upper, then lower case letters: GPT-4o, Mistral's tekken."""
    first = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{clitics}"
    second = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{clitics}"
    return rf"{first}|{second}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*{_END}"


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = _gpt4(r"\p{N}{1,3}")
QWEN2 = _gpt4(r"\p{N}")
QWEN35 = _gpt4(r"\p{N}", r"[\p{L}\p{M}]+", r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*")
SEED_CODER = _gpt4(r"\p{N}{1}", others=r" ?[^\s\p{L}\p{N}\r\n]+")
GPT4O = _cased(rf"{_CLITICS}?", r"\p{N}{1,3}")
TEKKEN = _cased("", r"\p{N}")
BAILING = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
MINICPM5 = _gpt4(r"\p{N}+")
DEEPSEEK_V3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CHINESE_JAPANESE = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_DEEPSEEK_LETTERS = (
    "\\s?[A-Za-z\xb5\xc0-\xd6\xd8-\xf6\xf8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481"
    "\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-"
    "\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57"
    "\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-"
    "\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-"
    "\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184"
    "\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-"
    "\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-"
    "\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943]+"
)
_DEEPSEEK_PUNCTUATION = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
_EAST_ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"

# steps before the byte-level one -> llama.cpp's names
SPLITTERS: dict[tuple[Step, ...], Splitter] = {
    (("regex", LLAMA3),): Splitter("smaug-bpe", "llama-bpe"),
    (("regex", QWEN2),): Splitter("qwen2", None),
    (("regex", QWEN35),): Splitter("qwen35", None),
    (("regex", SEED_CODER),): Splitter("seed-coder", None),
    (("regex", GPT4O),): Splitter("gpt-4o", None, capitals_differ=True),
    (("regex", TEKKEN),): Splitter(None, "tekken", capitals_differ=True),
    (("regex", BAILING),): Splitter("bailingmoe", None),
    (("words", ""),): Splitter("gpt-2", None),
    (("digits", "single"), ("words", "")): Splitter("smollm", None),
    (("digits", "threes"), ("regex", MINICPM5)): Splitter(None, "minicpm5"),
    (("digits", "threes"), ("regex", _CHINESE_JAPANESE), ("regex", DEEPSEEK_V3)): Splitter("deepseek-v3", None),
    (
        ("regex", r"[\r\n]"),
        ("regex", _DEEPSEEK_LETTERS),
        ("regex", _DEEPSEEK_PUNCTUATION),
        ("regex", r"\s+$"),
        ("regex", _EAST_ASIAN),
        ("digits", "single"),
    ): Splitter("deepseek-llm", None),
    (
        ("regex", r"[\r\n]"),
        ("regex", r"\s?\p{L}+"),
        ("regex", r"\s?\p{P}+"),
        ("regex", _EAST_ASIAN),
        ("digits", "single"),
    ): Splitter("deepseek-coder", None),
}
