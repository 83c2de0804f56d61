"""What the attacks on hung engines have in common: models made of the guide, and a machine that is busy."""

import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from app.guide import GUIDE_DIR
from app.jobs.convert import convert_checkpoint

ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@cache
def models() -> Path:
    """A folder with `guide.gguf`, `other.gguf` and `endless.gguf`, whose template never ends. Made once a run."""
    folder = Path(tempfile.mkdtemp(prefix="slipstream-attacks-"))
    made = folder / "models"
    made.mkdir()
    convert_checkpoint(GUIDE_DIR, made / "guide.gguf", "f16", logs=folder)
    shutil.copy(made / "guide.gguf", made / "other.gguf")
    checkpoint = folder / "endless"
    checkpoint.mkdir()
    for file in GUIDE_DIR.glob("*.*"):
        if file.suffix in (".json", ".safetensors"):
            shutil.copy(file, checkpoint)
    settings = json.loads((checkpoint / "tokenizer_config.json").read_text())
    settings["chat_template"] = ENDLESS + settings["chat_template"]
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    convert_checkpoint(checkpoint, made / "endless.gguf", "f16", logs=folder)
    return made


def forget_models() -> None:
    if models.cache_info().currsize:
        shutil.rmtree(models().parent)
        models.cache_clear()


@contextmanager
def busy_machine(num_processes: int) -> Iterator[None]:
    """So many processes want a core all the time."""
    context = multiprocessing.get_context("spawn")
    burners = [context.Process(target=_burn, daemon=True) for _ in range(num_processes)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()
            burner.close()


def _burn() -> None:
    while True:
        pass
