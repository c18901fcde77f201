"""Faces: does a person stay recognisable?

`face` and its larger settings run with dlib's public-domain network and say so in their metrics' names; only
`face-tokbench2025`, which needs insightface's non-commercial weights, gives TokBench's F-Sim. The mean over scale bins
is blank on image sets that lack a size, so `face` is ordered by the plain mean over all faces.
"""

from __future__ import annotations

from tokbench.metrics.face import BINS_A77070C, binned, f_sim, f_sim_all
from tokbench.metrics.face_rows import collector
from tokbench.metrics.verification import face_verification
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

_DLIB = ("dlib-face", "dlib ResNet")
_DLIB_NOTE = (
    " Not comparable with TokBench's network: dlib's embeddings share a direction, so that pictures of two people "
    "score 0.84 on average, and pictures of one person 0.96 (aligned LFW)."
)
_ARCFACE = ("arcface-antelopev2", "ArcFace (antelopev2)")
_ARCFACE_NOTE = (
    " TokBench saved reconstructions once more as JPEG of quality 75 where a file's name ends in .jpg; "
    "here they are not."
)
_BUFFALO = ("arcface-buffalo_l", "ArcFace (buffalo_l)")

_DLIB_ALL = f_sim_all(*_DLIB, "_dlib", "FSd-all", _DLIB_NOTE)
_DLIB_VERIFICATION = face_verification(*_DLIB, "_dlib", "Verify-d")


def _dlib_task(name: str, setting: int, short: str) -> Task:
    scores = f_sim(*_DLIB, "_dlib", short, setting, _DLIB_NOTE)
    return Task(
        name=name,
        version=1,
        title=f"F-Sim and verification of faces at TokBench's setting {setting}, by dlib's face network",
        protocol=get_protocol(f"tokbench-{setting}"),
        metrics=(_DLIB_ALL, *scores, _DLIB_VERIFICATION),
        headline=tuple(metric.name for metric in (_DLIB_ALL, *scores, _DLIB_VERIFICATION)),
        primary=_DLIB_ALL.name,
    )


FACE = _dlib_task("face", 256, "FSd")
FACE_512 = _dlib_task("face-512", 512, "FSd512")
FACE_1024 = _dlib_task("face-1024", 1024, "FSd1k")

_SCORES = f_sim(*_ARCFACE, "", "F-Sim", 256, _ARCFACE_NOTE)

FACE_TOKBENCH2025 = Task(
    name="face-tokbench2025",
    version=1,
    title="TokBench's F-Sim at setting 256 by its own network (insightface antelopev2), and buffalo_l beside it",
    protocol=get_protocol("tokbench-256"),
    metrics=(
        *_SCORES,
        f_sim_all(*_ARCFACE, "", "F-Simall"),
        binned(
            "f_sim_a77070c",
            "F-Sim-v1",
            collector(_ARCFACE[0]),
            _ARCFACE[1],
            BINS_A77070C[256],
            " (TokBench's first release, a77070c, setting 256)",
            _ARCFACE_NOTE,
        ),
        face_verification(*_ARCFACE, "", "Verify"),
        f_sim(*_BUFFALO, "_buffalo_l", "F-Simbl", 256)[0],
        f_sim_all(*_BUFFALO, "_buffalo_l", "FSbl-all"),
    ),
    headline=(*(metric.name for metric in _SCORES), "f_sim_all", "face_verification"),
    primary="f_sim",
)
