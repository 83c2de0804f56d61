"""Opens the model that guesses, where there is one that can serve the target."""

from contextlib import ExitStack
from dataclasses import replace

from backends.engine.runner import LoadError
from backends.formats import FormatError
from backends.formats.gguf import read_header
from backends.formats.kv_shape import KVShape
from backends.llama.allowance import Allowance
from backends.llama.context_making import make_context
from backends.llama.defaults import with_defaults
from backends.llama.first_checks import check_generates
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import ALL_LAYERS
from backends.llama.runner import LlamaRunner
from backends.llama.target import Target
from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import DraftMode, FlashAttention, KVType, Placement


def open_draft(target: Target, notes: list[str], resources: ExitStack) -> LlamaRunner | None:
    """The draft model's runner; None, with a note, when it cannot serve this target."""
    options, layout, planned = target.options, target.layout, _placement(target)
    layers = planned.gpu_layers
    on_gpu = layers > 0
    path = options.draft_model
    if path is None or options.draft not in (DraftMode.AUTO, DraftMode.MODEL) or target.runner.max_draft == 0:
        return None
    with ExitStack() as attempt:
        try:
            draft = attempt.enter_context(NativeModel(path, layers, options.extra_buffer_types, placement=planned))
            check_generates(draft, path)
            if difference := _difference(target.model.vocabulary, draft):
                notes.append(f"{path.name} cannot draft for this model: {difference}.")
                return None
            plain = replace(options, kv_type_k=KVType.F16, kv_type_v=KVType.F16, flash_attention=FlashAttention.AUTO)
            plain = with_defaults(draft, plain, layers)
            following = target.threads.of_draft() if target.threads and not on_gpu else None
            context = attempt.enter_context(make_context(draft, plain, layout, following))
            per_token = KVShape.of(read_header(path)).bytes_per_token(plain.kv_type_k, plain.kv_type_v)
        except (NativeError, LoadError, FormatError) as error:
            notes.append(f"The draft model {path.name} could not be loaded ({error}).")
            return None
        resources.enter_context(attempt.pop_all())
    return LlamaRunner(context, context.num_slots, layout.limit, Allowance(per_token, context.cache_shares))


def _placement(target: Target) -> Placement:
    """Where its target is; by a plan on the first GPU that has some of it, or in RAM."""
    if not target.is_on_gpu:
        return Placement(0)
    if (planned := target.options.placement) is None:
        return Placement(ALL_LAYERS)
    first = next((at for at, count in enumerate(planned.split) if count), 0)
    return Placement(planned.draft_gpu_layers, split=(*(0,) * first, planned.draft_gpu_layers))


def _difference(target: NativeVocabulary, draft: NativeModel) -> str | None:
    """What keeps the draft from serving. The tokens are compared: vocabularies of one size may still differ."""
    own = draft.vocabulary
    if draft.is_recurrent:
        return "its architecture cannot take a guess back"
    if target.num_tokens != own.num_tokens:
        return f"its vocabulary has {own.num_tokens} tokens instead of {target.num_tokens}"
    for token in range(target.num_tokens):
        if target.piece(token, special=True) != own.piece(token, special=True):
            return f"token {token} of its vocabulary differs"
    return None


def draft_name(target: Target, draft: LlamaRunner | None) -> str:
    """Who guesses, in words."""
    options = target.options
    if target.runner.max_draft == 0 or options.draft is DraftMode.OFF:
        return "off"
    sources = ["lookup"] if options.draft in (DraftMode.AUTO, DraftMode.LOOKUP) else []
    if draft and options.draft_model:
        sources.append(options.draft_model.stem)
    return " + ".join(sources) or "off"
