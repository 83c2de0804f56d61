"""What a pooler shall read: the tokens of texts, and of pairs of a query and a document."""

from backends.embedding import Embed, EmbeddingRequest, Rank
from backends.engine.runner import PromptError
from backends.llama.binding import lib
from backends.llama.native import NativeModel
from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import Embedding, FailureKind, Pooling

MAX_TEXTS = 2048  # of a request, as OpenAI has it
NO_RANKS = "This model cannot rank documents: load a reranker for that."
NO_VECTORS = "This model ranks documents, and makes no vectors: load an embedding model for that."
RERANK = b"rerank"  # the name of a template that says how a pair is written


def texts_of(request: EmbeddingRequest, model: NativeModel, embedding: Embedding) -> list[list[int]]:
    """Token ids of each, none of them empty. Raises PromptError."""
    is_ranker = embedding.pooling is Pooling.RANK
    if isinstance(request, Rank) is not is_ranker:
        raise _refusal(NO_RANKS if isinstance(request, Rank) else NO_VECTORS, "model")
    inputs = request.documents if isinstance(request, Rank) else request.inputs
    if not 0 < len(inputs) <= MAX_TEXTS:
        raise _refusal(f"From 1 to {MAX_TEXTS} texts can be read at once, not {len(inputs):,}.", _names(request))
    if isinstance(request, Rank):
        return _pairs(request, model, embedding.max_tokens)
    if request.dimensions is not None and not 0 < request.dimensions <= embedding.dimensions:
        raise _refusal(f"A vector of this model has from 1 to {embedding.dimensions} dimensions.", "dimensions")
    return [_read(text, request, model.vocabulary, embedding.max_tokens) for text in request.inputs]


def _read(text: str | tuple[int | str, ...], request: Embed, words: NativeVocabulary, most: int) -> list[int]:
    tokens: list[int] = []
    for at, piece in enumerate((text,) if isinstance(text, str) else text):
        if isinstance(piece, str):  # one at the beginning has what begins every text
            tokens += words.tokenize(piece, add_special=at == 0, parse_special=True)
        else:
            tokens.append(piece)
    if not all(0 <= token < words.num_tokens for token in tokens):
        raise _refusal(f"Token ids of this model lie between 0 and {words.num_tokens - 1}.", "inputs")
    if not tokens:
        raise _refusal("A text is empty: there is nothing to make a vector of.", "inputs")
    if len(tokens) <= most:
        return tokens
    if not request.truncates:
        raise _too_long("text", len(tokens), most, "inputs")
    last = words.closing if isinstance(text, str) else None
    return tokens[:most] if last is None else [*tokens[: most - 1], last]


def _pairs(request: Rank, model: NativeModel, most: int) -> list[list[int]]:
    """As llama-server writes them (tools/server/server-common.cpp, `format_prompt_rerank`)."""
    template, words = lib.llama_model_chat_template(model.pointer, RERANK), model.vocabulary
    if template:
        before, _, after = template.decode("utf-8", "replace").partition("{document}")
        parts = (part.replace("{query}", request.query) for part in (before, after))
        head, tail = (words.tokenize(part, add_special=False, parse_special=True) for part in parts)
    else:
        head, tail = _around(words, words.tokenize(request.query, add_special=False, parse_special=False))
    return [_pair(head, document, tail, request, words, most) for document in request.documents]


def _around(words: NativeVocabulary, query: list[int]) -> tuple[list[int], list[int]]:
    """What stands before the document, and behind it."""
    separator = [lib.llama_vocab_sep(words.pointer)] if lib.llama_vocab_get_add_sep(words.pointer) else []
    end = (
        [words.end_of_text if words.end_of_text >= 0 else lib.llama_vocab_sep(words.pointer)] if words.adds_eos else []
    )
    begin = [words.bos] if words.adds_bos else []
    return [*begin, *query, *end, *separator], end or separator


def _pair(
    head: list[int], document: str, tail: list[int], request: Rank, words: NativeVocabulary, most: int
) -> list[int]:
    tokens = words.tokenize(document, add_special=False, parse_special=False)
    room = most - len(head) - len(tail)
    if room < 1 or (len(tokens) > room and not request.truncates):
        what, about = ("query", "query") if room < 1 else ("query with a document", "documents")
        raise _too_long(what, len(head) + len(tokens) + len(tail), most, about)
    return [*head, *tokens[:room], *tail]


def _too_long(what: str, num_tokens: int, most: int, about: str) -> PromptError:
    sentence = f"A {what} is too large: it has {num_tokens:,} tokens, and this model reads at most {most:,}. "
    sentence += "Split it, or have it cut."
    return PromptError(FailureKind.CONTEXT_LENGTH, sentence, about)


def _names(request: EmbeddingRequest) -> str:
    """Of its texts."""
    return "documents" if isinstance(request, Rank) else "inputs"


def _refusal(sentence: str, about: str) -> PromptError:
    return PromptError(FailureKind.BAD_REQUEST, sentence, about)
