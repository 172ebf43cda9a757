from pathlib import Path

import pytest

from llava_core.concepts.agreement import AnnotatedCaption, measure_agreement, read_annotated
from llava_core.concepts.finders import load_finder
from llava_core.concepts.phrases import PhraseForm, phrase_text
from llava_core.concepts.rules import find_noun_phrases
from llava_core.errors import InputError

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("half", "precision", "recall"),
    [("captions_tuning", 0.99, 0.99), ("captions_held_out", 0.97, 0.97)],
)
def test_rules_agree_with_the_annotation(half: str, precision: float, recall: float) -> None:
    annotated = read_annotated(HERE / f"{half}.txt")
    assert len({told.caption for told in annotated}) == 100
    told = measure_agreement(load_finder("rules"), annotated)
    assert told.precision >= precision
    assert told.recall >= recall


@pytest.mark.parametrize(
    ("caption", "phrases"),
    [
        ("The dog's tail and a man\u2019s hat", ["dog 's tail", "man 's hat"]),
        ("in front of the house", ["house"]),
        ("this is a truck", ["truck"]),
        ("soldiers march past", ["soldiers"]),
        ("a man fishing in the sea", ["man", "sea"]),
        ("a fishing net", ["fishing net"]),
        ("red and white striped flag", ["red and white striped flag"]),
        ("salt-and-pepper beard , close up", ["salt-and-pepper beard", "close up"]),
        ("they are waiting for him", []),
        ("!!! ... --", []),
        ("", []),
        ("42", []),
        ("\u732b \u306e \u5199\u771f", ["\u732b \u306e \u5199\u771f"]),
    ],
)
def test_single_rules(caption: str, phrases: list[str]) -> None:
    assert [phrase_text(words, PhraseForm()) for words in find_noun_phrases(caption)] == phrases


def test_long_captions_take_time_in_proportion() -> None:
    # Every pattern is tried at each place: a nested repetition would not come back from this.
    words = "red and white striped old very " * 2000
    assert find_noun_phrases(words + "cat")[-1][-1] == "cat"
    assert len(find_noun_phrases("a cat sits on " * 3000)) == 3000


def test_what_makes_two_phrases_one() -> None:
    words = ["The", "Old", "Dogs"]
    assert phrase_text(words, PhraseForm()) == "old dogs"
    assert phrase_text(words, PhraseForm(keep_case=True)) == "Old Dogs"
    assert phrase_text(words, PhraseForm(keep_articles=True)) == "the old dogs"
    assert phrase_text(words, PhraseForm(singular=True)) == "old dog"
    assert phrase_text(["a", "glass"], PhraseForm(singular=True)) == "glass"
    assert phrase_text(["his"], PhraseForm()) == ""


def test_agreement_counts_each_phrase_once() -> None:
    told = [AnnotatedCaption(caption="x", phrases=("cat", "cat", "mat"))]
    measured = measure_agreement(lambda captions: [[["cat"], ["dog"]]], told)
    assert (measured.precision, measured.recall, measured.f1) == (1 / 2, 1 / 3, 2 / 5)


def test_broken_brackets_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("[a cat] sits\n[a dog sits\n")
    with pytest.raises(InputError, match=r"line 2: got brackets that do not match"):
        read_annotated(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["nltk", "spacy:", "spacy"])
def test_unknown_finders_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="allowed is rules, or spacy:MODEL"):
        load_finder(name)


def test_spacy_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match=r"spaCy is not installed|allowed is an installed model"):
        load_finder("spacy:no_such_model")
