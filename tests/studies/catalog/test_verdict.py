from typing import Any

from studies.catalog.verdict import verdict


def method(name: str, value: float, kind: str = "ladder", **more: Any) -> dict[str, Any]:
    accuracy = {"value": value, "low": value - 0.02, "high": value + 0.02, "level": 0.95, "n": 1000}
    return {
        "name": name,
        "label": name,
        "kind": kind,
        "status": "ok",
        "error": None,
        "accuracy": accuracy,
        **more,
    }


def comparison(a: str, b: str, value: float, half: float, p_holm: float = 0.001) -> dict[str, Any]:
    return {
        "a": a,
        "b": b,
        "difference": {"value": value, "low": value - half, "high": value + half, "level": 0.95},
        "gains": 50,
        "losses": 20,
        "p_holm": p_holm,
    }


def say(methods: list[dict[str, Any]], comparisons: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return verdict(methods, comparisons, evaluated_on="test part", reference="llava", **more)


def test_words_follow_the_interval_not_the_sign() -> None:
    methods = [method("xgboost", 0.75), method("llava", 0.70, "llm")]
    for half, word in ((0.01, "a clear gain"), (0.06, "open")):
        assert word in say(methods, [comparison("xgboost", "llava", 0.05, half)])["sentence"]
    assert "a clear loss" in say(methods, [comparison("xgboost", "llava", -0.05, 0.01)])["sentence"]


def test_a_gain_that_does_not_survive_the_correction_is_open() -> None:
    methods = [method("xgboost", 0.75), method("llava", 0.70, "llm")]
    for p_holm, word in ((0.049, "lost, a clear gain."), (0.06, "lost, open after Holm's correction.")):
        rows = [comparison("xgboost", "llava", 0.05, 0.01, p_holm)]
        assert say(methods, rows)["sentence"].endswith(word)
    wide = [comparison("xgboost", "llava", 0.05, 0.06)]
    assert say(methods, wide)["sentence"].endswith("lost, open.")


def test_the_sentence_is_about_the_chosen_ensemble_not_the_winner_of_the_test() -> None:
    methods = [method("xgboost", 0.75), method("stacking", 0.78, "stack"), method("llava", 0.9, "llm")]
    told = say(methods, [], chosen="xgboost")["sentence"]
    assert told.startswith("xgboost, chosen beforehand, gets 75.0 % [73.0\u201377.0] of 1,000 questions")
    assert say(methods[::-1], [])["sentence"].startswith("stacking gets 78.0 %")


def test_a_gain_that_needs_shared_families_is_called_so() -> None:
    methods = [method("xgboost", 0.75), method("llava", 0.70, "llm")]
    official = [comparison("xgboost", "llava", 0.05, 0.01)]
    for value, told in ((0.001, True), (0.04, False)):
        removed = {
            "methods": [method("xgboost", 0.70 + value)],
            "comparisons": [comparison("xgboost", "llava", value, 0.01)],
        }
        details = " ".join(say(methods, official, removed=removed)["details"])
        assert ("lives only in the official split" in details) is told


def test_a_failed_check_is_told_first() -> None:
    checks = [
        {"name": "noise floor", "status": "fail", "found": 0, "detail": "0.61 on shuffled labels"},
        {"name": "folds", "status": "pass", "found": 0, "detail": ""},
    ]
    details = say([method("xgboost", 0.75)], [], checks=checks)["details"]
    assert details[0] == "The check of noise floor failed: 0.61 on shuffled labels."
    assert not any("folds" in detail for detail in details)


def test_failures_are_told() -> None:
    broken = method("lightgbm", 0.33, status="failed", error="ValueError: no")
    assert "lightgbm failed" in " ".join(say([method("xgboost", 0.75), broken], [])["details"])
    assert "every method" in say([broken], [])["sentence"]


def test_the_gain_over_the_plain_vote_is_told_before_that_over_the_best_model() -> None:
    methods = [
        method("stacking_with_llm", 0.93, "stack"),
        method("llm_vote", 0.92, "baseline"),
        method("llava", 0.91, "llm"),
    ]
    rows = [comparison("stacking_with_llm", rival, gain, 0.005) for rival, gain in
            (("llava", 0.02), ("llm_vote", 0.01))]  # fmt: skip
    removed = {"methods": methods, "comparisons": rows}
    told = say(methods, rows, removed=removed)
    for text in (told["sentence"], " ".join(told["details"])):
        assert text.count("a clear gain") == 2
        assert text.index("+1.0 points") < text.index("+2.0 points")
