import numpy as np

from studies.stats import donor_rows

SIZES = (2, 3, 3, 4, 2, 3, 5, 2)


def rows(seed: int = 0, *, mixed: bool = False) -> np.ndarray:
    questions = np.repeat(np.arange(len(SIZES)) * 7 + 3, SIZES)
    return np.random.default_rng(seed).permutation(questions) if mixed else questions


def test_a_question_borrows_from_one_other_option_by_option() -> None:
    for mixed in (False, True):
        questions = rows(mixed=mixed)
        donor = donor_rows(questions, np.random.default_rng(5))
        assert sorted(donor) == list(range(len(questions)))
        for question, size in zip(np.unique(questions), SIZES, strict=True):
            own = np.flatnonzero(questions == question)
            givers = set(questions[donor[own]])
            assert len(givers) == 1
            assert (givers == {question}) == (SIZES.count(size) == 1)
            # Option by option: the first row from the giver's first row, and so on.
            assert donor[own].tolist() == np.flatnonzero(questions == givers.pop()).tolist()


def test_parts_do_not_lend_to_each_other() -> None:
    questions = np.repeat(np.arange(40), 3)
    part = (questions % 4 == 0).astype(int)
    donor = donor_rows(questions, np.random.default_rng(0), part=part)
    assert np.array_equal(part[donor], part)
    assert (questions[donor] != questions).all()


def test_every_other_question_can_be_the_giver() -> None:
    questions = np.repeat(np.arange(4), 2)
    seen = {int(questions[donor_rows(questions, np.random.default_rng(seed))[0]]) for seed in range(60)}
    assert seen == {1, 2, 3}
