"""An engine tells nobody: OpenVINO's package brings a telemetry module along."""

import os
import subprocess
import sys

import pytest

WATCHED = """
import sys
from pathlib import Path

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"opens a connection: {event} {arguments}")

sys.addaudithook(refuse)
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.selftest import selftest

exported, quantized, data, out = map(Path, sys.argv[1:])
out.mkdir()
compile_bundle(
    out=out,
    config=CompileConfig(target="onnxruntime", also=("openvino",)),
    data=data,
    exported=exported,
    quantized=quantized,
    lineage={},
    name="tiny",
)
print([selftest(out / "bundle", name).passed for name in ("onnxruntime", "openvino")])
"""


@pytest.mark.parametrize("planted", [False, True])
def test_building_and_running_opens_no_connection(planted, bert, tmp_path):
    spy = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n"
    folders = [bert.exported, bert.quantized, bert.data, tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + spy * planted, *map(str, folders)],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
    )
    assert ("opens a connection" in done.stderr) == planted, done.stderr
    assert done.stdout.strip() == "[True, True]"
