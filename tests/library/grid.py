"""Every architecture of llama.cpp with every header spoilt in the same ways, and the forks that they are loaded in.

A case is a file. What the check lets pass, llama.cpp must load, refuse, or run for a step: it must not die of it.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.formats import FormatError
from backends.formats.gguf_loadable import check_loadable
from backends.formats.gguf_tables import ARCHITECTURES
from tests.library import sound
from tests.library.gguf_draft import ARRAY, F32, I32, U32, Draft, Setting, llama

Spoil = Callable[[Draft, bytes], None]
PER_CHILD = 400
KINDS = {int: U32, float: F32}


def drop(*parts: bytes) -> Spoil:
    """Every setting of the architecture whose name begins so."""

    def spoil(draft: Draft, name: bytes) -> None:
        starts = tuple(name + b"." + part for part in parts)
        draft.settings = [each for each in draft.settings if not each.key.startswith(starts)]

    return spoil


def put(**values: object) -> Spoil:
    """Settings of the architecture; "__" stands for a dot."""

    def spoil(draft: Draft, name: bytes) -> None:
        for key, value in values.items():
            full = name + b"." + key.replace("__", ".").encode()
            draft.settings = [each for each in draft.settings if each.key != full]
            if isinstance(value, list):
                draft.settings.append(Setting(full, ARRAY, value, I32))
            else:
                draft.settings.append(Setting(full, KINDS[type(value)], value))

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(draft: Draft, name: bytes) -> None:
        for each in spoils:
            each(draft, name)

    return spoil


EXPERTS = put(expert_count=4, expert_used_count=2, expert_feed_forward_length=64)
RECURRENT = put(ssm__conv_kernel=4, ssm__inner_size=64, ssm__state_size=16, ssm__time_step_rank=4, ssm__group_count=1)
SPOILS: dict[str, Spoil] = {
    "as Llama has it": put(),
    "with experts": EXPERTS,
    "without heads": drop(b"attention.head_count"),
    "without attention": drop(b"attention."),
    "without rope": drop(b"rope."),
    "without feed forward": drop(b"feed_forward"),
    "heads in some layers": put(attention__head_count=[0, 4], attention__head_count_kv=[0, 2]),
    "recurrent": RECURRENT,
    "recurrent, experts, no attention": both(RECURRENT, EXPERTS, drop(b"attention.head_count")),
    "nothing but sizes": drop(b"attention.", b"rope.", b"feed_forward", b"vocab_size"),
}


PARTS = {  # settings that matter only to a model with such tensors
    "expert": "_exps",
    "ssm.": "ssm_",
    "kda.": "ssm_",
    "wkv.": "time_mix",
    "time_": "time_mix",
    "token_shift": "time_mix",
    "shortconv.": "shortconv",
    "attention.indexer.": "indexer",
    "posnet.": "posnet",
    "convnext.": "convnext",
    "attention.group_norm": "posnet",
    "interleave_moe": "_exps",
    "moe_": "_exps",
    "leading_dense": "_exps",
    "attention.q_lora": "attn_q_a",
    "attention.kv_lora": "attn_kv_a",
    "attention.relative": "rel_b",
    "attn_res.": "attn_res",
    "features_length": "conv1d",
    **dict.fromkeys(
        ("attention.decay_lora", "attention.iclr", "attention.value_res", "attention.gate_lora"), "time_mix"
    ),
}
IDLE = ("activation.", "use_parallel", "logit_scale", "residual_scale", "pooling_type", "vocab_size")
VALUES: dict[str, object] = {"missing": None, "0": 0, "1": 1, "3": 3, "zeros": "zeros"}


def settings_of(label: str) -> list[str]:
    """The settings of a sound model that its architecture is likely to read."""
    tensors = " ".join(tensor.name.decode() for tensor in sound.models()[label].tensors)
    name, has_experts = sound._parts(label)
    keys = [key for key in sound.settings(name, has_experts) if not key.startswith(IDLE)]
    needs = {key: next((part for start, part in PARTS.items() if key.startswith(start)), "") for key in keys}
    return [key for key in keys if needs[key] in tensors]


def sound_names() -> Iterator[str]:
    """Every sound model as it is, and with every setting spoilt: "architecture: setting = value"."""
    for label in sound.models():
        yield f"{label}: sound"
        yield from (f"{label}: {key} = {value}" for key in settings_of(label) for value in VALUES)


def spoilt(label: str, change: str) -> Draft:
    made = copy.deepcopy(sound.models()[label])
    if change == "sound":
        return made
    key, _, value = change.partition(" = ")
    full = f"{sound._parts(label)[0]}.{key}".encode()
    old = made.setting(full)
    at = made.settings.index(old)
    if value == "missing":
        made.settings.pop(at)
    elif value == "zeros":
        made.settings[at] = Setting(full, ARRAY, [0] * 32, F32 if old.type == F32 or old.element == F32 else I32)
    else:
        kind = old.type if old.type != ARRAY else old.element
        made.settings[at] = Setting(full, kind, int(value))
    return made


def typed(label: str, tensor: str, type_: int) -> Draft:
    """With every such tensor, whatever its layer, of another type."""
    made = copy.deepcopy(sound.models()[label])
    named = [each for each in made.tensors if each.name.decode().endswith(tensor)]
    assert named
    for each in named:
        each.type = type_
    return made


def bare(label: str, tensor: str) -> Draft:
    """Without it, in every layer."""
    made = copy.deepcopy(sound.models()[label])
    before = len(made.tensors)
    made.tensors = [each for each in made.tensors if not each.name.decode().endswith(tensor)]
    assert len(made.tensors) < before
    return made


def having(label: str, **values: object) -> Draft:
    """With settings of the architecture, as `put` names them."""
    made = copy.deepcopy(sound.models()[label])
    put(**values)(made, sound._parts(label)[0].encode())
    return made


def draft(architecture: str, spoil: str) -> Draft:
    if spoil not in SPOILS:
        return spoilt(architecture, spoil)
    made = llama(architecture)
    SPOILS[spoil](made, architecture.encode())
    return made


def names() -> Iterator[str]:
    """Every case: "architecture: how it is spoilt"."""
    yield from (f"{architecture}: {spoil}" for architecture in sorted(ARCHITECTURES) for spoil in SPOILS)


def write(path: Path, made: Draft) -> Path:
    raw = made.header()
    path.write_bytes(raw)
    os.truncate(path, -(-len(raw) // 32) * 32 + made.data_bytes)  # weights of zeros, which take no room
    return path


def run(cases: list[str]) -> dict[str, str | None]:
    """Case -> None, or how llama.cpp died of it. What the check refuses is not loaded."""
    results: dict[str, str | None] = dict.fromkeys(cases)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    for start in range(0, len(cases), PER_CHILD):
        with tempfile.TemporaryDirectory(prefix="grid-", dir=memory) as name:
            folder = Path(name)
            for number, case in enumerate(cases[start : start + PER_CHILD]):
                path = write(folder / f"{number}.gguf", draft(*case.split(": ", 1)))
                try:
                    check_loadable(path)
                except FormatError:
                    path.unlink()
            for file, how in _deaths(folder).items():
                results[cases[start + int(Path(file).stem)]] = how
    return results


def deaths(drafts: dict[str, Draft]) -> dict[str, str]:
    """Name -> how llama.cpp died of it, of those that it dies of; nothing is checked before."""
    with tempfile.TemporaryDirectory(prefix="grid-") as name:
        for number, made in enumerate(drafts.values()):
            write(Path(name) / f"{number}.gguf", made)
        names = list(drafts)
        return {names[int(Path(file).stem)]: how for file, how in _deaths(Path(name)).items()}


def _deaths(folder: Path) -> dict[str, str]:
    """Each file in a fork of one child that has loaded llama.cpp."""
    command = [sys.executable, "-m", "tests.bench.fuzz_gguf", "--child", "load", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    report = json.loads(done.stdout.splitlines()[-1])
    return {death["file"]: f"{death['how']} {' '.join(death['words'])}" for death in report["deaths"]}
