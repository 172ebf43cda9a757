"""`studies predict`: the models of a run on questions without labels [edge]."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llava_core.errors import InputError
from studies.catalog.outputs import read_summary
from studies.catalog.predictor import read_method
from studies.predictions import build_predictions, write_predictions
from studies.progress import Progress


def predict_with(
    run_path: Path,
    *,
    data: Path,
    out: Path,
    progress: Progress,
    llm_answers: Sequence[Path] = (),
    features: Path | None = None,
    method: str | None = None,
) -> Path:
    """Apply a saved method of a run to questions and write a predictions table.

    Parameters
    ----------
    run_path : Path
        Folder of a finished run.
    data : Path
        Data set, labelled or not; labels are not looked at.
    out : Path
        Parquet file to write.
    progress : Progress
    llm_answers : sequence of Path
        For a method that reads published answers: the same models as in the run, by file name.
    features : Path, optional
        Feature store of the questions, for a method that reads LLaVA's features. Without it, they are
        extracted with the run's own LLaVA.
    method : str, optional
        The run's own choice if not given.

    Raises
    ------
    InputError
        If the run, the method, or something the method needs is missing.
    """
    from llava_core.data.load import load_dataset
    from llava_core.evaluation.scienceqa import read_answers
    from studies.design import option_table

    summary = read_summary(run_path)
    name = method or summary["choice"]["method"]
    predict = read_method(run_path, name)
    progress.stage(f"read {data.name}")
    dataset = load_dataset(data)
    answers = [read_answers(path, dataset) for path in llm_answers]
    examples = dataset.examples
    table = option_table(examples, answers=answers)
    progress.stage(f"predict with {name}")
    try:
        prob = predict(table.frame, table.questions)
    except (KeyError, ValueError) as error:
        raise InputError(f"method {name} cannot read these questions: {error}", path=data) from None
    frame = build_predictions(
        name,
        example_ids=table.example_ids,
        option_index=table.option_index,
        y=np.asarray(table.y),
        prob=prob,
        seed=int(summary["provenance"]["seed"]),
    )
    return write_predictions(frame, out)
