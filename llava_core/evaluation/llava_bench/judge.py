"""The run of a judge over all questions, into a file that a later run goes on with [edge].

There is one try per question: asking again until a reply can be read would choose among the judge's moods. A
reply that cannot be read is a review without scores, kept with its text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llava_core.backends.asking import Outcome, ask_all
from llava_core.backends.budget import Budget
from llava_core.backends.cache import ReplyCache
from llava_core.backends.chat import Backend, Reply, Request
from llava_core.drafts import whole_file
from llava_core.evaluation.llava_bench.prompt import (
    MAX_TOKENS,
    TEMPERATURE,
    judge_request,
    prompt_key,
    read_scores,
    wording,
)
from llava_core.evaluation.llava_bench.questions import Comparison
from llava_core.evaluation.llava_bench.reviews import WILD_PREFIX, Review, kept_reviews, review_line
from llava_core.inference.answer_file import append_lines, settings_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One question in one order of the answers."""

    number: int
    """``id`` of its review."""
    comparison: Comparison
    swapped: bool
    request: Request

    @property
    def key(self) -> tuple[str, bool]:
        """What its review is known by."""
        return str(self.comparison.question.id), self.swapped


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a run of a judge comes to, known before anything is asked."""

    out: Path
    settings: str
    """Key of everything that makes the judge."""
    tasks: tuple[Task, ...]
    """All, in the order of the file."""
    kept: tuple[Review, ...]
    """Reviews that the file has already."""

    @property
    def left(self) -> list[Task]:
        """Tasks without a review."""
        there = {review.key for review in self.kept}
        return [task for task in self.tasks if task.key not in there]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What came of a run, the reviews before it included."""

    n_reviews: int
    n_malformed: int
    """Reviews without scores."""
    n_failed: int
    """Requests that got no reply; another run asks them again."""
    n_unasked: int
    """Requests that the budget did not cover."""
    problem: str | None
    """Why the first one failed."""


def plan_run(
    backend: Backend,
    compared: Sequence[Comparison],
    out: Path,
    *,
    n_questions: int,
    swap: bool = False,
    temperature: float = TEMPERATURE,
) -> Plan:
    """Return what is to be asked, and which reviews the file has already.

    Parameters
    ----------
    backend : Backend
    compared : sequence of Comparison
    out : Path
        File of reviews; it need not exist.
    n_questions : int
        In the file of questions, those not compared included: swapped reviews are numbered after them.
    swap : bool
        Ask every question a second time with the candidate shown first; these come after all others.
    temperature : float
        The published one if not given.

    Raises
    ------
    InputError
        If the file holds anything else than reviews of this judge, these questions and these answers.
    """
    settings = settings_key(
        {
            "judge": backend.name,
            "temperature": temperature,
            "max_tokens": MAX_TOKENS,
            "wording": wording(),
        }
    )
    tasks = tuple(
        Task(
            number=n_questions * swapped + comparison.number,
            comparison=comparison,
            swapped=swapped,
            request=judge_request(comparison, swapped=swapped, temperature=temperature),
        )
        for swapped in ((False, True) if swap else (False,))
        for comparison in compared
    )
    prompts = {task.key: prompt_key(task.request) for task in tasks}
    kept = kept_reviews(out, settings=settings, prompts=prompts)
    return Plan(out=out, settings=settings, tasks=tasks, kept=tuple(kept))


def run_judge(
    backend: Backend,
    plan: Plan,
    *,
    cache: ReplyCache,
    budget: Budget | None = None,
    concurrency: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Tally:
    """Ask for the reviews that are missing, and leave the file in the order of the tasks.

    Each review is in the file before the next is waited for. A reply without scores is kept as a review with
    its text and the scores -1; a request without a reply leaves none.

    Raises
    ------
    InputError
        If no request can succeed, e.g. for a wrong key. Reviews that came before are in the file.
    """
    left = {task.request.id: task for task in plan.left}
    kinds: list[str] = []
    problem: str | None = None
    outcomes: Iterator[Outcome[tuple[float, float]]] = ask_all(
        backend, [task.request for task in left.values()], _read, cache=cache, budget=budget,
        concurrency=concurrency, progress=progress,
    )  # fmt: skip
    reviews = list(plan.kept)
    for outcome in outcomes:
        kinds.append(outcome.kind)
        if outcome.kind in ("read", "malformed"):
            reviews.append(_review(left[outcome.request.id], outcome, backend.name, plan.settings))
            append_lines(plan.out, [review_line(reviews[-1])])
        elif outcome.kind == "failed":
            problem = problem or outcome.problem
    ordered = sorted(reviews, key=lambda review: (review.swapped, review.id))
    if ordered != reviews:
        _replace(plan.out, [review_line(review) for review in ordered])
    return Tally(
        n_reviews=len(reviews),
        n_malformed=sum(review.scores is None for review in reviews),
        n_failed=kinds.count("failed"),
        n_unasked=kinds.count("unasked"),
        problem=problem,
    )


def _read(_: Request, reply: Reply) -> tuple[float, float]:
    return read_scores(reply.text)


def _review(task: Task, outcome: Outcome[tuple[float, float]], judge: str, settings: str) -> Review:
    comparison = task.comparison
    shown = (comparison.reference.id, comparison.candidate.id)
    prefix = WILD_PREFIX if comparison.context.kind == "wild" else ""
    return Review(
        id=task.number,
        question_id=comparison.question.id,
        answer1_id=shown[task.swapped],
        answer2_id=shown[not task.swapped],
        category=prefix + comparison.question.category,
        content=outcome.texts[-1],
        scores=outcome.value,
        swapped=task.swapped,
        judge=judge,
        settings=settings,
        prompt=prompt_key(task.request),
    )


def _replace(path: Path, lines: Sequence[str]) -> None:
    with whole_file(path) as draft:
        append_lines(draft, lines)
