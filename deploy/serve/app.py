"""The routes of the server: the protocol, metrics, and a page to try texts."""

import html
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..engine import Engine
from .protocol import (
    TEXT,
    ErrorResponse,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ProtocolError,
    TensorMetadata,
)
from .service import VERSION, ServeConfig, Service

PAGE = Path(__file__).with_name("page.html")
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:",
    "Cache-Control": "no-cache",
}
MODEL = "/v2/models/{name}"
MODEL_VERSION = MODEL + "/versions/{version}"
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse} for status in (400, 404, 413, 429, 500)
}
# The body is read by hand, so that a long one is refused before it fills memory.
INFER_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": InferRequest.model_json_schema()}},
    }
}

log = logging.getLogger(__name__)


def create_app(engine: Engine, name: str, config: ServeConfig) -> FastAPI:
    """Make the application of one engine.

    Args:
        engine: Answers texts.
        name: Of the model, as it stands in the routes.
        config: What is taken in.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service = Service(engine, name, config)
        yield
        await service.batcher.close()
        log.info("stopped; %d requests were accepted", service.metrics.accepted_requests())

    # Its pages of documentation would load scripts from elsewhere; /openapi.json stays.
    app = FastAPI(
        title="pocketbert",
        version=metadata.version("pocketbert"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.exception_handler(ProtocolError)(_refused)
    app.exception_handler(HTTPException)(_refused_by_the_router)
    _add_health(app)
    _add_model(app)
    _add_metrics(app)
    _add_page(app, name, engine.describe())
    return app


def _add_health(app: FastAPI) -> None:
    @app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    async def ready(request: Request) -> JSONResponse:
        alive = _service(request).batcher.alive
        return JSONResponse({"ready": alive}, 200 if alive else 503)

    @app.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": app.title, "version": app.version, "extensions": []}


def _add_model(app: FastAPI) -> None:
    @app.get(MODEL)
    @app.get(MODEL_VERSION)
    async def model(request: Request, name: str, version: str = VERSION) -> ModelMetadata:
        service = _service(request)
        service.check_model(name, version)
        return ModelMetadata(
            name=service.name,
            versions=[VERSION],
            platform="pocketbert",
            inputs=[TensorMetadata(name=TEXT, datatype="BYTES", shape=[-1])],
            outputs=[
                TensorMetadata(name=each.name, datatype=each.datatype, shape=[-1, *each.shape[1:]])
                for each in service.outputs
            ],
        )

    @app.get(MODEL + "/ready")
    @app.get(MODEL_VERSION + "/ready")
    async def model_ready(request: Request, name: str, version: str = VERSION) -> JSONResponse:
        _service(request).check_model(name, version)
        alive = _service(request).batcher.alive
        return JSONResponse({"name": name, "ready": alive}, 200 if alive else 503)

    @app.post(MODEL + "/infer", responses=REFUSALS, openapi_extra=INFER_BODY)
    @app.post(MODEL_VERSION + "/infer", responses=REFUSALS, openapi_extra=INFER_BODY)
    async def infer(request: Request, name: str, version: str = VERSION) -> Response:
        started = time.perf_counter()
        service = _service(request)
        response: Response
        try:
            service.check_model(name, version)
            response = _json(await service.infer(request))
        except ProtocolError as error:
            response = _refused(request, error)
        seconds = time.perf_counter() - started
        service.metrics.observe_response(response.status_code, seconds)
        response.headers["Server-Timing"] = f"total;dur={1000 * seconds:.3f}"
        return response


def _add_metrics(app: FastAPI) -> None:
    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        return Response(_service(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_page(app: FastAPI, name: str, description: str) -> None:
    text = PAGE.read_text(encoding="utf-8").replace("{{model}}", html.escape(name))
    text = text.replace("{{engine}}", html.escape(description))

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(text, headers=PAGE_HEADERS)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _json(answer: InferResponse) -> Response:
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


def _refused(_: Request, error: ProtocolError) -> JSONResponse:
    again = error.retry_after_s
    headers = {} if again is None else {"Retry-After": str(again)}
    return JSONResponse({"error": str(error)}, error.status, headers)


def _refused_by_the_router(_: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
