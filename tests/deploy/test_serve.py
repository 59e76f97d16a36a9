import json
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tritonclient import http as triton

from pocketbert.deploy.engine import Engine

from .serving import PROGRAM, request_for, serving

INFER = "/v2/models/tiny/infer"
TEXTS = ["superb", "", "the film is a very dull story", "überraschend 电影 \U0001f600", "x" * 5000]


@pytest.fixture(scope="module")
def served(bert):
    with serving(bert.bundle, "--max-waiting", 64, "--max-body-bytes", 200_000) as server:
        yield server


def test_health_and_metadata(served):
    assert served.ask("GET", "/v2/health/live")[2] == {"live": True}
    assert served.ask("GET", "/v2/health/ready")[2] == {"ready": True}
    assert served.ask("GET", "/v2")[2]["name"] == "pocketbert"
    model = served.ask("GET", "/v2/models/tiny")[2]
    assert model == served.ask("GET", "/v2/models/tiny/versions/1")[2]
    assert model["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]} in model["outputs"]
    ready = served.ask("GET", "/v2/models/tiny/versions/1/ready")
    assert (ready[0], ready[2]) == (200, {"name": "tiny", "ready": True})


def test_answers_are_those_of_the_engine(served, bert):
    status, headers, answer = served.ask("POST", INFER, {"id": "7", **request_for(*TEXTS)})
    assert status == 200
    assert float(re.fullmatch(r"total;dur=([\d.]+)", headers["Server-Timing"])[1]) > 0
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "tiny", "1")
    outputs = {output["name"]: output for output in answer["outputs"]}
    expected = Engine.open(bert.bundle)(TEXTS)
    assert outputs["label"]["data"] == [each.label for each in expected]
    whole = [json.loads(text) for text in outputs["answer"]["data"]]
    assert [each["label"] for each in whole] == outputs["label"]["data"]
    probabilities = [list(each.probabilities.values()) for each in expected]
    assert outputs["probabilities"]["shape"] == [len(TEXTS), 2]
    assert json.loads(outputs["probabilities"]["parameters"]["names"]) == ["bad", "good"]
    found = np.reshape(outputs["probabilities"]["data"], (len(TEXTS), 2))
    np.testing.assert_allclose(found, probabilities, atol=1e-5)  # batches are padded
    np.testing.assert_allclose(outputs["score"]["data"], [each.score for each in expected], 1e-5)


@pytest.mark.parametrize("column", [False, True])
def test_tritons_own_client_takes_it_for_a_server_of_the_protocol(served, bert, column):
    client = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.get_model_metadata("tiny")["name"] == "tiny"
    texts = np.array(TEXTS, dtype=object)
    texts = texts[:, None] if column else texts
    tensor = triton.InferInput("text", list(texts.shape), "BYTES")
    tensor.set_data_from_numpy(texts, binary_data=False)
    wanted = [triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "score")]
    answer = client.infer("tiny", [tensor], outputs=wanted, request_id="a")
    assert answer.get_response()["id"] == "a"
    expected = Engine.open(bert.bundle)(TEXTS)
    assert list(answer.as_numpy("label")) == [each.label for each in expected]
    np.testing.assert_allclose(answer.as_numpy("score"), [each.score for each in expected], 1e-5)
    assert answer.as_numpy("probabilities") is None
    client.close()


def tensor(**other: Any) -> dict[str, Any]:
    return {"inputs": [{**request_for("x")["inputs"][0], **other}]}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "the body is wrong (Invalid JSON"),
        (b"\xff", 400, "the body is wrong (Invalid JSON"),
        (b"", 400, "the body is wrong (Invalid JSON"),
        ([], 400, "the body is wrong"),
        ({}, 400, "`inputs` is wrong (Field required)"),
        (tensor(shape="1"), 400, "`inputs.0.shape` is wrong"),
        (tensor(name="texts"), 400, "the inputs are ['texts'], expected one named 'text'"),
        ({"inputs": []}, 400, "the inputs are [], expected one named 'text'"),
        (tensor(datatype="FP32"), 400, "has the datatype 'FP32', expected 'BYTES'"),
        (tensor(shape=[2]), 400, "has the shape [2] and 1 texts"),
        (tensor(shape=[0], data=[]), 400, "has the shape [0] and 0 texts, expected at least one"),
        (tensor(data=[1]), 400, "text 0 is 1, expected a string"),
        (tensor(data=[[["x"]]]), 400, 'text 0 is ["x"], expected a string'),
        (b'{"inputs": [{"data": ["\\ud800"]}]}', 400, "the body is wrong (Invalid JSON"),
        ({**tensor(), "outputs": [{"name": "logits"}]}, 400, "there is no output 'logits'"),
        (request_for("x" * 70_000), 413, "text 0 has 70,000 bytes, expected at most 65,536"),
        (request_for(*["x"] * 65), 413, "has 65 texts, expected at most 64; send several"),
        (b" " * 200_001, 413, "the body is longer than 200,000 bytes; send less at once"),
    ],
)
def test_mistakes_are_answered_in_the_protocols_form(served, body, status, message):
    found, headers, answer = served.ask("POST", INFER, body)
    assert headers.get_content_type() == "application/json"
    assert list(answer) == ["error"]
    assert message in answer["error"]
    assert found == status


