"""BERT: an encoder, which reads both ways and makes vectors of texts (MiniLM, BGE, E5, GTE)."""

from backends.convert.architectures.table import Architecture, Key, Row
from backends.convert.config import Size

_EMBEDDINGS, _NORM = "embeddings", "LayerNorm"
_OLD = {"weight": "gamma", "bias": "beta"}  # what TensorFlow called them


def _linear(source: str, target: str, rows: Size, columns: Size) -> tuple[Row, ...]:
    return (
        Row(f"{source}.weight", f"{target}.weight", (rows, columns)),
        Row(f"{source}.bias", f"{target}.bias", (rows,)),
    )


def _norm(source: str, target: str) -> tuple[Row, ...]:
    """Under either name; one of them is there."""
    return tuple(
        Row(f"{source}.{_NORM}.{name}", f"{target}.{new}", (Size.HIDDEN,))
        for new, old in _OLD.items()
        for name in (new, old)
    )


_LAYER = (
    *_linear("attention.self.query", "attn_q", Size.QUERY, Size.HIDDEN),
    *_linear("attention.self.key", "attn_k", Size.KV, Size.HIDDEN),
    *_linear("attention.self.value", "attn_v", Size.KV, Size.HIDDEN),
    *_linear("attention.output.dense", "attn_output", Size.HIDDEN, Size.QUERY),
    *_norm("attention.output", "attn_output_norm"),
    *_linear("intermediate.dense", "ffn_up", Size.FEED_FORWARD, Size.HIDDEN),
    *_linear("output.dense", "ffn_down", Size.HIDDEN, Size.FEED_FORWARD),
    *_norm("output", "layer_output_norm"),
)
_OUTER = (
    Row(f"{_EMBEDDINGS}.word_embeddings.weight", "token_embd.weight", (Size.VOCAB, Size.HIDDEN)),
    Row(f"{_EMBEDDINGS}.token_type_embeddings.weight", "token_types.weight", (Size.TOKEN_TYPES, Size.HIDDEN)),
    Row(f"{_EMBEDDINGS}.position_embeddings.weight", "position_embd.weight", (Size.POSITIONS, Size.HIDDEN)),
    *_norm(_EMBEDDINGS, "token_embd_norm"),
)
ARCHITECTURES = {
    "BertModel": Architecture(
        "bert",
        _LAYER,
        outer=_OUTER,
        keys=(
            Key("block_count", lambda c: c.num_layers),
            Key("context_length", lambda c: c.context),
            Key("embedding_length", lambda c: c.sizes[Size.HIDDEN]),
            Key("feed_forward_length", lambda c: c.sizes[Size.FEED_FORWARD]),
            Key("attention.head_count", lambda c: c.sizes[Size.HEADS]),
            Key("attention.layer_norm_epsilon", lambda c: c.norm_epsilon),
            Key("attention.causal", lambda _: False),
        ),
        activation="gelu",
        other_names=frozenset({"gelu_new", "gelu_pytorch_tanh", "gelu_fast"}),  # all of them run as tanh computes it
        fixed={"position_embedding_type": ("absolute",), "is_decoder": (False,), "add_cross_attention": (False,)},
        defaults={"layer_norm_eps": 1e-12, "type_vocab_size": 2, "max_position_embeddings": 512},
        sizes={Size.POSITIONS: ("max_position_embeddings",), Size.TOKEN_TYPES: ("type_vocab_size",)},
        # the pooler is a layer for a task of its training, of which no vector is made
        ignored=("pooler.", "bert.pooler.", "cls."),
        renamed={"bert.encoder.layer.": "model.layers.", "encoder.layer.": "model.layers.", "bert.": ""},
        is_encoder=True,
    ),
}
