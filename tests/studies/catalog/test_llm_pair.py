import numpy as np
import pytest

from llava_core.data.example import Example
from llava_core.errors import InputError
from llava_core.evaluation.answers import PublishedAnswers
from studies.catalog.llm_pair import complement, disagreement, either, judged, said
from studies.spec.base import from_json, resolve, to_json
from studies.spec.ensemble import EnsembleSpec


def test_the_rules_against_the_paper_told_question_by_question() -> None:
    rng = np.random.default_rng(0)
    first, second, verdict = rng.integers(-1, 4, (3, 500))
    right = rng.integers(0, 4, 500)
    told: dict[str, list[int]] = {"complement": [], "judge": [], "either": []}
    for a, b, v, key in zip(first, second, verdict, right, strict=True):
        told["complement"].append(b if a == -1 else a)
        told["judge"].append(a if a == b else (b if v == -1 else v))
        told["either"].append(key if key in (a, b) else b)
    assert complement(first, second).tolist() == told["complement"]
    assert judged(first, second, verdict).tolist() == told["judge"]
    bound = either(first, second, right)
    assert ((bound == right) == (np.array(told["either"]) == right)).all()
    assert ((complement(first, second) == right) <= (bound == right)).all()


def test_two_that_agree_need_no_judge() -> None:
    same = np.array([0, 1, -1])
    assert not disagreement(same, same).any()
    assert judged(same, same, np.array([2, 2, 2])).tolist() == [0, 1, -1]


def test_a_guess_in_place_of_an_answer_is_an_abstention() -> None:
    examples = [
        Example(id=pid, question="?", options=("a", "b"), answer=0, split="test", group=pid) for pid in "xyz"
    ]
    file = PublishedAnswers(
        name="gpt",
        chosen={"x": 1, "y": 1, "z": 0},
        parsed={"x": True, "y": False, "z": True},
        texts={"x": "The answer is B.", "y": "I cannot see the image."},
        strict={"x": 1, "y": -1, "z": -1},
        n_unparsed=1,
        n_beyond=0,
        n_guessed=1,
        n_unknown=0,
    )
    assert said(file, examples).tolist() == [1, -1, 0]  # z has no text, only an index


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["llm_pair=a"], "allowed are two names"),
        (["llm_pair=a,a"], "allowed are two names"),
        (["llm_pair=a,c"], "got 'c', allowed are a, b"),
        (["llm_pair=asked,a"], "which says who"),
        (["llm_pair=a,b", "llm_model=m", "llm_local=f"], "got llm_model beside llm_local"),
        (["llm_model=m"], "got llm_model without llm_pair"),
        (["llm_verdicts=v.json"], "got llm_verdicts without llm_pair"),
    ],
)
def test_a_pair_that_cannot_be_joined_is_refused(settings: list[str], told: str, tmp_path) -> None:
    files = (tmp_path / "a.json", tmp_path / "b.json")
    with pytest.raises(InputError) as raised:
        resolve(EnsembleSpec, "s", settings=settings, llm_answers=files)
    assert told in str(raised.value)


def test_a_pair_survives_the_run_folder(tmp_path) -> None:
    files = (tmp_path / "a.json", tmp_path / "b.json")
    spec = resolve(EnsembleSpec, "s", settings=["llm_pair=a,b", "llm_verdicts=v.json"], llm_answers=files)
    assert from_json(EnsembleSpec, to_json(spec), path=tmp_path) == spec