def test_a_long_body_without_a_length_is_refused_too(served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        chunk = b"c350\r\n" + b" " * 50_000 + b"\r\n"
        for _ in range(5):
            connection.sendall(chunk)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v2/models/other", 404, "there is no model 'other' of version '1', expected"),
        ("GET", "/v2/models/tiny/versions/2/ready", 404, "of version '2'"),
        ("POST", "/v2/models/other/infer", 404, "there is no model 'other'"),
        ("GET", "/v3", 404, "Not Found"),
        ("GET", INFER, 405, "Method Not Allowed"),
    ],
)
def test_wrong_ways_are_answered_in_the_protocols_form(served, method, path, status, message):
    found, _, answer = served.ask(method, path)
    assert found == status
    assert message in answer["error"]


def test_metrics_count_what_happens(served):
    names = (
        "pocketbert_accepted_requests_total",
        'pocketbert_responses_total{code="200"}',
        "pocketbert_batch_texts_sum",
        "pocketbert_request_seconds_count",
    )
    served.infer("x")
    before = [served.metric(name) for name in names]
    served.infer("a", "b", "c")
    assert [served.metric(name) for name in names] == [
        before[0] + 1,
        before[1] + 1,
        before[2] + 3,
        before[3] + 1,
    ]
    assert served.metric("pocketbert_waiting_texts") == 0
    assert served.metric("process_resident_memory_bytes") > 1e7


def test_the_description_for_programs_names_the_routes(served):
    paths = served.ask("GET", "/openapi.json")[2]["paths"]
    infer = paths["/v2/models/{name}/infer"]["post"]
    assert "inputs" in json.dumps(infer["requestBody"])
    assert {"200", "400", "413", "429"} <= set(infer["responses"])


def test_full_is_429_and_sigterm_answers_what_was_accepted(bert):
    # One text waits 3 s for company: long enough to meet a full server, and to be stopped.
    with serving(bert.bundle, "--max-waiting", 1, "--max-wait-ms", 3000) as server:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(server.infer, "superb")
            while server.metric("pocketbert_waiting_texts") == 0:
                pass
            status, headers, answer = server.infer("dull")
            assert status == 429
            assert int(headers["Retry-After"]) >= 1
            assert "the queue is full" in answer["error"]
            server.process.send_signal(signal.SIGTERM)
            assert first.result()[0] == 200
        assert server.process.wait(30) == 0
        assert "stopped; 1 requests were accepted" in server.log.read_text()


def test_sigterm_under_load_loses_nothing(bert):
    with serving(bert.bundle, "--max-waiting", 8) as server:
        statuses = []
        enough = threading.Event()

        def client():
            while True:
                try:
                    statuses.append(server.infer("the film", "a dull story")[0])
                except OSError:  # it stopped
                    return
                if len(statuses) > 50:
                    enough.set()

        clients = [threading.Thread(target=client) for _ in range(6)]
        for each in clients:
            each.start()
        assert enough.wait(60)
        server.process.send_signal(signal.SIGTERM)
        for each in clients:
            each.join()
        assert server.process.wait(30) == 0
        assert set(statuses) == {200, 429}
        accepted = int(re.search(r"(\d+) requests were accepted", server.log.read_text())[1])
        assert statuses.count(200) == accepted


def test_a_port_that_is_taken_is_said_in_a_sentence(bert, served):
    wrong = subprocess.run(
        [sys.executable, "-c", PROGRAM, "serve", str(bert.bundle), "--port", str(served.port)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert wrong.returncode == 2
    assert f"error: 127.0.0.1:{served.port} cannot be listened on" in wrong.stderr
    assert "Traceback" not in wrong.stderr
