"""What every run is told: data, LLaVA, seed; and ``field=value`` texts, presets and files to one frozen spec.

A study's own settings are a subclass of `StudySpec`, in a module of their own. The spec is resolved once,
before anything runs, and written into the run folder; nothing else decides what a run does. Left out: how a
setting is used, which the study that reads it documents.
"""

import json
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from llava_core.data.json_file import parse_json
from llava_core.errors import InputError
from llava_core.settings import parse_value

DEFAULT_RECIPE = "mini_cpu"


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySpec:
    """What all studies have in common; abstract."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, object]]] = {"default": {}}
    """Settings by name; options and ``--set`` win over them."""
    FREE_FIELDS: ClassVar[tuple[str, ...]] = ("jobs",)
    """Fields that may differ when a run is resumed: no result depends on them."""

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
    seed: int = 0
    """Drives the bundled data's training, folds, tuning, fits and intervals."""
    limit: int | None = None
    """Questions per part, drawn by seed; None for all."""
    allow_leak: bool = False
    """Go on where the leakage audit fails."""

    recipe: str = DEFAULT_RECIPE
    """LLaVA training recipe, see `llava_core.recipes`."""
    n_boot: int = 2000
    """Bootstrap resamples per interval."""
    level: float = 0.95
    """Nominal coverage of the intervals, in (0, 1)."""
    jobs: int = 2
    """Processes or threads of the fits; results do not depend on it."""
    llava_device: str | None = None
    """Where LLaVA's features are made: a device of torch; None for the GPU where there is one."""
    llava_dtype: str | None = None
    """Precision that they are made in; None for bfloat16 on a GPU, float32 for a LLaVA trained here."""
    llava_clip: str | None = None
    """CLIP, folder or hub name, for the text tower that a checkpoint of others lacks."""

    def __post_init__(self) -> None:
        """Check ranges; types are the caller's business."""
        self.check_least(seed=0, n_boot=1, jobs=1)
        if self.limit is not None and self.limit < 1:
            raise InputError(f"got {self.limit}, allowed 1 or more", field="limit")
        if not 0 < self.level < 1:
            raise InputError(f"got {self.level}, allowed between 0 and 1", field="level")
        if self.llava is not None and self.features is not None:
            raise InputError(
                "got --llava beside --features, allowed is one: the store says which LLaVA made it",
                field="llava",
            )

    def check_least(self, **least: float) -> None:
        """Raise for the first field that is below what is allowed."""
        for name, allowed in least.items():
            if getattr(self, name) < allowed:
                raise InputError(f"got {getattr(self, name)}, allowed {allowed:g} or more", field=name)


Spec = TypeVar("Spec", bound=StudySpec)

OPTION_FIELDS = (
    "study", "preset", "data", "llava", "features", "llm_answers", "seed", "limit", "allow_leak", "trials",
    "source",
)  # fmt: skip
"""Fields that have a command-line option of their own, in every study that has them."""


def setting_names(kind: type[StudySpec]) -> list[str]:
    """Return the fields that ``--set`` takes for a study."""
    return [field.name for field in fields(kind) if field.name not in OPTION_FIELDS]


def resolve(
    kind: type[Spec], study: str, *, preset: str = "default", settings: Iterable[str] = (), **options: object
) -> Spec:
    """Return the spec of preset, then ``field=value`` settings, then options that are not None.

    Parameters
    ----------
    kind : subclass of StudySpec
    study : str
    preset : str
        Key of ``kind.PRESETS``.
    settings : iterable of str
        Each ``field=value``; tuples as ``1,2,3``, booleans as ``true`` or ``false``.
    **options
        Fields by name; None means not given.

    Raises
    ------
    InputError
        For an unknown preset or field, a value of another type or out of range.
    """
    if preset not in kind.PRESETS:
        raise InputError(f"got {preset!r}, allowed are {', '.join(kind.PRESETS)}", field="preset")
    chosen: dict[str, object] = {**kind.PRESETS[preset]}
    allowed, kinds = setting_names(kind), typing.get_type_hints(kind)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in allowed:
            raise InputError(
                f"got {setting!r}, allowed is field=value with a field of {', '.join(allowed)}", field="--set"
            )
        chosen[name] = parse_value(kinds[name], text, name=name)
    given = {name: value for name, value in options.items() if value is not None}
    unknown = next((name for name in given if name not in kinds), None)
    if unknown is not None:
        raise InputError(f"{study} has no such option", field=f"--{unknown.replace('_', '-')}")
    chosen |= given
    return replace(kind(study=study, preset=preset), **chosen)  # type: ignore[arg-type]


def to_json(spec: StudySpec) -> str:
    """Return the spec as JSON text."""
    return json.dumps(asdict(spec), indent=1, default=str) + "\n"


def from_json(kind: type[Spec], text: str, *, path: Path) -> Spec:
    """Return the spec that `to_json` wrote.

    Raises
    ------
    InputError
        If the text is none, or that of another study.
    """
    try:
        stored = parse_json(text.encode(), path=path)
        hints = typing.get_type_hints(kind)
        return kind(**{name: _restored(hints[name], value) for name, value in stored.items()})
    except InputError as error:
        raise InputError(f"got a broken specification of a run ({error.problem})", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"got a broken specification of a run ({error})", path=path) from None


def differences(spec: StudySpec, stored: str, *, path: Path) -> list[str]:
    """Return ``field: stored, given`` for the fields in which a run differs from the stored text of another.

    Raises
    ------
    InputError
        If the text is no specification.
    """
    told = _study_of(stored)
    if told not in (None, spec.study):
        return [f"study: {told}, {spec.study}"]
    other = from_json(type(spec), stored, path=path)
    names = [field.name for field in fields(spec) if field.name not in spec.FREE_FIELDS]
    return [
        f"{name}: {getattr(other, name)}, {getattr(spec, name)}{_seen_from(getattr(other, name))}"
        for name in names
        if getattr(spec, name) != getattr(other, name)
    ]


def check_places(spec: StudySpec, *names: str, path: Path) -> None:
    """Check that what a run was given is still there, before a command reads it again.

    Parameters
    ----------
    spec : StudySpec
    *names : str
        Fields that hold a path, paths or None.
    path : Path
        File of the specification, for the error.

    Raises
    ------
    InputError
        Naming the field of the first that is not there, as seen from the working folder.
    """
    for name in names:
        for place in _places(getattr(spec, name)):
            if not place.exists():
                raise InputError(
                    f"the run was given {place}, which is not there{_seen_from(place)}", path=path, field=name
                )


def _places(value: object) -> Iterable[Path]:
    return [each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, Path)]


def _seen_from(value: object) -> str:
    """Return what a message adds to paths that mean something else in another working folder."""
    is_relative = any(not place.is_absolute() for place in _places(value))
    return " (as seen from the folder that the run was started in)" if is_relative else ""


def _study_of(text: str) -> str | None:
    try:
        return str(json.loads(text)["study"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _restored(hint: Any, value: Any) -> Any:
    """Return a value of JSON as its field has it: paths and tuples are neither in JSON."""
    if value is None:
        return None
    if isinstance(hint, types.UnionType):
        return _restored(typing.get_args(hint)[0], value)
    if typing.get_origin(hint) is tuple:
        return tuple(_restored(typing.get_args(hint)[0], item) for item in value)
    return Path(value) if hint is Path else value
