"""One engine, what waits for it, and the way of a request through both."""

import logging
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from ..engine import Engine
from .batcher import BatchConfig, Batcher, QueueFullError
from .metrics import Metrics
from .protocol import (
    InferRequest,
    InferResponse,
    ProtocolError,
    asked_for,
    output_tensors,
    parse_request,
    texts_of,
)

VERSION = "1"  # a server has one bundle

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What a server takes in.

    Attributes:
        batch: How texts are gathered.
        max_body_bytes: Longest body of a request.
    """

    batch: BatchConfig
    max_body_bytes: int = 1 << 20


class Service:
    """Answers inference requests; to be made in a running event loop.

    Args:
        engine: Answers texts.
        name: Of the model.
        config: What is taken in.
    """

    def __init__(self, engine: Engine, name: str, config: ServeConfig) -> None:
        self.name = name
        # The first call of an engine is slow, and its answer shows what the outputs are.
        self.outputs = output_tensors(engine(["warm up"]))
        self.metrics = Metrics(lambda: self.batcher.waiting)
        self.batcher = Batcher(
            lambda texts: engine(texts, batch_size=len(texts)),
            config.batch,
            self.metrics.observe_batch,
        )
        self._config = config

    def check_model(self, name: str, version: str) -> None:
        """Refuse the name of another model.

        Raises:
            ProtocolError: This server has no such model.
        """
        if (name, version) != (self.name, VERSION):
            raise ProtocolError(
                404,
                f"there is no model {name!r} of version {version!r}, expected {self.name!r} of "
                f"version {VERSION!r}",
            )

    async def infer(self, request: Request) -> InferResponse:
        """Answer a request.

        Raises:
            ProtocolError: It was refused, or the engine failed.
        """
        try:
            self.batcher.check_room()  # a full server does not even read
            asked = parse_request(await self._read(request))
            asked_for(self.outputs, asked)
            answers = self.batcher.submit(texts_of(asked, self._config.batch.max_waiting))
        except QueueFullError as error:
            raise ProtocolError(429, str(error), error.retry_after_s) from error
        self.metrics.accepted.inc()
        try:
            return self._response(asked, await answers)
        except Exception as error:
            log.exception("the engine failed")
            raise ProtocolError(500, "the engine failed; the server's log says why") from error

    def _response(self, asked: InferRequest, answers: list[object]) -> InferResponse:
        return InferResponse(
            model_name=self.name,
            model_version=VERSION,
            id=asked.id,
            outputs=asked_for(output_tensors(answers), asked),
        )

    async def _read(self, request: Request) -> bytes:
        limit = self._config.max_body_bytes
        too_long = ProtocolError(413, f"the body is longer than {limit:,} bytes; send less at once")
        declared = request.headers.get("content-length", "0")
        if int(declared) > limit:  # digits only, or the HTTP parser would have refused it
            raise too_long
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_long
        except ClientDisconnect:
            raise ProtocolError(400, "the connection was closed before the body's end") from None
        return bytes(body)
