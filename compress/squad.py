"""Reading questions on paragraphs from a SQuAD file, version 1 or 2."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DataError

FORM = (
    '{"data": [{"paragraphs": [{"context": "...", "qas": [{"question": "...", "answers": '
    '[{"text": "...", "answer_start": 0}]}]}]}]}'
)


def read_questions(
    path: Path, text: str
) -> Iterator[tuple[str, dict[str, list[Any]] | None, int, str]]:
    """Yield each question, its answers, its number in the file, and its context.

    Answers are texts and starts, as in the hub's data sets of this kind; both lists are empty where
    `is_impossible` says so, and None stands for a question of which nothing is said.

    Args:
        path: For complaints.
        text: Content of the file.

    Raises:
        DataError: The file is no SQuAD file.
    """
    number = 0
    try:
        articles = json.loads(text)["data"]
        for article in articles:
            for paragraph in article["paragraphs"]:
                context = paragraph["context"]
                for asked in paragraph["qas"]:
                    number += 1
                    yield asked["question"], _answers(asked), number, context
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} row {error.lineno} is malformed at character {error.colno} ({error.msg}), "
            f"expected a SQuAD file: {FORM}"
        ) from error
    except (KeyError, TypeError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else f"another shape ({error})"
        raise DataError(
            f"{path} has {missing} behind question {number}, expected a SQuAD file: {FORM}; "
            "correct it or set data.format"
        ) from error


def _answers(asked: dict[str, Any]) -> dict[str, list[Any]] | None:
    answers = asked.get("answers") or []
    if not answers and not asked.get("is_impossible", False):
        return None
    return {
        "text": [answer["text"] for answer in answers],
        "answer_start": [answer["answer_start"] for answer in answers],
    }
