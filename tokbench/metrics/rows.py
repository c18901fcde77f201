"""States that are tables: rows named by keys, kept sorted, so that adding them up is exact in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Rows:
    """A table of columns of one length; a commutative monoid, exactly.

    Subclasses name their columns and types in `SCHEMA`; the first `KEYS` of them tell rows apart, and the first is
    ``index``, the plan position of the image.

    Attributes:
        columns: arrays ``[n]`` by name, sorted by the keys, no two rows of equal keys.
    """

    SCHEMA: ClassVar[Mapping[str, str]]
    KEYS: ClassVar[int]

    columns: Mapping[str, npt.NDArray[Any]]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.columns["index"])

    @classmethod
    def empty(cls) -> Self:
        """Return the state of no row."""
        import numpy as np

        return cls({name: np.zeros(0, kind) for name, kind in cls.SCHEMA.items()})

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Self:
        """Sort rows into a state; a repeated row is kept once.

        Raises:
            ValueError: a column is missing or too many, lengths differ, or one key has two different rows.
        """
        import numpy as np

        if set(columns) != set(cls.SCHEMA):
            raise ValueError(f"{cls.__name__} need {', '.join(cls.SCHEMA)}, got {', '.join(sorted(columns))}")
        arrays = {name: np.asarray(columns[name], kind) for name, kind in cls.SCHEMA.items()}
        if len({array.shape for array in arrays.values()}) != 1 or arrays["index"].ndim != 1:
            raise ValueError(f"columns of {cls.__name__} differ in length")
        keys = list(arrays)[: cls.KEYS]
        order = np.lexsort([arrays[name] for name in reversed(keys)])
        arrays = {name: array[order] for name, array in arrays.items()}
        again = _repeated(arrays, keys)
        for array in arrays.values():
            if not np.array_equal(array[again], array[again - 1], equal_nan=array.dtype.kind == "f"):
                raise ValueError(f"two different rows of {cls.__name__} for one {' and '.join(keys)}")
        return cls({name: np.delete(array, again) for name, array in arrays.items()})

    def __add__(self, other: Self) -> Self:
        return self.joined((self, other))

    @classmethod
    def joined(cls, states: Iterable[Self]) -> Self:
        """Return the sum of any number of states, sorted once."""
        import numpy as np

        held = [state for state in states if len(state)]
        if not held:
            return cls.empty()
        return cls.of({name: np.concatenate([state[name] for state in held]) for name in cls.SCHEMA})

    def where(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Return the chosen rows; `chosen` is bool ``[n]``."""
        return type(self)({name: array[chosen] for name, array in self.columns.items()})

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name."""
        return dict(self.columns)

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Rebuild from `arrays`.

        Raises:
            ValueError: the arrays do not fit together.
        """
        return cls.of(arrays)


def _repeated(arrays: Mapping[str, npt.NDArray[Any]], keys: list[str]) -> npt.NDArray[np.int64]:
    """Return the positions of rows whose keys equal those of the row before."""
    import numpy as np

    same = np.ones(max(len(arrays[keys[0]]) - 1, 0), bool)
    for name in keys:
        same &= arrays[name][1:] == arrays[name][:-1]
    return np.flatnonzero(same) + 1
