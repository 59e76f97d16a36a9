"""A word table as the product of two smaller ones: few numbers a token, one matrix for all."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .errors import ModelError


class FactorisedEmbedding(nn.Module):
    """Stands where a word table stood (Lan et al. 2020, section 3.1).

    Args:
        tokens: Rows of the table.
        rank: Numbers a token has of its own.
        width: Width of the model.
        padding: Number of the token that is never learned.

    Attributes:
        rows: What each token has of its own. Shape of its weight: (tokens, rank).
        basis: What all tokens share. Shape of its weight: (width, rank).
    """

    def __init__(self, tokens: int, rank: int, width: int, padding: int | None = None) -> None:
        super().__init__()
        self.rows = nn.Embedding(tokens, rank, padding_idx=padding)
        self.basis = nn.Linear(rank, width, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return the words' vectors. Shape: (batch, seq, width)."""
        vectors: Tensor = self.basis(self.rows(input_ids))
        return vectors


def factorise_words(model: PreTrainedModel, rank: int, counts: Tensor) -> None:
    """Replace the word table by the two factors that come closest to it on the texts.

    A token counts as often as the texts have it, because that is how often its error reaches the
    first layer: words are so uneven that a plain SVD spends most of its rank on tokens that no text
    has (weighted low-rank approximation, Chen et al. 2018). One is added to every
    count, so that a token never seen keeps what the others' directions hold of it.

    Args:
        model: Changed in place; its word table is an ordinary one.
        rank: Numbers that a token keeps.
        counts: How often the texts have each token. Shape: (vocabulary,).

    Raises:
        ModelError: The rank is larger than the width of the table.
    """
    table = word_rows(model)
    weights = (counts + 1).double()
    words = table.weight.detach().double()
    if rank > words.shape[1]:
        raise ModelError(
            f"student.embedding_rank is {rank}, expected at most the {words.shape[1]} of the "
            "student's width"
        )
    # Left singular vectors are not needed: the rows projected on the right ones are the product.
    _, directions = torch.linalg.eigh(words.T @ (weights[:, None] * words))  # in rising order
    basis = directions[:, -rank:] @ _rotation(rank)
    use_factors(model, rank)
    factors = model.get_input_embeddings()
    assert isinstance(factors, FactorisedEmbedding)
    factors.rows.weight.data = (words @ basis).float()
    factors.basis.weight.data = basis.float()


def use_factors(model: PreTrainedModel, rank: int) -> None:
    """Give a model two factors of this rank, without values yet."""
    table = word_rows(model)
    tokens, width = table.weight.shape
    model.set_input_embeddings(FactorisedEmbedding(tokens, rank, width, table.padding_idx))


def word_rows(model: PreTrainedModel) -> nn.Embedding:
    """Return the table with one row a token, whole or factorised."""
    words = model.get_input_embeddings()
    table = words.rows if isinstance(words, FactorisedEmbedding) else words
    assert isinstance(table, nn.Embedding)
    return table


def _rotation(rank: int) -> Tensor:
    """Return an orthogonal matrix that spreads the strong directions over all columns.

    It changes no vector, but INT8 has one scale for all columns, which the strongest would set
    alone (Ashkboos et al. 2024).
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(rank, rank, generator=generator, dtype=torch.float64)
    orthogonal: Tensor = torch.linalg.qr(drawn).Q
    return orthogonal
