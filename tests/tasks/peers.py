"""What answers beside the Python engine: transformers with the same weights, and the C++ engine.

Every answer becomes scores by name, so that all are compared in one way. Of transformers the
pipeline is taken where it has one for the kind of task; version 5 has none for questions and for
translations, and never had one for vectors: there its tokenizer and its model are, with the rules
of run_squad.py and of sentence-transformers, and its own generate(). Nothing of ours reads these
texts but the loader of the weights.
"""

import json
import subprocess
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModel, TokenClassificationPipeline, pipeline

from pocketbert.compress.folder import load_model, load_tokenizer
from pocketbert.compress.texts import Text

LONGEST_ANSWER = 30  # tokens, as in run_squad.py
NO_ANSWER = "no answer"
Named = dict[str, float]


@dataclass(frozen=True)
class Asked:
    """Texts and what is to answer them.

    Attributes:
        model: A model folder.
        max_length: Longest input in tokens.
        texts: What is asked.
        thresholds: Logits from which on each label is given, where that is how labels are given.
        overlap: Tokens that the windows of a context share.
    """

    model: Path
    max_length: int
    texts: Sequence[Text]
    thresholds: Sequence[float] = ()
    overlap: int = 0

    def tokenizer(self) -> Any:
        """Return transformers' tokenizer of the model."""
        tokenizer: Any = load_tokenizer(self.model)
        tokenizer.model_max_length = self.max_length
        return tokenizer

    def pipeline(self, name: str, **options: Any) -> Any:
        """Return a pipeline of transformers with the model."""
        return pipeline(name, model=load_model(self.model), tokenizer=self.tokenizer(), **options)  # type: ignore[call-overload]

    def scores(self, function: str) -> list[Named]:
        """Return every label's score for each text, the highest first."""
        asking = self.pipeline(
            "text-classification", truncation=True, top_k=None, function_to_apply=function
        )
        found = [asking(_parts(text)) for text in self.texts]
        return [{one["label"]: one["score"] for one in of_text} for of_text in found]


def _parts(text: Text) -> dict[str, str]:
    return {"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]}


def classify(asked: Asked) -> list[Named]:
    """Return the label of each text."""
    return [dict([next(iter(of_text.items()))]) for of_text in asked.scores("softmax")]


def regress(asked: Asked) -> list[Named]:
    """Return the number of each text."""
    return [{"value": value} for [value] in map(dict.values, asked.scores("none"))]


def label(asked: Asked) -> list[Named]:
    """Return the labels of each text from their thresholds on."""
    names: Any = load_model(asked.model).config.id2label
    least = {names[n]: 1 / (1 + np.exp(-value)) for n, value in enumerate(asked.thresholds)}
    return [
        {name: score for name, score in of_text.items() if score >= least[name]}
        for of_text in asked.scores("sigmoid")
    ]


class WordPipeline(TokenClassificationPipeline):
    """transformers' pipeline, where it cannot know the words told of them by its tokenizer.

    Of a vocabulary that does not mark what continues a word it takes all between two spaces for
    one word: in Chinese the whole sentence.
    """

    def gather_pre_entities(self, sentence: str, *given: Any, **named: Any) -> list[dict[str, Any]]:
        """Return the tokens of a text, and which of them continue a word."""
        with warnings.catch_warnings():  # that it guesses, which is put right below
            warnings.filterwarnings("ignore", "Tokenizer does not support real words")
            pieces = super().gather_pre_entities(sentence, *given, **named)
        tokenizer: Any = self.tokenizer
        if not getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None):
            words = tokenizer(sentence, truncation=True).word_ids()
            for piece in pieces:
                piece["is_subword"] = words[piece["index"]] == words[piece["index"] - 1]
        return pieces


def find_entities(asked: Asked) -> list[Named]:
    """Return the entities of each text, each with the mean score of its words' first tokens."""
    asking = asked.pipeline(
        "token-classification", aggregation_strategy="first", pipeline_class=WordPipeline
    )
    found = [asking(text) for text in asked.texts]
    return [
        {_span(one["start"], one["end"], one["entity_group"]): one["score"] for one in entities}
        for entities in found
    ]


def embed(asked: Asked) -> list[Named]:
    """Return the vector of each text, as sentence-transformers makes it of a folder."""
    tokenizer, model = asked.tokenizer(), AutoModel.from_pretrained(asked.model).eval()
    dense = asked.model / "2_Dense/model.safetensors"
    layer = load_file(dense) if dense.is_file() else None
    vectors = []
    for text in asked.texts:
        inputs = tokenizer(text, truncation=True, return_tensors="pt")
        with torch.no_grad():
            vector = model(**inputs).last_hidden_state[0].mean(0)  # a text alone has no padding
        if layer is not None:
            vector = layer["linear.weight"] @ vector + layer["linear.bias"]
        vectors.append((vector / vector.norm()).tolist())
    return [{str(place): value for place, value in enumerate(vector)} for vector in vectors]


def translate(asked: Asked) -> list[Named]:
    """Return the translation of each text with the mean log-probability of its tokens."""
    tokenizer, model = asked.tokenizer(), load_model(asked.model)
    target = Tokenizer.from_file(str(asked.model / "target_tokenizer.json"))
    said = json.loads((asked.model / "generation.json").read_text())
    written = []
    for text in asked.texts:
        inputs = tokenizer(text, truncation=True, return_tensors="pt")
        found: Any = model.generate(  # type: ignore[operator]
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=said["max_tokens"],
            num_beams=said["beams"],
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
        )
        ids = found.sequences[0, 1:]
        if said["beams"] == 1:
            chances = torch.stack([row[0].log_softmax(-1) for row in found.scores])
            score = chances[torch.arange(len(ids)), ids].mean().item()
        else:
            score = found.sequences_scores[0].item()
        written.append({target.decode(ids.tolist(), skip_special_tokens=True).strip(): score})
    return written


