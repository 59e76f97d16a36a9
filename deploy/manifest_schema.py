"""The JSON Schema of a bundle's manifest.

`python -m pocketbert.deploy.manifest_schema` writes it.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from .bundle import Manifest

FILE = Path(__file__).with_name("manifest.schema.json")


def manifest_schema() -> dict[str, Any]:
    """Make the schema (JSON Schema 2020-12) of the class that reads manifests."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return about | TypeAdapter(Manifest).json_schema()


if __name__ == "__main__":
    FILE.write_text(json.dumps(manifest_schema(), indent=2) + "\n")
