"""A server in a process of its own, as `pocketbert serve` starts it."""

import http.client
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = "from pocketbert.recipes.cli import main; main()"


class Served:
    """A running server and the way to it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.port = self._port()
        self.url = f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str):
        """Status, headers and body of an answer, the latter as JSON where it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, response.headers, json.loads(text) if is_json else text.decode()

    def infer(self, *texts: str):
        return self.ask("POST", "/v2/models/tiny/infer", request_for(*texts))

    def metric(self, name: str) -> float:
        _, _, text = self.ask("GET", "/metrics")
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, f"no {name} in\n{text}"
        return float(found[1])

    def _port(self) -> int:
        while self.process.poll() is None:
            found = re.search(r"^http://.*:(\d+)$", self.log.read_text(), re.MULTILINE)
            if found:
                return int(found[1])
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(f"the server ended: {self.log.read_text()}")


def request_for(*texts: str) -> dict[str, Any]:
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
    return {"inputs": [tensor]}


@contextmanager
def serving(bundle: Path, *options: object) -> Iterator[Served]:
    command = [sys.executable, "-c", PROGRAM, "serve", str(bundle), "--port", "0"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        with (
            log.open("wb") as stderr,
            subprocess.Popen([*command, *map(str, options)], stderr=stderr) as process,
        ):
            try:
                yield Served(process, log)
            finally:
                process.kill()