def answer(asked: Asked) -> list[Named]:
    """Return the answer to each question, or that its context does not tell."""
    tokenizer, model = asked.tokenizer(), load_model(asked.model)
    answers = []
    for text in asked.texts:
        inputs = tokenizer(
            *text,
            truncation="only_second",
            stride=asked.overlap,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        read = []
        for number, ids in enumerate(inputs["input_ids"]):
            types = torch.tensor([inputs["token_type_ids"][number]])
            with torch.no_grad():
                logits = model(torch.tensor([ids]), token_type_ids=types).logits[0].numpy()
            offsets = inputs["offset_mapping"][number]
            of_context = [n for n, part in enumerate(inputs.sequence_ids(number)) if part == 1]
            read.append((logits, [(tuple(offsets[n]), logits[n]) for n in of_context]))
        answers.append(_best_answer(read, asked.thresholds))
    return answers


def _best_answer(
    windows: Sequence[tuple[NDArray[np.float32], list[tuple[tuple[int, int], Any]]]],
    thresholds: Sequence[float],
) -> Named:
    """Combine windows as run_squad.py does: each token by the one with the most around it."""
    best: dict[tuple[int, int], tuple[int, Any]] = {}
    for _, tokens in windows:
        for place, (offset, row) in enumerate(tokens):
            room = min(place, len(tokens) - 1 - place)
            if offset not in best or room > best[offset][0]:
                best[offset] = (room, row)
    offsets = sorted(best)
    silent = min((logits[0] for logits, _ in windows), key=np.sum)
    rows = np.stack([silent, *(best[offset][1] for offset in offsets)]).astype(np.float64)
    chances = np.exp(rows - rows.max(0)) / np.exp(rows - rows.max(0)).sum(0)
    tried = [
        (rows[1 + first, 0] + rows[1 + last, 1], first, last)
        for first in range(len(offsets))
        for last in range(first, min(first + LONGEST_ANSWER, len(offsets)))
    ]
    score, first, last = max(tried, key=lambda one: one[0])
    if silent.sum() - sum(thresholds) > score:
        return {NO_ANSWER: float(chances[0].prod())}
    chance = float(chances[1 + first, 0] * chances[1 + last, 1])
    return {_span(offsets[first][0], offsets[last][1]): chance}


def _span(start: int, end: int, name: str = "") -> str:
    return f"{start}-{end} {name}".strip()


@dataclass(frozen=True)
class Peer:
    """How a kind of task is compared.

    Attributes:
        says: What answers beside us, for a reader.
        theirs: Its answers.
        ours: The names and scores in an answer of an engine of ours, as JSON has it.
    """

    says: str
    theirs: Callable[[Asked], list[Named]]
    ours: Callable[[dict[str, Any]], Named]


PIPELINE = "transformers' pipeline"
EMBED = Peer(
    "transformers' encoder, pooled as sentence-transformers does",
    embed,
    lambda found: {str(place): value for place, value in enumerate(found["vector"])},
)

# Kind of task -> what answers beside us.
PEERS = {
    "text-classification": Peer(PIPELINE, classify, lambda found: {found["label"]: found["score"]}),
    "text-regression": Peer(PIPELINE, regress, lambda found: {"value": found["value"]}),
    "multi-label-classification": Peer(
        PIPELINE,
        label,
        lambda found: {name: found["probabilities"][name] for name in found["labels"]},
    ),
    "token-classification": Peer(
        PIPELINE,
        find_entities,
        lambda found: {
            _span(one["start"], one["end"], one["label"]): one["score"] for one in found["entities"]
        },
    ),
    "sentence-similarity": EMBED,
    "text-retrieval": EMBED,
    "translation": Peer(
        "transformers' generate()", translate, lambda found: {found["text"]: found["score"]}
    ),
    "question-answering": Peer(
        "transformers' tokenizer and model with run_squad.py's rules",
        answer,
        lambda found: {
            _span(found["start"], found["end"]) if found["answerable"] else NO_ANSWER: found[
                "score"
            ]
        },
    ),
}


@dataclass(frozen=True)
class Agreement:
    """How two answer the same texts.

    Attributes:
        texts: How many.
        same_answer: Of how many both give the same labels, spans or numbers by name.
        answers: How many of those there are.
        max_abs_difference: Largest difference of a score, where the answers are the same.
        others: A few texts with different answers.
    """

    texts: int
    same_answer: int
    answers: int
    max_abs_difference: float
    others: list[str] = field(default_factory=list)


def agreement(texts: Sequence[Text], ours: list[Named], theirs: list[Named]) -> Agreement:
    """Compare the answers to texts."""
    both = list(zip(texts, ours, theirs, strict=True))
    same = [(one, other) for _, one, other in both if one.keys() == other.keys()]
    differences = [abs(one[name] - other[name]) for one, other in same for name in one]
    others = [
        f"{text!r}: {one}, {other}" for text, one, other in both if one.keys() != other.keys()
    ]
    return Agreement(
        len(both),
        len(same),
        sum(map(len, ours)),
        float(max(differences, default=0.0)),
        others[:3],
    )


def cpp_answers(program: Path, bundle: Path, texts: Sequence[Text]) -> list[dict[str, Any]]:
    """Return what `pocketbert-run` answers."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(
        [program, bundle, "--json"], input=lines, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
