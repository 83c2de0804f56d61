"""Chats as a template could have rendered them, with anything in them, and what must hold of their tokens."""

import random
from collections.abc import Iterable

import llama_cpp as lib

from backends.llama.prompt_tokens import PromptTokens
from backends.llama.rendered import Rendered
from backends.llama.vocabulary import NativeVocabulary

PIECES = [
    *(
        "Hello",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        "wörld",
        "日本語",
        "🙂",
        "e\u0301",
        "\u200b",
        "123",
        "don't",
        "<b>",
        "</b>",
    ),
    *("<", ">", "|", "[", "]", "<|", "|>", "\x00", "\ud800", "\ufffd", "x", "a.b(c)", "▁", "İ", "\r\n", "\x7f"),
]
MAX_PIECES, MAX_TURNS = 6, 4


def hand_made(template: list[str], said: list[str]) -> Rendered:
    """The template's texts with what people said between them."""
    text, spans = "", []
    for i, piece in enumerate(template):
        text += piece
        if i < len(said):
            spans.append((len(text), len(text) + len(said[i])))
            text += said[i]
    return Rendered(text, tuple(span for span in spans if span[0] < span[1]))


def random_texts(vocabulary: NativeVocabulary, count: int, chance: random.Random) -> list[Rendered]:
    """Templates made of this vocabulary's own markers; people write markers, halves of them, and the rest."""
    controls = [marker.text for marker in vocabulary.special.markers() if marker.is_control or marker.is_guarded]
    controls = chance.sample(controls, min(len(controls), 40))
    return [_random_text(controls, chance) for _ in range(count)]


def _random_text(controls: list[str], chance: random.Random) -> Rendered:
    num_turns = chance.randint(1, MAX_TURNS)
    template = [_template_text(controls, chance) for _ in range(num_turns + 1)]
    return hand_made(template, [_said(controls, chance) for _ in range(num_turns)])


def _template_text(controls: list[str], chance: random.Random) -> str:
    rest = chance.choice(["", "user\n", "\n", " ", "end|>", "Question: ", "\n\n"])
    return (chance.choice(controls) if controls and chance.random() < 0.9 else "") + rest


def _said(controls: list[str], chance: random.Random) -> str:
    said = ""
    for _ in range(chance.randint(0, MAX_PIECES)):
        if controls and chance.random() < 0.4:
            marker = chance.choice(controls)
            begin, end = (
                (0, len(marker)) if chance.random() < 0.5 else sorted(chance.choices(range(len(marker) + 1), k=2))
            )
            said += marker[begin:end]
        else:
            said += chance.choice(PIECES)
    return said


def faults(vocabulary: NativeVocabulary, chats: Iterable[Rendered]) -> list[str]:
    """A sentence for each chat whose tokens are not what was written."""
    prompts = PromptTokens(vocabulary)
    chats = [chat for chat in chats if not _begins_twice(vocabulary, chat.text)]
    checks = (_loses_text, _reads_what_people_wrote, _differs_without_markers)
    return [f"{check.__name__}: {chat}" for chat in chats for check in checks if check(vocabulary, prompts, chat)]


def _begins_twice(vocabulary: NativeVocabulary, text: str) -> bool:
    """Of its first tokens all but one are left out."""
    return bool(vocabulary.adds_bos and text.startswith(vocabulary.piece(vocabulary.bos, special=True).decode() * 2))


def _loses_text(vocabulary: NativeVocabulary, prompts: PromptTokens, chat: Rendered) -> bool:
    tokens = _unbegun(vocabulary, prompts.of_chat(chat), chat)
    spelt = b"".join(vocabulary.piece(token, special=True) for token in tokens)
    written = chat.text.encode("utf-8", "surrogatepass")
    return bool(_bare(vocabulary, spelt) != _bare(vocabulary, written))


def _bare(vocabulary: NativeVocabulary, text: bytes) -> bytes:
    """SentencePiece adds a space behind a marker, Phi-3 drops them there; and the sign for it is one of its own."""
    text = text.replace("\u2581".encode(), b" ")
    return b"".join(text.split()) if _is_sentencepiece(vocabulary) else text


def _is_sentencepiece(vocabulary: NativeVocabulary) -> bool:
    return bool(lib.llama_vocab_type(vocabulary.pointer) == lib.LLAMA_VOCAB_TYPE_SPM)


def _unbegun(vocabulary: NativeVocabulary, tokens: list[int], chat: Rendered) -> list[int]:
    """Without the token that the template did not write."""
    first = vocabulary.piece(vocabulary.bos, special=True).decode() if vocabulary.adds_bos else ""
    has_own = not first or (chat.text.startswith(first) and (not chat.said or chat.said[0][0] >= len(first)))
    return tokens if has_own else tokens[1:]


def _reads_what_people_wrote(vocabulary: NativeVocabulary, prompts: PromptTokens, chat: Rendered) -> bool:
    """Whether there are other control tokens than the template wrote outside of what people said."""
    if not chat.said:
        return False
    own = {marker.token for marker in vocabulary.special.markers() if marker.is_control or marker.is_guarded}
    alone = "\x00".join(chat.text[begin:end] for begin, end in _between(chat))
    wanted = [token for token in vocabulary.tokenize(alone, add_special=False, parse_special=True) if token in own]
    return [token for token in _unbegun(vocabulary, prompts.of_chat(chat), chat) if token in own] != wanted


def _differs_without_markers(_vocabulary: NativeVocabulary, prompts: PromptTokens, chat: Rendered) -> bool:
    """Of what the template alone wrote the tokens are those of one reading of the whole."""
    if prompts.markers.may_arise(chat.text[begin:end] for begin, end in chat.said):
        return False
    return prompts.of_chat(chat) != prompts.of_chat(Rendered(chat.text))


def _between(chat: Rendered) -> list[tuple[int, int]]:
    edges = [0, *(edge for span in chat.said for edge in span), len(chat.text)]
    return [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]
