"""Agreement of finders of noun phrases with 200 annotated captions, and their speed.

    python benchmarks/noun_phrases.py [--finder rules spacy:en_core_web_sm] [--show] [FILE ...]

The captions stand in tests/llava_core/concepts. Captions, annotation and rules are by one author, who had
written both halves before the rules: the first half was looked at while the rules were made, the second
one once, afterwards. Both are easier than captions by strangers. Files of one's own, one caption a line
with [each phrase] in brackets, are scored the same way. ``--show`` prints what is found too much and too
little.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from llava_core.concepts.agreement import AnnotatedCaption, measure_agreement, phrases_found, read_annotated
from llava_core.concepts.finders import Finder, finder_version, load_finder

HERE = Path(__file__).resolve().parents[1] / "tests" / "llava_core" / "concepts"
HALVES = (HERE / "captions_tuning.txt", HERE / "captions_held_out.txt")
AT_LEAST_S = 1.0
"""CPU-seconds that speed is measured over."""


def captions_per_cpu_s(find: Finder, annotated: list[AnnotatedCaption]) -> float:
    """Return the speed of a finder that has seen the captions before."""
    captions = [told.caption for told in annotated]
    n_captions, began = 0, time.process_time()
    while time.process_time() - began < AT_LEAST_S:
        for _ in find(captions):
            pass
        n_captions += len(annotated)
    return n_captions / (time.process_time() - began)


def show(find: Finder, annotated: list[AnnotatedCaption]) -> None:
    """Print the captions in which finder and annotation differ."""
    for told, phrases in zip(annotated, phrases_found(find, annotated), strict=True):
        found, wanted = Counter(phrases), Counter(told.phrases)
        if found != wanted:
            extra, missed = sorted((found - wanted).elements()), sorted((wanted - found).elements())
            print(f"    {told.caption}\n        too much: {extra}, too little: {missed}")


def main() -> None:
    """Print a table, a row for each finder and file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", default=HALVES)
    parser.add_argument("--finder", nargs="+", default=["rules"])
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    print("| finder | captions | phrases | precision | recall | F1 | captions / CPU-s |")
    print("|---|---|---|---|---|---|---|")
    for name in given.finder:
        find = load_finder(name)
        for path in given.files:
            annotated = read_annotated(path)
            told = measure_agreement(find, annotated)
            print(
                f"| {finder_version(name)} | {path.stem}, {len(annotated)} | {told.n_annotated} "
                f"| {told.precision:.3f} | {told.recall:.3f} | {told.f1:.3f} "
                f"| {captions_per_cpu_s(find, annotated):.0f} |",
                flush=True,
            )
            if given.show:
                show(find, annotated)


if __name__ == "__main__":
    main()
