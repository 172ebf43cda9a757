"""What a run is: one frozen `StudySpec`, its presets, and typed ``--set field=value``.

The spec is resolved once, before anything runs, and written into the run folder; nothing else decides what
a run does. Left out: how a setting is used, which the study that reads it documents.
"""

import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from llava_core.errors import InputError
from llava_core.settings import parse_value

DEFAULT_RECIPE = "mini_cpu"
JOURNAL = "journal"
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySpec:
    """All that a run depends on."""

    study: str
    """Key of `studies.catalog.STUDIES`."""
    preset: str = "default"
    """Key of `PRESETS` that the settings below start from."""
    data: Path | None = None
    """Data set (folder in the official layout, JSONL or parquet); None for the bundled data."""
    llava: str | None = None
    """LLaVA checkpoint to extract features with, folder or hub name; nothing is trained then."""
    features: Path | None = None
    """Feature store to start from; torch is not needed then."""
    llm_answers: tuple[Path, ...] = ()
    """Files of published LLM answers."""
    seed: int = 0
    """Drives the bundled data's training, folds, tuning, fits and intervals."""
    limit: int | None = None
    """Questions per part, drawn by seed; None for all."""
    allow_leak: bool = False
    """Go on where the leakage audit fails."""

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
    recipe: str = DEFAULT_RECIPE
    """LLaVA training recipe, see `llava_core.recipes`."""
    curve_trees: tuple[int, ...] = (1, 3, 10, 30, 100)
    """Numbers of trees (forest) and rounds (XGBoost) of the curves; empty for no curve."""
    curve_xgbs: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of XGBoosts of the forest's curve."""
    ablation: bool = True
    """Refit XGBoost without each block of features."""
    families_removed: bool = True
    """Where train and test share families: the second figure, with the shared ones removed from training."""
    n_boot: int = 2000
    """Bootstrap resamples per interval."""
    level: float = 0.95
    """Nominal coverage of the intervals, in (0, 1)."""
    jobs: int = 2
    """Processes or threads of the fits; results do not depend on it."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers do the fits, e.g. ``tcp://host:8786``."""
    device: str = "cpu"
    """Where XGBoost runs: cpu or cuda."""
    llava_device: str | None = None
    """Where LLaVA's features are made: a device of torch; None for the GPU where there is one."""
    llava_dtype: str | None = None
    """Precision that they are made in; None for bfloat16 on a GPU, float32 for a LLaVA trained here."""
    llava_clip: str | None = None
    """CLIP, folder or hub name, for the text tower that a checkpoint of others lacks."""
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

    def __post_init__(self) -> None:
        """Check ranges; types are the caller's business."""
        at_least: tuple[tuple[str, float], ...] = (
            ("seed", 0), ("trials", 0), ("folds", 2), ("outer_folds", 2), ("n_boot", 1), ("jobs", 1),
            ("llm_concurrency", 1),
        )  # fmt: skip
        for name, least in at_least:
            if getattr(self, name) < least:
                raise InputError(f"got {getattr(self, name)}, allowed {least:g} or more", field=name)
        if self.limit is not None and self.limit < 1:
            raise InputError(f"got {self.limit}, allowed 1 or more", field="limit")
        if not 0 < self.level < 1:
            raise InputError(f"got {self.level}, allowed between 0 and 1", field="level")
        if self.tune_timeout_s is not None and self.tune_timeout_s <= 0:
            raise InputError(f"got {self.tune_timeout_s}, allowed above 0", field="tune_timeout_s")
        if self.memory not in ("auto", "family", "question"):
            raise InputError(f"got {self.memory!r}, allowed are auto, family, question", field="memory")
        if self.storage is not None and self.storage != JOURNAL and "://" not in self.storage:
            raise InputError(
                f"got {self.storage!r}, allowed are {JOURNAL} and a URL such as postgresql://host/database",
                field="storage",
            )
        if self.device not in DEVICES:
            raise InputError(f"got {self.device!r}, allowed are {', '.join(DEVICES)}", field="device")
        if self.llava is not None and self.features is not None:
            raise InputError(
                "got --llava beside --features, allowed is one: the store says which LLaVA made it",
                field="llava",
            )
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


