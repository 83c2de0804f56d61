"""Loads a GGUF file: chooses device, context and threads where the options leave them open, and says so."""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace

from backends.formats.gguf import makes_vectors
from backends.formats.kv_shape import KVShape
from backends.llama import native
from backends.llama.allowance import Allowance
from backends.llama.draft_model import draft_name, open_draft
from backends.llama.encoder_model import EncoderModel, load_encoder
from backends.llama.first_checks import check_adapters, check_cache, checked_header
from backends.llama.missing_gpu import missing_gpu
from backends.llama.model import LlamaModel
from backends.llama.native import NativeDevice
from backends.llama.placement import default_threads, device_name, gpu_memory, place, total_bytes
from backends.llama.pooler import LlamaPooler
from backends.llama.ranges import check_options
from backends.llama.runner import LlamaRunner
from backends.llama.target import Target, open_target
from backends.llama.template import chat_template
from backends.llama.threads import NativeThreads
from backends.protocol import Embedding, KVType, Load, Ready
from backends.sandbox.sandbox import Sandbox


def load(load: Load, report: Callable[[float], None], rendering: Sandbox | None = None) -> LlamaModel | EncoderModel:
    """Raises LoadError with a sentence for the person who asked. The model closes the sandbox of its chats."""
    begin = time.perf_counter()
    native.start()
    options, notes = load.options, list(load.notes)
    check_options(options)
    if makes_vectors(header := checked_header(load.model)):
        if rendering:
            rendering.close()
        return load_encoder(load, header, report)
    check_adapters(load.model, options)
    devices = native.devices()
    notes += missing_gpu(devices, options)
    placement = place(total_bytes(load.model, options.draft_model), options, devices)
    notes += [placement.note] if placement.note else []
    shape = check_cache(load.model, options, placement, devices)
    with ExitStack() as resources:
        rendering = resources.enter_context(rendering or Sandbox())
        threads = NativeThreads(options.threads or default_threads())
        resources.callback(threads.close)
        target = open_target(load.model, shape, options, placement, threads, notes, report, resources)
        pooler = resources.enter_context(closing(_pooler(target, shape, threads)))
        draft = open_draft(target, notes, resources)
        words = target.model.vocabulary
        template = chat_template(target.model.metadata.chat_template, words.named_tokens(), words.has_control)
        notes += template.probe(rendering)
        ready = _ready(load.name, target, draft, pooler.embedding, devices, time.perf_counter() - begin, tuple(notes))
        cell_bytes = shape.bytes_per_token(target.options.kv_type_k, target.options.kv_type_v)
        form = template.form
        ready = replace(
            ready,
            cell_bytes=cell_bytes,
            takes_tools=form.tools.takes_tools,
            thinks=form.reasoning.name is not None,
        )
        threads.end_load()
        return LlamaModel(target, draft, pooler, ready, template, rendering, resources.pop_all())


def _pooler(target: Target, shape: KVShape, threads: NativeThreads) -> LlamaPooler:
    options = target.options
    assert options.threads
    return LlamaPooler(
        target.model,
        target.layout.context,
        Allowance(shape.bytes_per_token(KVType.F16, KVType.F16), target.cache_shares),
        options.threads,
        options.flash_attention,
        threads.of_draft() if target.threads else None,  # its times are none of the answers'
        tuple(adapter.scale for adapter in options.adapters),
    )


def _ready(
    name: str,
    target: Target,
    draft: LlamaRunner | None,
    embedding: Embedding,
    devices: tuple[NativeDevice, ...],
    seconds: float,
    notes: tuple[str, ...],
) -> Ready:
    model, options, layout = target.model, target.options, target.layout
    return Ready(
        name=name,
        architecture=model.metadata.get("general.architecture") or "unknown",
        num_parameters=model.num_parameters,
        model_bytes=model.num_bytes,
        context=layout.context,
        context_trained=model.context_trained,
        parallel=options.parallel,
        num_layers=model.num_layers,
        gpu_layers=min(target.gpu_layers, model.num_layers + 1),  # llama.cpp counts the output layer, too
        device=device_name(target.gpu_layers, devices),
        threads=options.threads or 1,
        kv_type_k=options.kv_type_k,
        kv_type_v=options.kv_type_v,
        flash_attention=options.flash_attention,
        draft=draft_name(target, draft),
        build=native.version(),
        load_seconds=seconds,
        has_chat_template=model.metadata.chat_template is not None,
        adapters=options.adapters,
        notes=notes,
        kv_layout=layout.kind,
        kv_layout_reason=layout.reason,
        max_characters=layout.context * model.vocabulary.longest_text(),
        embedding=embedding,
        vocabulary=model.vocabulary.facts(),
        devices=gpu_memory(devices),
        gpu_bytes=target.gpu_bytes,
    )
