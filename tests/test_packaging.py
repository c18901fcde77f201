"""A wheel carries adapters, image sets and leaderboards, and works from another folder without the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_built_wheel_finds_what_travels_in_it(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("tokbench-*.whl")
    assert wheel.stat().st_size < 40 << 20
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert not [name for name in names if name.startswith(("adapters/", "datasets/", "tests/", "scripts/"))]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import tokbench; assert tokbench.__file__.startswith(sys.argv[1]), tokbench.__file__\n"
        "from tokbench.catalog import discover\n"
        "from tokbench.engine.evaluate import open_source\n"
        "from tokbench.suite import load_suite\n"
        "catalog, suite = discover(), load_suite('embedded')\n"
        "assert set(suite.tokenizers) <= set(catalog.tokenizers), suite\n"
        "for name in suite.datasets:\n"
        "    images = open_source(name, catalog)\n"
        "    _, data = next(iter(images.read(images.items[:1])))\n"
        "    assert isinstance(data, bytes), data\n"
        "from tokbench.loading import weight_paths\n"
        "for entry in catalog.tokenizers.values():\n"
        "    weight_paths([f for f in entry.variant.weights if f.scheme in ('shipped', 'package')], {})\n"
        "print('found', len(catalog.tokenizers))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("found")
