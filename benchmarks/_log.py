"""What a benchmark has measured so far, on disk, so that the same command goes on where it was stopped."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Log:
    """Named measurements in ``folder/log.json``.

    Args:
        folder: where it lies; made if absent.
        settings: what the measurements depend on. A log of other settings is refused.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "log.json"
        self._settings = json.loads(json.dumps(settings))
        self._found: dict[str, Any] = {}
        if self._path.exists():
            stored = json.loads(self._path.read_text("utf-8"))
            if stored["settings"] != self._settings:
                differ = [key for key in self._settings if stored["settings"].get(key) != self._settings[key]]
                sys.exit(
                    f"{self._path} was measured with other settings ({', '.join(differ)}): give another --keep"
                )
            self._found = stored["found"]

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """Return a measurement (plain values), made now unless an earlier process made it."""
        if name not in self._found:
            self._found[name] = json.loads(json.dumps(measure()))
            draft = self._path.with_suffix(".part")
            draft.write_text(json.dumps({"settings": self._settings, "found": self._found}), "utf-8")
            draft.replace(self._path)
            print(f"  {name}", file=sys.stderr, flush=True)
        return self._found[name]
