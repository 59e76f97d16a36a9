"""The header of a model card, as the Hugging Face hub reads it at the top of README.md."""

from typing import Any

from .results import Results
from .wording import MetricWording


def card_header(recipe: dict[str, Any], results: Results) -> dict[str, Any]:
    """Return what the hub indexes: task, base model, and how good the engine is that ships.

    Args:
        recipe: As it was resolved.
        results: What was measured.
    """
    task, teacher = recipe["task"]["kind"], recipe.get("teacher", {}).get("model")
    is_hub = isinstance(teacher, str) and teacher.startswith("hf:")
    value = results.of(results.engine).accuracy.value
    result = {
        "task": {"type": task},
        "dataset": {"name": data_name(recipe), "type": "other", "split": "test"},
        "metrics": [
            {
                "type": results.metric.lower(),
                "value": round(value, 4),
                "name": MetricWording(results.metric).title,
            }
        ],
    }
    return {
        "library_name": "pocketbert",
        "pipeline_tag": task,
        "tags": ["pocketbert", "onnx", "edge"],
        **({"base_model": teacher.removeprefix("hf:")} if is_hub else {}),
        "model-index": [{"name": recipe["name"], "results": [result]}],
    }


def data_name(recipe: dict[str, Any]) -> str:
    """The training source as the recipe names it, or the package that it is in."""
    source = recipe["data"]["train"]
    return str(source["files"][0]["package"] if isinstance(source, dict) else source)
