"""How much disk a teacher's states on plain text will take, said before anything is spent."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pocketbert.compress.config import GeneralConfig, PackageSource, Source, UnlabelledConfig
from pocketbert.compress.layer_map import states_at

from .estimate import source_shape, unpacked_folder
from .pipeline import general_outputs_wanted
from .schema import Recipe

NUMBER_BYTES = 2  # float16
TEXT_BYTES_PER_TOKEN = 4  # about, of English in WordPiece


@dataclass(frozen=True, kw_only=True)
class StatesSize:
    """The size of what the general-outputs stage keeps.

    Attributes:
        position_bytes: Of one token, or of one text where only its first position is compared.
        positions: How many of them, about, by the size of the files; None if one is not here yet.
    """

    position_bytes: int
    positions: int | None

    @property
    def bytes(self) -> int | None:
        """All positions together."""
        return None if self.positions is None else self.positions * self.position_bytes


def states_size(recipe: Recipe, general: GeneralConfig) -> StatesSize | None:
    """Estimate the states of a recipe's general section; None until the teacher is downloaded.

    Columns beside the text count as text, and so do tails that are cut off: it is rather less.

    Raises:
        ModelError: An objective names a layer that the teacher does not have.
    """
    shape = source_shape(recipe.teacher.model, recipe)
    if shape is None:
        return None
    wanted = general_outputs_wanted(general)
    kept = len(states_at(wanted, shape.layers)) + (wanted.masked_fraction or 0.0)
    over_tokens = wanted.over_tokens or wanted.masked_fraction is not None
    longest = recipe.task.max_length if over_tokens else 1
    counted = [_positions(table, over_tokens, longest) for table in general.texts]
    return StatesSize(
        position_bytes=round(NUMBER_BYTES * shape.hidden_size * kept),
        positions=_sum_of_known(counted),
    )


def _sum_of_known(counts: Iterable[int | None]) -> int | None:
    known = 0
    for count in counts:
        if count is None:
            return None
        known += count
    return known


def _positions(table: UnlabelledConfig, over_tokens: bool, longest: int) -> int | None:
    path = _text_file(table.source)
    if path is None:
        return None
    if over_tokens or table.sentences or table.format == "json":  # none is a text a line
        counted = path.stat().st_size // TEXT_BYTES_PER_TOKEN
    else:
        with path.open("rb") as lines:
            counted = sum(1 for _ in lines)
    return counted if table.max_texts is None else min(counted, table.max_texts * longest)


def _text_file(source: Source) -> Path | None:
    """Return the file of a table if it is on this machine already; fetch nothing."""
    if isinstance(source, PackageSource):
        name = source.inside.rpartition("!")[2].rpartition("/")[2]
        path = unpacked_folder(source) / "content" / name
    else:
        path = Path(source)
    return path if path.is_file() else None
