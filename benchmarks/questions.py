"""Whether an engine that answers questions reads them, or finds what is likely to be asked.

    pocketbert run questions
    python benchmarks/questions.py --data runs/stages/data-* --bundle runs/questions/bundle

Test questions that their context answers are asked as they are, and again with each context under
the question of another context. An engine that reads its question loses most of the F1 then. Beside
its answers stand its best parts of the context, whether it takes them for an answer or not, because
"no answer" to a strange question would be enough for the first. Two questions on one context, with
different answers, should get different ones.
"""

import argparse
import random
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import environment, write_results

from pocketbert.compress.answer_scores import best_score, exact_match, word_f1
from pocketbert.compress.data import load_split
from pocketbert.deploy.engine import Engine
from pocketbert.eval.intervals import Interval, bootstrap

RESAMPLES = 2000
Asked = tuple[str, str]  # question and context


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of the data stage")
    options.add_argument("--bundle", type=Path, required=True)
    chosen = options.parse_args()
    asked, answers = answerable(chosen.data)
    engine = Engine.open(chosen.bundle)
    right, strange = given(engine, asked), given(engine, under_other_questions(asked))
    rows = []
    for kind in ("answer", "best part"):
        row = {"of": kind} | fallen(right[kind], strange[kind], answers)
        row["pairs"] = on_one_context(asked, answers, right[kind])
        print(row, flush=True)
        rows.append(row)
    write_results(
        "questions",
        environment=environment(),
        questions=len(asked),
        rows=rows,
        bars=[
            {
                "name": f"F1 of the {row['of']} lost under the question of another context, lower "
                "end of the interval",
                "value": row["lost"]["low"],
                "target": "above 0",
                "holds": row["lost"]["low"] > 0,
            }
            for row in rows
        ],
    )


def answerable(data: Path) -> tuple[list[Asked], list[list[str]]]:
    """Return the test questions that have an answer, and the answers of each."""
    split = load_split(data, "test")
    found = [
        ((text[0], text[1]), [text[1][span.start : span.end] for span in spans])
        for text, spans in zip(split.texts, split.labels, strict=True)
        if spans
    ]
    asked, answers = zip(*found, strict=True)
    return list(asked), list(answers)


def under_other_questions(asked: list[Asked]) -> list[Asked]:
    """Put each context under the question of another one."""
    draw = random.Random(0)
    return [
        (draw.choice([question for question, other in asked if other != context]), context)
        for _, context in asked
    ]


def given(engine: Engine, asked: list[Asked]) -> dict[str, list[str]]:
    """Return what the engine answers, and the part of each context that it would choose first."""
    found: list[Any] = engine(asked)
    return {
        "answer": [one.text for one in found],
        "best part": [one.candidates[0].text for one in found],
    }


def fallen(right: list[str], strange: list[str], answers: list[list[str]]) -> dict[str, Any]:
    """Return F1 with both questions and the difference, resampled over the questions."""
    both = {"own": f1(right, answers), "other": f1(strange, answers)}
    return {
        **{f"f1_{name}_question": interval(values) for name, values in both.items()},
        "lost": interval(both["own"] - both["other"]),
        "same": float(np.mean([*map(exact_match, right, strange)])),
    }


def f1(given: list[str], answers: list[list[str]]) -> NDArray[np.float64]:
    pairs = zip(given, answers, strict=True)
    return np.array([best_score(word_f1, one, truths) for one, truths in pairs])


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    found: Interval = bootstrap(
        lambda rows: np.asarray(values[rows].mean(axis=-1)), len(values), 0.95, RESAMPLES
    )
    return {"value": found.value, "low": found.low, "high": found.high}


def on_one_context(
    asked: list[Asked], answers: list[list[str]], given: list[str]
) -> dict[str, int]:
    """Count pairs of questions on one context whose right answers differ, and theirs given."""
    of_context = defaultdict(list)
    for number, (_, context) in enumerate(asked):
        of_context[context].append(number)
    pairs = [
        (one, other)
        for numbers in of_context.values()
        for one, other in combinations(numbers, 2)
        if not any(exact_match(truth, told) for truth in answers[one] for told in answers[other])
    ]
    differ = sum(not exact_match(given[one], given[other]) for one, other in pairs)
    return {"with_different_answers": len(pairs), "answered_differently": differ}


if __name__ == "__main__":
    main()
