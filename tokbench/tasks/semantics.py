"""Semantics: whether the reconstruction still means what the original meant, and what the tokens say of it."""

from __future__ import annotations

from tokbench.metrics.agreement import CLASS_AGREEMENT, CLASS_AGREEMENT_5, CLASS_KL, ZERO_SHOT_AGREEMENT
from tokbench.metrics.clip import CLIP_SIMILARITY, CMMD
from tokbench.metrics.frechet import FD_DINOV2, FD_LITE0
from tokbench.metrics.objects import OBJECTS_LARGE, OBJECTS_MEDIUM, OBJECTS_SMALL
from tokbench.metrics.perceptual import FEAT_LITE0
from tokbench.metrics.probe import LINEAR_PROBE
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

SEMANTICS = Task(
    name="semantics",
    version=1,
    title="agreement of classifiers and embeddings with the original, small objects, linear probe of the tokens",
    protocol=get_protocol("adm-256"),
    metrics=(
        CLASS_AGREEMENT,
        CLASS_AGREEMENT_5,
        CLASS_KL,
        FEAT_LITE0,
        FD_LITE0,
        OBJECTS_SMALL,
        OBJECTS_MEDIUM,
        OBJECTS_LARGE,
        LINEAR_PROBE,
        CLIP_SIMILARITY,
        ZERO_SHOT_AGREEMENT,
        CMMD,
        FD_DINOV2,
    ),
    headline=(
        "class_agreement",
        "class_agreement_top5",
        "class_kl",
        "object_agreement_small",
        "linear_probe",
        "clip_similarity",
    ),
    primary="class_agreement",
)
