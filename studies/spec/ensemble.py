"""Settings of `ensemble_vs_llm`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from llava_core.errors import InputError
from llava_core.keys import tells_secret
from studies.spec.base import StudySpec

JOURNAL = "journal"
DEVICES = ("cpu", "cuda")
PASSWORD_IN_URL = (
    "got a URL with a password, which would stand in the run folder; allowed is one without: "
    "PostgreSQL reads it from PGPASSWORD or ~/.pgpass"
)
ASKED = "asked"
"""In ``llm_pair``: answers that the run asks a language model for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleSpec(StudySpec):
    """All that a run of `ensemble_vs_llm` depends on."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "default": {},
        # Frozen: what docs/results.md reports for published answers, to be run on questions nobody has looked
        # at. Whoever changes a default elsewhere leaves this figure as it was.
        "published": {
            "trials": 12, "folds": 4, "outer_folds": 5, "memory": "auto", "tune_timeout_s": None,
            "families_removed": True, "curve_trees": (), "curve_xgbs": (), "ablation": False,
            "n_boot": 2000, "level": 0.95,
        },
        # A smoke run for tests and examples: every step happens, no number of it means anything.
        "quick": {
            "trials": 2, "folds": 2, "outer_folds": 2, "limit": 60,
            "curve_trees": (1, 10), "curve_xgbs": (1, 2), "n_boot": 200,
        },
    }  # fmt: skip
    FREE_FIELDS: ClassVar[tuple[str, ...]] = ("jobs", "dask", "llm_concurrency", "llm_budget_tokens")

    llm_answers: tuple[Path, ...] = ()
    """Files of published LLM answers."""
    trials: int = 12
    """Tuning trials per method; 0 keeps the defaults of the members."""
    tune_timeout_s: float | None = None
    """Seconds that tuning of a method may take; such a run is not reproducible. None for no budget."""
    storage: str | None = None
    """Where trials are shared with ``studies tune-worker``: ``journal`` (in the run folder) or a database's
    URL; such a run is not reproducible. None for a run that does its trials alone."""
    folds: int = 4
    """Family-grouped folds of tuning and of out-of-fold predictions."""
    outer_folds: int = 5
    """Outer folds of the nested evaluation on published answers."""
    memory: str = "auto"
    """What text_memory keeps apart in training: auto, family or question."""
    curve_trees: tuple[int, ...] = (1, 3, 10, 30, 100)
    """Numbers of trees (forest) and rounds (XGBoost) of the curves; empty for no curve."""
    curve_xgbs: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of XGBoosts of the forest's curve."""
    ablation: bool = True
    """Refit XGBoost without each block of features, stacks without each member, and shuffle blocks."""
    families_removed: bool = True
    """Where train and test share families: the second figure, with the shared ones removed from training."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers do the fits, e.g. ``tcp://host:8786``."""
    device: str = "cpu"
    """Where XGBoost runs: cpu or cuda."""
    llm_pair: tuple[str, ...] = ()
    """Two LLMs to be joined: the one that may abstain, then LLaVA; stems of files of answers. ``asked``, as
    the first, is the language model below. Empty for no such method."""
    llm_verdicts: Path | None = None
    """What a judge replied where the two disagree; without it, the model below is asked."""
    llm_model: str | None = None
    """Language model behind an OpenAI-compatible endpoint; its key is ``OPENAI_API_KEY``."""
    llm_endpoint: str | None = None
    """Address up to ``/v1``; None for ``OPENAI_BASE_URL`` or OpenAI's own."""
    llm_local: str | None = None
    """In place of ``llm_model``: a chat model of transformers, folder or hub name."""
    llm_concurrency: int = 8
    """Requests to the language model that are under way at once."""
    llm_budget_tokens: int | None = None
    """Tokens at which a run stops asking, over all its resumptions; None for no budget."""

    @property
    def not_reproducible(self) -> tuple[str, ...]:
        """Why the same command may come to other results, in words; empty where it does not."""
        found = {
            "tuning was timed": self.tune_timeout_s is not None,
            "tuning was shared": self.storage is not None,
            "XGBoost ran on a GPU": self.device != "cpu",
            "a language model behind an endpoint was asked": self.llm_model is not None,
        }
        return tuple(why for why, is_so in found.items() if is_so)

    def __post_init__(self) -> None:
        """Check ranges; types are the caller's business."""
        StudySpec.__post_init__(self)  # a class with slots is made anew, which super() does not know
        self.check_least(trials=0, folds=2, outer_folds=2, llm_concurrency=1)
        if self.tune_timeout_s is not None and self.tune_timeout_s <= 0:
            raise InputError(f"got {self.tune_timeout_s}, allowed above 0", field="tune_timeout_s")
        if self.memory not in ("auto", "family", "question"):
            raise InputError(f"got {self.memory!r}, allowed are auto, family, question", field="memory")
        if self.storage is not None and self.storage != JOURNAL and "://" not in self.storage:
            raise InputError(
                f"got {self.storage!r}, allowed are {JOURNAL} and a URL such as postgresql://host/database",
                field="storage",
            )
        if self.storage is not None and tells_secret(self.storage):
            raise InputError(PASSWORD_IN_URL, field="storage")
        if self.dask is not None and "@" in self.dask:
            raise InputError("got a user or password in the address, allowed is one without", field="dask")
        if self.llm_endpoint is not None and ("@" in self.llm_endpoint or tells_secret(self.llm_endpoint)):
            raise InputError(
                "got a user or key in the address, which would stand in the run folder; keys are read from "
                "OPENAI_API_KEY",
                field="llm_endpoint",
            )
        if self.device not in DEVICES:
            raise InputError(f"got {self.device!r}, allowed are {', '.join(DEVICES)}", field="device")
        stems = [path.stem for path in self.llm_answers]
        double = next((path for path in self.llm_answers if stems.count(path.stem) > 1), None)
        if double is not None:
            raise InputError(
                f"got two files named {double.stem}, allowed is one: the name tells the models apart",
                path=double,
                field="llm_answers",
            )
        _check_pair(self, stems)
        if any(m < 1 for m in (*self.curve_trees, *self.curve_xgbs)):
            raise InputError("got a number below 1", field="curve_trees, curve_xgbs")


def _check_pair(spec: EnsembleSpec, stems: list[str]) -> None:
    """Check that the two LLMs that are joined are there."""
    live = [name for name in ("llm_model", "llm_local") if getattr(spec, name) is not None]
    if len(live) > 1:
        raise InputError("got llm_model beside llm_local, allowed is one", field="llm_model")
    if not spec.llm_pair:
        useless = next((name for name in ("llm_verdicts", *live) if getattr(spec, name) is not None), None)
        if useless is not None:
            raise InputError(f"got {useless} without llm_pair, which says what is joined", field="llm_pair")
        return
    if len(spec.llm_pair) != 2 or spec.llm_pair[0] == spec.llm_pair[1]:
        raise InputError(f"got {', '.join(spec.llm_pair)}, allowed are two names", field="llm_pair")
    for name, allowed in zip(spec.llm_pair, ([*stems, ASKED], stems), strict=True):
        if name not in allowed:
            told = ", ".join(allowed) or "none, without --llm-answers"
            raise InputError(f"got {name!r}, allowed are {told}", field="llm_pair")
    if ASKED in stems:
        raise InputError(
            f"got a file named {ASKED}, which stands for a model that is asked", field="llm_answers"
        )
    if spec.llm_pair[0] == ASKED and not live:
        raise InputError(f"got {ASKED} without llm_model or llm_local, which says who", field="llm_pair")
