"""The Open Inference Protocol (KServe v2) as JSON: what is read, what is written, what is refused.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

TEXT = "text"
ANSWER = "answer"
MAX_TEXT_BYTES = 65_536  # far beyond what any BERT reads; to cut a megabyte into tokens takes long


class ProtocolError(Exception):
    """An answer that is an error.

    Args:
        status: Of HTTP.
        message: One sentence.
        retry_after_s: When to come again.
    """

    def __init__(self, status: int, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class Wire(BaseModel):
    """What goes over the wire; unknown keys are extensions of the protocol and are passed over."""

    model_config = ConfigDict(frozen=True, strict=True)


class InputTensor(Wire):
    """A tensor of a request.

    Attributes:
        name: `text`.
        shape: (n) or (n, 1).
        datatype: `BYTES`.
        data: The texts, flat or nested as the shape says.
        parameters: Passed over.
    """

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = Field(default_factory=dict)


class RequestedOutput(Wire):
    """An output that is asked for, by name."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(Wire):
    """Texts to be answered.

    Attributes:
        id: Given back with the answer.
        inputs: The one tensor `text`.
        outputs: Those asked for; all if none is named.
        parameters: Passed over.
    """

    id: str | None = None
    inputs: list[InputTensor]
    outputs: list[RequestedOutput] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)


class OutputTensor(Wire):
    """A tensor of an answer, its data flat in row-major order.

    Attributes:
        name: A field of the engine's answer, or `answer`.
        shape: (n) or (n, names).
        datatype: `BYTES` or `FP32`.
        data: Strings or numbers.
        parameters: `names`, as JSON, if the second dimension has some.
    """

    name: str
    shape: list[int]
    datatype: str
    data: list[str] | list[float]
    parameters: dict[str, str] | None = None


class InferResponse(Wire):
    """Answers, in the order of the texts."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class TensorMetadata(Wire):
    """A tensor that a model reads or writes; -1 stands for any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Wire):
    """What a model reads and writes."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ErrorResponse(Wire):
    """What went wrong."""

    error: str


def parse_request(body: bytes) -> InferRequest:
    """Read a request.

    Raises:
        ProtocolError: It is not JSON, or not a request of the protocol.
    """
    try:
        return InferRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        where = f"`{place}` is wrong" if place else "the body is wrong"
        raise ProtocolError(
            400, f"{where} ({first['msg']}), expected an inference request as JSON"
        ) from error


def texts_of(request: InferRequest, max_texts: int) -> list[str]:
    """Take the texts out of a request.

    Raises:
        ProtocolError: There are none or too many, or one is too long or no text.
    """
    names = [tensor.name for tensor in request.inputs]
    if names != [TEXT]:
        raise ProtocolError(400, f"the inputs are {names}, expected one named '{TEXT}'")
    tensor = request.inputs[0]
    if tensor.datatype != "BYTES":
        raise ProtocolError(
            400, f"input '{TEXT}' has the datatype {tensor.datatype!r}, expected 'BYTES'"
        )
    texts = list(_flat(tensor.data))
    if tensor.shape not in ([len(texts)], [len(texts), 1]) or not texts:
        raise ProtocolError(
            400,
            f"input '{TEXT}' has the shape {tensor.shape} and {len(texts)} texts, expected at "
            "least one text and the shape [n] or [n, 1] for n texts",
        )
    if len(texts) > max_texts:
        raise ProtocolError(
            413, f"the request has {len(texts)} texts, expected at most {max_texts}; send several"
        )
    for number, text in enumerate(texts):
        _check_text(number, text)
    return texts


def output_tensors(answers: Sequence[Any]) -> list[OutputTensor]:
    """Turn typed answers into tensors: each as JSON, and each field that has a tensor's shape.

    Args:
        answers: Dataclasses of one kind, at least one.
    """
    rows = [asdict(answer) for answer in answers]
    whole = [json.dumps(row, ensure_ascii=False) for row in rows]
    tensors = [OutputTensor(name=ANSWER, shape=[len(rows)], datatype="BYTES", data=whole)]
    for name in rows[0]:
        tensor = _field_tensor(name, [row[name] for row in rows])
        if tensor:
            tensors.append(tensor)
    return tensors


def asked_for(tensors: Sequence[OutputTensor], request: InferRequest) -> list[OutputTensor]:
    """Choose the outputs that a request names; all if it names none.

    Raises:
        ProtocolError: One of them does not exist.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    for output in request.outputs:
        if output.name not in by_name:
            raise ProtocolError(
                400, f"there is no output {output.name!r}, expected one of: {', '.join(by_name)}"
            )
    return [by_name[output.name] for output in request.outputs] or list(tensors)


def _flat(data: Sequence[Any]) -> Iterator[Any]:
    for item in data:
        if isinstance(item, list):
            yield from item  # (n, 1); what is nested deeper is no text and refused as such
        else:
            yield item


def _check_text(number: int, text: Any) -> None:
    if not isinstance(text, str):
        found = json.dumps(text)[:80]
        raise ProtocolError(400, f"text {number} is {found}, expected a string")
    size = len(text.encode())
    if size > MAX_TEXT_BYTES:
        raise ProtocolError(
            413, f"text {number} has {size:,} bytes, expected at most {MAX_TEXT_BYTES:,}; cut it"
        )


def _field_tensor(name: str, values: Sequence[Any]) -> OutputTensor | None:
    """Text (n), numbers (n), or numbers with names (n, names); None if it is none of these."""
    count = len(values)
    if all(isinstance(value, str) for value in values):
        return OutputTensor(name=name, shape=[count], datatype="BYTES", data=list(values))
    if all(_is_number(value) for value in values):
        return OutputTensor(name=name, shape=[count], datatype="FP32", data=list(values))
    first = values[0]
    if not isinstance(first, Mapping) or not all(map(_is_number, first.values())):
        return None
    return OutputTensor(
        name=name,
        shape=[count, len(first)],
        datatype="FP32",
        data=[value[key] for value in values for key in first],
        parameters={"names": json.dumps(list(first), ensure_ascii=False)},
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