ASKED = "asked"
"""In ``llm_pair``: answers that the run asks a language model for."""


def _check_pair(spec: StudySpec, stems: list[str]) -> None:
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


PRESETS: Mapping[str, Mapping[str, object]] = {
    "default": {},
    # Frozen: what docs/results.md reports for published answers, to be run on questions nobody has looked at.
    # Whoever changes a default elsewhere leaves this figure as it was.
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
"""Settings by name; ``--trials``, ``--limit`` and ``--set`` win over them."""

OPTION_FIELDS = (
    "study", "preset", "data", "llava", "features", "llm_answers", "seed", "limit", "allow_leak", "trials",
)  # fmt: skip
"""Fields that have a command-line option of their own."""

FREE_FIELDS = ("jobs", "dask", "llm_concurrency", "llm_budget_tokens")
"""Fields that may differ when a run is resumed: no result depends on them."""


def setting_names() -> list[str]:
    """Return the fields that ``--set`` takes."""
    return [field.name for field in fields(StudySpec) if field.name not in OPTION_FIELDS]


def resolve(
    study: str, *, preset: str = "default", settings: Iterable[str] = (), **options: object
) -> StudySpec:
    """Return the spec of preset, then ``field=value`` settings, then options that are not None.

    Parameters
    ----------
    study : str
    preset : str
        Key of `PRESETS`.
    settings : iterable of str
        Each ``field=value``; tuples as ``1,2,3``, booleans as ``true`` or ``false``.
    **options
        Fields by name; None means not given.

    Raises
    ------
    InputError
        For an unknown preset or field, a value of another type or out of range.

    Examples
    --------
    >>> resolve("ensemble_vs_llm", settings=["folds=3"], seed=1).folds
    3
    """
    if preset not in PRESETS:
        raise InputError(f"got {preset!r}, allowed are {', '.join(PRESETS)}", field="preset")
    chosen: dict[str, object] = {**PRESETS[preset]}
    allowed, kinds = setting_names(), typing.get_type_hints(StudySpec)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in allowed:
            raise InputError(
                f"got {setting!r}, allowed is field=value with a field of {', '.join(allowed)}", field="--set"
            )
        chosen[name] = parse_value(kinds[name], text, name=name)
    chosen |= {name: value for name, value in options.items() if value is not None}
    return replace(StudySpec(study=study, preset=preset), **chosen)  # type: ignore[arg-type]


def to_json(spec: StudySpec) -> str:
    """Return the spec as JSON text."""
    return json.dumps(asdict(spec), indent=1, default=str) + "\n"


def from_json(text: str, *, path: Path) -> StudySpec:
    """Return the spec that `to_json` wrote.

    Raises
    ------
    InputError
        If the text is none.
    """
    try:
        stored = json.loads(text)
        for name in ("data", "features", "llm_verdicts"):
            stored[name] = None if stored[name] is None else Path(stored[name])
        stored["llm_answers"] = tuple(Path(answers) for answers in stored["llm_answers"])
        stored |= {name: tuple(stored[name]) for name in ("curve_trees", "curve_xgbs", "llm_pair")}
        return StudySpec(**stored)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"got a broken specification of a run ({error})", path=path) from None


def differences(spec: StudySpec, other: StudySpec) -> list[str]:
    """Return ``field: value, value`` for the fields in which two runs differ, `FREE_FIELDS` aside."""
    names = [field.name for field in fields(StudySpec) if field.name not in FREE_FIELDS]
    return [
        f"{name}: {getattr(spec, name)}, {getattr(other, name)}"
        for name in names
        if getattr(spec, name) != getattr(other, name)
    ]
