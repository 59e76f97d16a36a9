"""Makes questions on plain text: `python -m pocketbert.recipes.make_questions TEXT OUT`.

They are made, not asked by people: of a sentence a name or a number is left out, and the answer is
what was left out. It stands once in its paragraph, so that it is not ambiguous. Some questions are
put to a paragraph that does not hold the answer. Good for trying the chain, not for a claim about
questions that people ask.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pocketbert.compress.data import write_text
from pocketbert.compress.errors import DataError

from .script import run_script

SENTENCE = re.compile(r"[^.!?]+[.!?](?=\s|$)")
# Numbers, and names inside a sentence.
ANSWER = re.compile(r"\b\d+(?:[.,]\d+)*\b|(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")
GAP = "what"
FEWEST_WORDS = 8  # of a sentence that is asked about
PER_PARAGRAPH = 3
IMPOSSIBLE = 0.25  # of the questions


def make_questions(text: str, seed: int = 0) -> dict[str, Any]:
    """Return a SQuAD 2.0 file's content.

    Args:
        text: Paragraphs with blank lines between them.
        seed: Draws what is asked.

    Raises:
        DataError: Nothing in the text can be asked.
    """
    draw = random.Random(seed)
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    asked = [(context, list(_asked(context, draw))) for context in dict.fromkeys(paragraphs)]
    asked = [(context, some) for context, some in asked if some]
    if len(asked) < 2:
        raise DataError(
            f"the text has {len(asked)} paragraphs with a name or a number to ask for, expected "
            "two or more; give a longer text with blank lines between paragraphs"
        )
    return {
        "version": "v2.0",
        "data": [
            {
                "title": "made by pocketbert from plain text",
                "paragraphs": [
                    {"context": context, "qas": _questions(row, asked, draw)}
                    for row, (context, _) in enumerate(asked)
                ],
            }
        ],
    }


def _asked(context: str, draw: random.Random) -> Iterator[tuple[str, str, int]]:
    """Yield questions with their answers and where those start."""
    sentences = [one for one in SENTENCE.finditer(context) if len(one[0].split()) >= FEWEST_WORDS]
    for sentence in draw.sample(sentences, k=min(PER_PARAGRAPH, len(sentences))):
        found = [one for one in ANSWER.finditer(sentence[0]) if context.count(one[0]) == 1]
        if found:
            answer = draw.choice(found)
            before, behind = sentence[0][: answer.start()], sentence[0][answer.end() : -1]
            question = f"{before}{GAP}{behind}?".strip()
            yield question, answer[0], sentence.start() + answer.start()


def _questions(
    row: int, asked: Sequence[tuple[str, list[tuple[str, str, int]]]], draw: random.Random
) -> list[dict[str, Any]]:
    context, own = asked[row]
    made: list[dict[str, Any]] = [
        {"question": question, "answers": [{"text": answer, "answer_start": start}]}
        for question, answer, start in own
    ]
    if draw.random() < len(own) * IMPOSSIBLE / (1 - IMPOSSIBLE):
        question, answer, _ = draw.choice(draw.choice([*asked[:row], *asked[row + 1 :]])[1])
        if answer not in context:
            made.append({"question": question, "answers": [], "is_impossible": True})
    return [{"id": f"{row}-{number}", **one} for number, one in enumerate(made)]


def write_questions(text: Path, out: Path) -> None:
    """Write the questions on a text."""
    write_text(out, json.dumps(make_questions(text.read_text()), ensure_ascii=False))


if __name__ == "__main__":
    run_script(
        write_questions,
        __doc__,
        text="blank lines stand between its paragraphs",
        out="the SQuAD file that is written",
    )
