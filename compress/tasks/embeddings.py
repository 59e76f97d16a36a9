"""Learning the vectors of a teacher that is taken as it is."""

from abc import ABC
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from ..compared import document_ranks, pair_cosines, ranked
from ..config import TeacherConfig
from ..data import load_description
from ..fetch import fetch_model
from ..folder import ModelDescription, load_checkpoint, load_tokenizer, save_model
from .task import SupervisedTask


class Embeddings(SupervisedTask, ABC):
    """A vector of length 1 a text; the logits of other tasks."""

    def fine_tune(
        self, *, config: TeacherConfig, seed: int, data: Path, out: Path
    ) -> dict[str, Any]:
        """Write the checkpoint as it is; there is nothing to train it on but its own vectors.

        Returns:
            Parameters, bytes, and the width of its vectors.
        """
        description = load_description(data)
        folder = fetch_model(config.model)
        model = load_checkpoint(folder, description.labels, description.kind)
        save_model(
            model,
            load_tokenizer(folder),
            ModelDescription(
                (),
                description.max_length,
                kind=description.kind,
                truncation=description.truncation,
            ),
            out / "model",
        )
        parameters = model.num_parameters()
        return {
            "parameters": parameters,
            "bytes": 4 * parameters,
            "vector_width": model.config.num_labels,
        }

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return 0: what is labelled is pairs, which seldom share a batch."""
        return logits.new_zeros(())

    def divergence(self, rows: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """One minus the cosine to the teacher's vector."""
        return 1 - functional.cosine_similarity(rows, teacher, dim=-1).mean()

    def fisher_root(self, rows: Tensor, signs: Tensor) -> Tensor:
        """Of a vector with normal errors of one size the information is the same everywhere."""
        return signs

    def agreement(self, rows: Tensor, teacher: Tensor) -> float:
        """Mean cosine to the teacher's vectors."""
        return float(functional.cosine_similarity(rows, teacher, dim=-1).mean())


class SentenceSimilarity(Embeddings):
    """Judged by how the cosines of pairs are ordered."""

    metric = "spearman"

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """Spearman's correlation of cosines and scores; 0 where one of both is constant."""
        cosines, scores = pair_cosines(logits.numpy(), labels.numpy())
        ours, theirs = (ranked(values) - (len(values) + 1) / 2 for values in (cosines, scores))
        spread = np.linalg.norm(ours) * np.linalg.norm(theirs)
        return float(ours @ theirs / spread) if spread > 0 else 0.0


class TextRetrieval(Embeddings):
    """Judged by whether a query's document is the nearest."""

    metric = "recall@1"

    def score(self, logits: Tensor, labels: Tensor) -> float:
        """Share of the queries whose document comes first; 0 without queries."""
        ranks = document_ranks(logits.numpy(), labels.numpy())
        return float((ranks == 1).mean()) if len(ranks) else 0.0
