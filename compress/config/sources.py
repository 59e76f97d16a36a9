"""Where models and data come from."""

from dataclasses import dataclass

from .checks import STRICT, check


@dataclass(frozen=True, kw_only=True)
class PypiFile:
    """One file of a released Python package, pinned.

    Attributes:
        package: `name==version`.
        file: File name of the wheel or sdist.
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
            self.package.count("==") == 1,
            f"package is {self.package!r}, expected a pinned `name==version`",
        )
        check(
            len(self.sha256) == 64 and set(self.sha256) <= set("0123456789abcdef"),
            f"sha256 is {self.sha256!r}, expected 64 lower-case hexadecimal digits",
        )


@dataclass(frozen=True, kw_only=True)
class PypiSource:
    """A file or folder inside released packages.

    Attributes:
        files: The pinned files; several are joined byte by byte (split archives).
        inside: Path within the archive; `!` steps into an archive inside the archive, a
            trailing `/` names a folder.
    """

    __pydantic_config__ = STRICT
    files: tuple[PypiFile, ...]
    inside: str

    def __post_init__(self) -> None:
        check(len(self.files) > 0, "files is empty, expected at least one pinned file")


# `hf:owner/name`, `pypi:NAME` (looked up in recipes/sources.yaml), or a local path.
Source = str | PypiSource
