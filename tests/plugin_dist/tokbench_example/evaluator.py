"""An evaluator from another distribution: the mean colour as a feature, and a task that uses it."""

from tokbench.metrics.base import SetMetric
from tokbench.metrics.features import collector
from tokbench.metrics.frechet import estimate
from tokbench.networks.base import Evaluator, Features
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task


class MeanColour:
    def __call__(self, images):
        return Features(pooled=images.float().mean((2, 3)))


def load(paths, device):
    return MeanColour()


MEAN = Evaluator("example-mean", "mean colour", "Apache-2.0", "tests", 3, (), (), "", load)
FD_MEAN = SetMetric(
    "fd_mean", "FD-mean", "", False, collector("example-mean"), estimate, "Fréchet distance of mean colours."
)
COLOUR = Task("colour", 1, "mean colour", get_protocol("native"), (FD_MEAN,), ("fd_mean",), "fd_mean")
