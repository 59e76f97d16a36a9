"""Builds on a device what a bundle's target needs there, and falls back in the open."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketbert.compress.errors import BundleError

from .bundle import Bundle, Target, read_bundle
from .engine import why_not_here
from .runners import build_here, needs_building, why_not
from .tensorrt_kit import DLA_REFUSED


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What came of building.

    Attributes:
        asked: Target that was asked for.
        target: Target that will run: the one asked for, or what was fallen back to.
        said: What was done, a sentence a target, in order.
    """

    asked: str
    target: str
    said: tuple[str, ...]

    @property
    def fell_back(self) -> bool:
        """Whether another target than the one asked for will run."""
        return self.asked != self.target


def build(
    root: Path, name: str | None = None, *, rebuild: bool = False, dla: bool = False
) -> BuildResult:
    """Build a target of a bundle on this machine; if it does not build, the next best one.

    INT8 falls back to the float target of the same runtime, then to one that needs no building.
    Every step is said in the result and kept in the record beside the engine: the bundle itself is
    hashed, may be signed, and stays as it is.

    Args:
        root: The bundle's folder.
        name: The target; by default the first that has to be built.
        rebuild: Build it also if an engine is there.
        dla: Refused with the reason: no DLA runs an encoder.

    Raises:
        BundleError: The bundle is broken, the runtime is not on this machine, or nothing that the
            bundle holds runs here.
        UserError: The disk is full; nothing broken is left behind.
    """
    if dla:
        raise BundleError(f"{DLA_REFUSED}; leave out --dla")
    bundle = read_bundle(root)
    asked = _asked(bundle, name)
    reason = why_not(asked.runtime)
    if reason:
        raise BundleError(f"the target {asked.name} cannot be built here, {reason}")
    chain = [asked, *fallbacks(bundle, asked)]
    said: list[str] = []
    for number, target in enumerate(chain):
        following = chain[number + 1].name if number + 1 < len(chain) else None
        if not needs_building(target.runtime):
            return BuildResult(asked=asked.name, target=target.name, said=tuple(said))
        try:
            said.append(build_here(bundle, target, rebuild, following))
        except BundleError as error:
            said.append(_announcement(target, error, following))
        else:
            return BuildResult(asked=asked.name, target=target.name, said=tuple(said))
    raise BundleError(
        f"{'; '.join(said)}, expected one target that builds or runs here; compile the bundle with "
        "onnxruntime in compile.also"
    )


def fallbacks(bundle: Bundle, asked: Target) -> Sequence[Target]:
    """List what runs if a target does not build, best first.

    Args:
        bundle: A verified bundle.
        asked: A target that has to be built.
    """
    targets = bundle.manifest.targets
    floats = [
        target
        for target in targets
        if target.runtime == asked.runtime and target.precision != "int8"
    ]
    ready = [
        target
        for target in targets
        if not needs_building(target.runtime) and why_not_here(bundle.root, target) is None
    ]
    return [target for target in (*floats, *ready[:1]) if target != asked]


def _asked(bundle: Bundle, name: str | None) -> Target:
    targets = bundle.manifest.targets
    to_build = [target for target in targets if needs_building(target.runtime)]
    for target in to_build:
        if name in (None, target.name):
            return target
    if not to_build:
        raise BundleError(
            f"{bundle.root} has no target that is built on the device, expected one; all of its "
            "targets run as they are, or add tensorrt to compile.also and run the recipe again"
        )
    names = ", ".join(target.name for target in to_build)
    raise BundleError(
        f"{bundle.root} has no target {name!r} that is built on the device, expected one of: "
        f"{names}; give one of them to --target"
    )


def _announcement(target: Target, error: BundleError, following: str | None) -> str:
    instead = f"; falling back to {following}" if following else ""
    return f"{target.name} ({target.precision}) does not build here: {error}{instead}"
