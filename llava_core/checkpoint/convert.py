"""Any LLaVA, or a pair of models, written as a checkpoint of ours [edge]."""

from dataclasses import replace
from pathlib import Path

import torch

from llava_core.checkpoint.folder import MARKS, save_checkpoint
from llava_core.checkpoint.join import join_models
from llava_core.checkpoint.load import load_checkpoint
from llava_core.checkpoint.original import load_projector, projector_file_kind
from llava_core.data.prompts import find_prompt
from llava_core.errors import InputError
from llava_core.folders import check_replaceable
from llava_core.model.projector import PROJECTORS

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def convert_model(
    source: str | None,
    out: Path,
    *,
    clip: str | None = None,
    llm: str | None = None,
    projector: str = "linear",
    template: str = "v1",
    prompt: str | None = None,
    dtype: str = "bfloat16",
) -> Path:
    """Write a checkpoint of ours and return its folder.

    Parameters
    ----------
    source : str or None
        LLaVA, folder or hub name; None to join ``clip`` and ``llm``.
    out : Path
    clip, llm : str, optional
        Folder or hub name.
    projector : str
        Of a joined model: a kind, or the file of a stage 1 in the original layout.
    template : str
        How a model of others is asked.
    prompt : str, optional
        How it is asked multiple-choice questions, as for `load_checkpoint`.
    dtype : str
        Key of `DTYPES`.

    Raises
    ------
    InputError
        If the models are not there, not ours to load, or do not fit each other.
    """
    if dtype not in DTYPES:
        raise InputError(f"got {dtype!r}, allowed are {', '.join(DTYPES)}", field="dtype")
    if prompt is not None:
        find_prompt(prompt)
    precision = DTYPES[dtype]
    sources = {"source": source, "clip": clip, "llm": llm, "projector": projector}
    check_replaceable(out, marks=MARKS, sources=sources)
    if source is not None:
        if llm is not None:
            raise InputError("got --llm beside --source, allowed is one of both", field="llm")
        if projector != "linear":
            raise InputError("got --projector beside --source, which has its own", field="projector")
        bundle = load_checkpoint(source, dtype=precision, clip=clip, template=template)
        stage = "converted"
    else:
        if clip is None or llm is None:
            raise InputError("got neither --source nor both --clip and --llm", field="source")
        file = None if projector in PROJECTORS else Path(projector)
        if file is not None and not file.is_file():
            raise InputError(
                f"got {projector!r}, allowed are {', '.join(PROJECTORS)} and a file", field="projector"
            )
        kind = projector if file is None else projector_file_kind(file)
        bundle = join_models(clip, llm, projector=kind, template=template, dtype=precision)
        if file is not None:
            load_projector(file, bundle)
        stage = "joined"
    if prompt is not None:
        bundle = replace(bundle, prompt=prompt)
    return save_checkpoint(bundle, out, stage=stage, seen_ids=bundle.seen_ids, dtype=None)
