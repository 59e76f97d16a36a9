"""Runs the service until it is told to stop."""

import logging
import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from pocketbert.compress.errors import UserError

from ..bundle import read_bundle
from ..engine import Engine
from .app import create_app
from .service import ServeConfig

STOP_TIMEOUT_S = 25  # orchestrators kill after 30

log = logging.getLogger(__name__)


def serve(
    bundle: Path,
    config: ServeConfig,
    *,
    host: str,
    port: int,
    name: str | None = None,
    target: str | None = None,
    threads: int | None = None,
) -> None:
    """Serve a bundle; returns when SIGTERM or SIGINT came and what was accepted is answered.

    Args:
        bundle: The bundle's folder.
        config: What is taken in.
        host: Address to listen on.
        port: 0 takes a free one.
        name: Of the model, as it stands in the routes; by default the bundle's.
        target: Name of a target; by default the best that this processor can run.
        threads: Threads of one inference; by default what the bundle was built for.

    Raises:
        BundleError: The bundle cannot be run here.
        UserError: The address cannot be listened on.
    """
    verified = read_bundle(bundle)
    engine = Engine.from_bundle(verified, target, threads)
    app = create_app(engine, name or verified.manifest.name, config)
    with _listen(host, port) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,  # what it has to say goes where the rest goes
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=STOP_TIMEOUT_S,
            )
        )

        # uvicorn raises a signal again when it has stopped, for the handler that was there before.
        def stop(_signal: int, _frame: FrameType | None) -> None:
            server.should_exit = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        log.info("%s", engine.describe())
        log.info("http://%s:%d", host if ":" not in host else f"[{host}]", _port(listener))
        server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(
            f"{host}:{port} cannot be listened on ({error.strerror}), expected a free port of this "
            "machine; choose another with --port or --host"
        ) from error


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
