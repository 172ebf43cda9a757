"""What vectors know: probes of several families with controls, code lengths, erasure, similarity of stages.

Pure functions of arrays. A `Stage` holds vectors, a task says what is to be read off, `read_out` learns and
judges; the rest are controls that keep flexible probes honest, and views of the vectors themselves.
"""

from studies.probing.code import Block, OnlineCode, online_code
from studies.probing.controls import control_task, shuffled_task
from studies.probing.dimension import Dimension, two_nn
from studies.probing.family import ProbeFamily
from studies.probing.gap import ModalityGap, modality_gap
from studies.probing.leace import Eraser, fit_leace, random_eraser
from studies.probing.probes import PROBES, probe_family
from studies.probing.reading import ReadOut, choose, read_out
from studies.probing.similarity import cka_matrix, debiased_cka
from studies.probing.stage import Stage, matched_rank, random_projection
from studies.probing.tasks import ChoiceTask, ClassTask, Task
from studies.probing.usable import prior_log_prob, usable_bits

__all__ = [
    "PROBES",
    "Block",
    "ChoiceTask",
    "ClassTask",
    "Dimension",
    "Eraser",
    "ModalityGap",
    "OnlineCode",
    "ProbeFamily",
    "ReadOut",
    "Stage",
    "Task",
    "choose",
    "cka_matrix",
    "control_task",
    "debiased_cka",
    "fit_leace",
    "matched_rank",
    "modality_gap",
    "online_code",
    "prior_log_prob",
    "probe_family",
    "random_eraser",
    "random_projection",
    "read_out",
    "shuffled_task",
    "two_nn",
    "usable_bits",
]
