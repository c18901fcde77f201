"""A web server and an object store on this machine."""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Asked(NamedTuple):
    """A request that the web server got."""

    method: str
    path: str
    range: str


class WebServer(ThreadingHTTPServer):
    """Serves `files` with range requests, tags and pages of links.

    `faults` are taken one a request: a status to answer, or "cut" to close in the middle of the body, "close" to answer
    nothing. `barred` are paths that are always answered with a status.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[int | str] = []
        self.barred: dict[str, int] = {}
        self.asked: list[Asked] = []
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self) -> int:
        """Requests for content so far; pages of links are none."""
        return sum(each.method == "GET" and each.path in self.files for each in self.asked)


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server, path = self.server, unquote(self.path).strip("/")
        wanted = self.headers.get("Range", "")
        server.asked.append(Asked(self.command, path, wanted))
        fault = server.barred.get(path) or (server.faults.pop(0) if server.faults else 200)
        if fault == "close":
            self.close_connection = True
        elif isinstance(fault, int) and fault != 200:
            self._send(fault, b"", {})
        elif path in server.files:
            data = server.files[path]
            headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "Accept-Ranges": "bytes"}
            status = 200
            if server.ranges and (found := re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)):
                first, last = int(found[1]), min(int(found[2]), len(data) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                status, data = 206, data[first : last + 1]
            self._send(status, data, headers, cut=fault == "cut")
        else:
            inside = {name.removeprefix(f"{path}/") for name in server.files if name.startswith(f"{path}/")}
            names = sorted({name.split("/")[0] + "/" * ("/" in name) for name in inside})
            page = "".join(f'<a href="{quote(name)}">x</a>\n' for name in names)
            self._send(200 if names else 404, page.encode(), {"Content-Type": "text/html"})

    def _send(self, status: int, data: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: len(data) // 2] if cut else data)


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server with no files yet."""
    server = WebServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def _object_store() -> Iterator[str]:
    pytest.importorskip("moto", reason="the object store of the tests is moto's server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "moto's server ended"
                assert time.monotonic() < deadline, "moto's server did not answer within a minute"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def s3(_object_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket on a local object store that s3:// leads to."""
    pytest.importorskip("s3fs", reason="s3:// needs s3fs")
    import fsspec

    for name, value in {
        "AWS_ENDPOINT_URL": _object_store,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{time.monotonic_ns()}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}"
