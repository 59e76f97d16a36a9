"""Commands about a bundle: use it, prove it, hand it on."""

import io
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pocketbert.compress.errors import DataError

from .. import screen
from ..options import (
    GATE_MISSED,
    AsJson,
    BundleFolder,
    Quiet,
    Threads,
    examples,
)

PANEL = "Bundles"

commands = typer.Typer()
export = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Write a bundle in the form of another server.",
    epilog=examples("pocketbert export triton runs/quickstart/bundle --out models"),
)
commands.add_typer(export, name="export", rich_help_panel=PANEL)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        'pocketbert predict runs/quickstart/bundle "a moving film" "a dull plot"',
        "pocketbert predict runs/quickstart/bundle < reviews.txt > labels.jsonl",
    ),
)
def predict(
    bundle: BundleFolder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts; without any, the lines of stdin. The two texts of a pair have a tab "
            "between them."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    threads: Threads = None,
) -> None:
    """Answer texts; one JSON object a line."""
    from pocketbert.deploy.engine import Engine

    engine = Engine.open(bundle, target, threads)
    # Bytes that are no UTF-8 become U+FFFD, as everywhere.
    if texts:
        lines: Iterable[str] = [os.fsencode(text).decode(errors="replace") for text in texts]
    else:
        stdin = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")
        lines = (line.rstrip("\r\n") for line in stdin)
    for line in lines:
        text = _pair(line) if engine.pairs else line
        screen.write_json({"text": text, **asdict(engine([text])[0])}, indent=None)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert selftest runs/quickstart/bundle",
    ),
)
def selftest(
    bundle: BundleFolder,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a bundle's bytes and replay its golden texts on this machine."""
    from pocketbert.deploy.selftest import selftest as run_selftest

    result = run_selftest(bundle, target)
    if as_json:
        screen.write_json(asdict(result))
    else:
        screen.self_tested(result)
    if not result.passed:
        raise typer.Exit(GATE_MISSED)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert build runs/quickstart/bundle --target tensorrt   # on the device",
        "pocketbert build runs/quickstart/bundle --rebuild",
    ),
)
def build(
    bundle: BundleFolder,
    target: Annotated[
        str | None, typer.Option(help="A target of the bundle; the first that has to be built.")
    ] = None,
    rebuild: Annotated[bool, typer.Option(help="Build also what is there already.")] = False,
    dla: Annotated[
        bool, typer.Option("--dla", help="Refused with the reason: DLA runs no encoder.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Build on this machine the engine that a target needs here, such as TensorRT's."""
    from pocketbert.deploy.build import build as build_target

    screen.log_to_stderr(quiet)
    result = build_target(bundle, target, rebuild=rebuild, dla=dla)
    if as_json:
        screen.write_json(asdict(result) | {"fell_back": result.fell_back})
    else:
        screen.was_built(result)


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
        "pocketbert sign runs/quickstart/bundle --key private.pem",
    ),
)
def sign(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="Private key, PEM, on NIST P-256, P-384 or P-521.")],
) -> None:
    """Sign a bundle: `model.sig`, in OpenSSF's format, over every other file of it."""
    from pocketbert.deploy.signature import sign as sign_bundle

    screen.write(f"signed: {sign_bundle(bundle, key)}")


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "openssl ec -in private.pem -pubout -out public.pem",
        "pocketbert verify runs/quickstart/bundle --key public.pem",
    ),
)
def verify(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="Public key that must have signed the bundle.")],
) -> None:
    """Check a bundle's signature and every byte of it."""
    from pocketbert.deploy.bundle import read_bundle
    from pocketbert.deploy.signature import verify_signature

    verify_signature(bundle, key)
    read_bundle(bundle)
    screen.write(f"{bundle} is whole and signed with the private key of {key}")


@commands.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "pocketbert serve runs/quickstart/bundle --name quickstart",
        "pocketbert serve runs/quickstart/bundle --host 0.0.0.0 --port 80 --max-batch 32",
        'curl localhost:8000/v2/models/quickstart/infer -d \'{"inputs": [{"name": "text", '
        '"shape": [1], "datatype": "BYTES", "data": ["a moving film"]}]}\'',
    ),
)
def serve(
    bundle: BundleFolder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in addresses; the bundle's if not given.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
    threads: Threads = None,
    max_batch: Annotated[
        int, typer.Option(min=1, help="Texts of several requests that are computed at once.")
    ] = 8,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="Longest that a text waits for others; 0 takes what waits.")
    ] = 0,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Texts taken in at a time; more are answered with 429.")
    ] = 256,
    max_body_bytes: Annotated[
        int, typer.Option(min=1, help="Longest body of a request.")
    ] = 1_048_576,
    quiet: Quiet = False,
) -> None:
    """Answer texts over HTTP: Open Inference Protocol (v2), /metrics, and a page to try at /.

    Without a login and without TLS: put a proxy before it where others can reach it.
    SIGTERM and Ctrl-C end it when everything that it took in is answered.
    """
    from pocketbert.deploy.serve.batcher import BatchConfig
    from pocketbert.deploy.serve.server import serve as run_server
    from pocketbert.deploy.serve.service import ServeConfig

    screen.log_to_stderr(quiet)
    batch = BatchConfig(max_batch=max_batch, max_wait_ms=max_wait_ms, max_waiting=max_waiting)
    config = ServeConfig(batch=batch, max_body_bytes=max_body_bytes)
    run_server(bundle, config, host=host, port=port, name=name, target=target, threads=threads)


@export.command(
    name="triton",
    epilog=examples(
        "pocketbert export triton runs/quickstart/bundle --out models",
        "tritonserver --model-repository models   # in its container, after pip install tokenizers",
    ),
)
def export_triton(
    bundle: BundleFolder,
    out: Annotated[Path, typer.Option(metavar="REPO", help="A new folder.")],
    target: Annotated[str | None, typer.Option(help="A target that ONNX Runtime runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model repository of Triton Inference Server: texts in, labels out."""
    from pocketbert.deploy.triton.repository import export_triton as write_repository

    written = write_repository(bundle, out, target)
    if as_json:
        screen.write_json({"repository": str(out), "target": asdict(written)})
    else:
        screen.write(f"{out}: {written.name}, {written.precision} for {written.isa}")


def _pair(line: str) -> tuple[str, str]:
    first, tab, second = line.partition("\t")
    if not tab:
        raise DataError(
            f"the text is {line[:80]!r}, expected two texts with a tab between them, because the "
            "bundle reads pairs"
        )
    return first, second
