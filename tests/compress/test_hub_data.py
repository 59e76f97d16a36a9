"""Data sets of the hub, from a local cache as an earlier download leaves it; no network."""

import json
import os
import subprocess
import sys

import pytest

from pocketbert.compress.config import ColumnsConfig
from pocketbert.compress.errors import DataError
from pocketbert.compress.hub_data import parse_hub_source, read_hub_rows

# The library takes a folder of the working directory for a data set of that name, and prepares it
# into the cache exactly as one from the hub.
FILL_CACHE = """
from pathlib import Path
from datasets import ClassLabel, Dataset, Features, Value, load_dataset
Path("glue/sst2").mkdir(parents=True)
Path("glue/README.md").write_text('''---
configs:
- config_name: sst2
  data_files:
  - {split: train, path: sst2/train*}
---
''')
features = Features({"sentence": Value("string"), "label": ClassLabel(names=["no", "yes"])})
rows = {"sentence": ["fine film", "poor film"], "label": [1, 0]}
Dataset.from_dict(rows, features).to_parquet("glue/sst2/train.parquet")
load_dataset("glue", "sst2")
"""

READ = """
import json, sys
from pocketbert.compress.config import ColumnsConfig
from pocketbert.compress.errors import DataError
from pocketbert.compress.hub_data import read_hub_rows
def read(source, labels, text="sentence"):
    try:
        rows = read_hub_rows(source, ColumnsConfig(text=text), labels)
        return [[row.text, row.label, row.number] for row in rows]
    except DataError as error:
        return str(error)
print(json.dumps({
    "named": read("hf:glue/sst2:train", ("yes", "no")),
    "numbered": read("hf:glue/sst2:train", ("bad", "good")),
    "split": read("hf:glue/sst2:test", ("no", "yes")),
    "unknown": read("hf:nobody/nothing:train", ("no", "yes")),
    "column": read("hf:glue/sst2:train", ("no", "yes"), text="sentences"),
}))
"""


def run(code, folder, cache, **env):
    folder.mkdir()
    surroundings = {**os.environ, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", **env}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reading_from_the_cache_without_network(tmp_path):
    run(FILL_CACHE, tmp_path / "filling", tmp_path / "cache")
    found = json.loads(run(READ, tmp_path / "reading", tmp_path / "cache"))
    assert found["named"] == [["fine film", "yes", 1], ["poor film", "no", 2]]
    assert found["numbered"] == [["fine film", 1, 1], ["poor film", 0, 2]]
    assert "hf:glue/sst2:test could not be loaded" in found["split"]
    assert "hf:nobody/nothing:train could not be loaded" in found["unknown"]
    assert "expected 'sentences' (did you mean 'sentence'?)" in found["column"]


def test_a_local_folder_is_not_taken_for_the_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "glue").mkdir()
    with pytest.raises(DataError, match="lies in the working folder"):
        list(read_hub_rows("hf:glue/sst2:train", ColumnsConfig(), ("no", "yes")))


@pytest.mark.parametrize(
    ("source", "parsed"),
    [
        ("hf:imdb:train", ("imdb", None, "train")),
        ("hf:glue/sst2:train", ("glue", "sst2", "train")),
        ("hf:nyu-mll/glue/sst2:train[:10%]", ("nyu-mll/glue", "sst2", "train[:10%]")),
    ],
)
def test_form_of_the_name(source, parsed):
    assert parse_hub_source(source) == parsed


@pytest.mark.parametrize("source", ["hf:imdb", "hf::train", "hf:a//b:train", "hf:a/b/c/d:train"])
def test_malformed_name(source):
    with pytest.raises(DataError, match="expected `hf:name:split`"):
        parse_hub_source(source)
