"""Why an engine is slow or wrong, and what to change in the recipe."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One cause.

    Attributes:
        kind: Name of the row that found it.
        subject: Target of the bundle, or name of the file.
        found: What was seen, with its figures.
        remedy: What to change in the recipe.
        figures: The figures, by name with unit.
    """

    kind: str
    subject: str
    found: str
    remedy: str
    figures: dict[str, float] = field(default_factory=dict)
