"""The studies by name. Adding one is one module and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from studies.progress import Progress
from studies.rundir import RunDir
from studies.spec.ablation import AblationSpec
from studies.spec.base import StudySpec
from studies.spec.ensemble import EnsembleSpec
from studies.spec.probing import ProbingSpec

RunStudy = Callable[[Any, RunDir, Progress, str], Path]
"""Takes the study's spec, the open run folder, the progress and the command; returns the report's path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One entry of the catalogue."""

    title: str
    spec: type[StudySpec]
    """Its settings."""
    module: str
    """Module whose ``run`` is a `RunStudy`; imported when the study runs."""

    @property
    def run(self) -> RunStudy:
        """The function that runs the study."""
        function: RunStudy = import_module(self.module).run
        return function


STUDIES: Mapping[str, Study] = {
    "ensemble_vs_llm": Study(
        title="Trees, forests, boosting and stacks against LLaVA and with it, on multiple-choice questions",
        spec=EnsembleSpec,
        module="studies.catalog.ensemble_vs_llm",
    ),
    "stage_ablation": Study(
        title="What each stage, projector and layer of LLaVA is worth, and other ways to connect the parts",
        spec=AblationSpec,
        module="studies.catalog.stage_ablation",
    ),
    "embedding_probe": Study(
        title="What each stage of LLaVA holds, and which probes can read it",
        spec=ProbingSpec,
        module="studies.catalog.embedding_probe",
    ),
}
