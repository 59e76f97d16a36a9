from collections.abc import Callable
from pathlib import Path

import pytest

RECIPE = """\
name: small
about: a small recipe for tests
seed: 3
task:
  kind: text-classification
  labels: [negative, positive]
  max_length: 64
data:
  train: reviews.csv
  validation: 0.1
  test: 0.2
  columns: {text: review, label: stars}
teacher:
  model: hf:bert-base-uncased
  training:
    epochs: 2
    learning_rate: 5e-5
distill:
  student:
    init: teacher
    layers: 3
  objectives:
    soft_targets: {weight: 1.0}
    hidden: {weight: 0.5, positions: tokens}
  training:
    epochs: 3
    learning_rate: 1e-4
prune:
  heads: 0.25
  neurons: 0.5
  objectives:
    labels: {weight: 1.0}
  training:
    epochs: 1
    learning_rate: 5e-5
quantize:
  calibration_examples: 64
compile:
  isa: auto
evaluate:
  latency_texts: 10
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, so that messages name files as the user would."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(here: Path) -> Callable[..., str]:
    """Write the test recipe with replacements, return its path."""

    def write_recipe(*changes: tuple[str, str], name: str = "small.yaml") -> str:
        text = RECIPE
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (here / name).write_text(text)
        return name

    return write_recipe
