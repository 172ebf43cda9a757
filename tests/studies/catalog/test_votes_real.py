"""The plurality vote of the four published answer files on real ScienceQA, the partial copy."""

from pathlib import Path

import numpy as np
import pytest

from llava_core.data.load import load_dataset
from llava_core.evaluation.answers import read_answers
from studies.catalog.votes import chosen_options, plurality

NAMES = ("llava_13b_lcs558k", "llava_13b", "llava_1.5_13b_zero_shot", "gpt3_2shot_cot")


@pytest.mark.scienceqa
def test_vote_of_the_four_files(scienceqa_dir: Path) -> None:
    data = load_dataset(scienceqa_dir)
    test = data.split("test")
    files = [read_answers(scienceqa_dir / "llm_answers" / f"{name}.json", data) for name in NAMES]
    voted = plurality(chosen_options(test, files), order=[0, 1, 2, 3])
    assert int(np.sum(voted == [e.answer for e in test])) == 2918
