"""A student that is no transformer: embedding, bidirectional LSTM, self-attention, dense.

It is an ordinary transformers model, so every stage takes it as it takes a BERT. `folder.py`
registers it with the auto classes; its code lies here and is never taken from a model folder.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from .config import BilstmConfig
from .errors import ModelError

# Far below any score, yet nothing that FP16 or a calibrated range could not hold.
MASK_VALUE = -1e4

# Size of the numbers in a word table: what an LSTM's first gates can tell apart, and large beside a
# step of Adam, which would otherwise wipe out what the table knew.
EMBEDDING_RMS = 0.4


class BilstmModelConfig(PreTrainedConfig):
    """What `config.json` says of a BiLSTM.

    Args:
        vocab_size: Rows of the word table.
        embedding_size: Its width.
        hidden_size: Width of each direction, of the attention and of the dense layer.
        dropout: Share of the embeddings and of the text vector that is dropped in training.
        kwargs: What every transformers configuration has, such as the label names.
    """

    model_type = "pocketbert-bilstm"

    def __init__(
        self,
        vocab_size: int = 0,
        embedding_size: int = 0,
        hidden_size: int = 0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.dropout = dropout


class BilstmClassifier(PreTrainedModel):
    """The BiLSTM of Tang et al. 2019, its last states replaced by attention over all of them.

    The attention is the self-attentive pooling of Lin et al. 2017 (equation 5) with one hop.
    """

    config_class = BilstmModelConfig
    base_model_prefix = ""

    def __init__(self, config: BilstmModelConfig) -> None:
        super().__init__(config)
        width, labels = config.hidden_size, len(config.id2label or {})
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.lstm = nn.LSTM(config.embedding_size, width, bidirectional=True, batch_first=True)
        self.attention = nn.Linear(2 * width, width)
        self.attention_score = nn.Linear(width, 1, bias=False)
        self.dense = nn.Linear(2 * width, width)
        self.classifier = nn.Linear(width, labels)
        self.dropout = nn.Dropout(config.dropout)
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool = False
    ) -> SequenceClassifierOutput:
        """Return the logits.

        Args:
            input_ids: Tokens, padded at the end. Shape: (batch, seq).
            attention_mask: 1 for tokens, 0 for padding. Shape: (batch, seq).
            output_hidden_states: Asked of every student; this one has no layers to show.
        """
        embedded = self.dropout(self.embedding(input_ids))
        packed = pack_padded_sequence(
            embedded,
            attention_mask.sum(1).cpu(),
            batch_first=True,
            # PyTorch wants the longest text first, ONNX does not: its graph goes without sorting.
            enforce_sorted=torch.onnx.is_in_onnx_export(),
        )
        states, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=input_ids.shape[1]
        )
        scores = self.attention_score(torch.tanh(self.attention(states)))
        scores = scores.masked_fill(attention_mask[:, :, None] == 0, MASK_VALUE)
        text = (scores.softmax(dim=1) * states).sum(dim=1)
        logits = self.classifier(self.dropout(torch.relu(self.dense(text))))
        return SequenceClassifierOutput(logits=logits)

    def get_input_embeddings(self) -> nn.Module:
        """Return the word table."""
        return self.embedding

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=EMBEDDING_RMS)
        elif isinstance(module, nn.Linear | nn.LSTM):
            module.reset_parameters()


def build_bilstm(
    config: BilstmConfig, table: Tensor, labels: tuple[str, ...], keep_table: bool
) -> BilstmClassifier:
    """Return an untrained BiLSTM.

    Args:
        config: Its widths.
        table: Word table of the initial model. Shape: (vocabulary, width).
        labels: Label names.
        keep_table: Start from the leading components of `table` rather than its shape alone.

    Raises:
        ModelError: The table is narrower than the embedding that is asked for.
    """
    model = BilstmClassifier(
        BilstmModelConfig(
            vocab_size=table.shape[0],
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            dropout=config.dropout,
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
        )
    )
    if keep_table:
        model.embedding.weight.data = leading_components(table, config.embedding_size)
    return model


def leading_components(table: Tensor, width: int) -> Tensor:
    """Project rows on the directions in which they differ most, and scale them for an LSTM.

    The mean row, which tells no word from another, is left out.

    Args:
        table: Shape: (rows, columns).
        width: Directions to keep.

    Returns:
        Shape: (rows, width).

    Raises:
        ModelError: There are fewer columns than that.
    """
    if width > table.shape[1]:
        raise ModelError(
            f"student.bilstm.embedding_size is {width}, expected at most the {table.shape[1]} of "
            "the initial model's word table (or init: fresh)"
        )
    centred = (table - table.mean(dim=0)).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)  # in rising order of variance
    projected: Tensor = centred @ directions[:, -width:].flip(1)
    return (projected * (EMBEDDING_RMS / projected.square().mean().sqrt())).float()
