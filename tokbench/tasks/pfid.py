"""pFID: how far reconstructions drift when tokens are moved to near entries of the codebook.

A generator that samples tokens makes small mistakes; a tokenizer whose decoder forgives them suits it better. The
definition is that of "Robust Latent Matters" (2503.08354) and RobusTok (2509.12474); what each kind of quantiser makes
of it, and where the authors' code differs from their text, is in `docs/pfid.md`.

Every cell is a view (rows named ``a=0.5 d=200``), and the mean over the grid is a row of its own, blank when a cell is.
All cells share one encode. Views of equal names are the same in every task below, so tasks may be run together.

The grid of `PFID`, rates 0.5 to 0.9 by neighbourhoods of 200, 280 and 360, is [MEM]: remembered from the paper, in no
text that was at hand when this was written. `pfd_lite0` is the same mean over distances of the embedded network; it is
no pFID and is not to be compared with published ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.metrics.frechet import FD_LITE0, RFID
from tokbench.metrics.pixel import PSNR
from tokbench.metrics.tokens_changed import TOKENS_CHANGED
from tokbench.perturb.latents import noisy
from tokbench.perturb.sizes import Matched, Nearest, Share
from tokbench.perturb.views import grid
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task

if TYPE_CHECKING:
    from tokbench.views import View

RATES = (0.5, 0.6, 0.7, 0.8, 0.9)
SIZES = (Nearest(200), Nearest(280), Nearest(360))
_FEW = (0.5, 0.7, 0.9)


def pfid_task(name: str, title: str, views: tuple[View, ...], *, tokens: bool = True) -> Task:
    """Declare a pFID task over a grid of one's own.

    Args:
        name: name of the task.
        title: one line for `tokbench list`.
        views: the cells, e.g. of `tokbench.perturb.views.grid`.
        tokens: whether the cells change ids, so that the share of changed positions can be counted.
    """
    return Task(
        name=name,
        version=1,
        title=title,
        protocol=get_protocol("adm-256"),
        metrics=(RFID, FD_LITE0, PSNR, *((TOKENS_CHANGED,) if tokens else ())),
        headline=("pfid", "pfd_lite0"),
        primary="pfd_lite0",
        views=views,
        means=(("rfid", "pfid"), ("fd_lite0", "pfd_lite0")),
    )


PFID = pfid_task(
    "pfid",
    "distance after moving tokens to one of the 200, 280 or 360 nearest entries at rates 0.5 to 0.9 (15 cells)",
    grid(RATES, SIZES),
)

PFID_QUICK = pfid_task(
    "pfid-quick",
    "three cells of pfid, for small machines: the 200 nearest entries at rates 0.5, 0.7 and 0.9",
    grid(_FEW, (Nearest(200),)),
)

PFID_RELATIVE = pfid_task(
    "pfid-relative",
    "pfid with neighbourhoods of 5, 10 and 20 % of the codebook: one relative radius for codebooks of any size",
    grid(_FEW, (Share(0.05), Share(0.1), Share(0.2))),
)

PFID_MATCHED = pfid_task(
    "pfid-matched",
    "pfid with neighbourhoods that move entries by 0.25, 0.5 and 1 times the variance of their codebook",
    grid(_FEW, (Matched(0.25), Matched(0.5), Matched(1.0))),
)

PFID_ENCODER = pfid_task(
    "pfid-encoder",
    "pfid with neighbours of the encoder's features, as in the authors' training code (15 cells)",
    grid(RATES, SIZES, anchor="encoder"),
)

PFID_NOISE = pfid_task(
    "pfid-noise",
    "for continuous latents: distance after Gaussian noise of 0.1 to 0.4 times their own deviation",
    tuple(noisy(sigma) for sigma in (0.1, 0.2, 0.4)),
    tokens=False,
)
