"""A BERT encoder with a BERT decoder that reads it, transformers' EncoderDecoderModel."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    BertConfig,
    BertLMHeadModel,
    BertModel,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
)

from .batches import TokenizedExamples
from .config import DecoderConfig, TrainingConfig
from .data import DataDescription, load_description, load_split
from .errors import ModelError
from .folder import ModelDescription, load_model, load_tokenizer, save_model
from .generation import Generation, write_generation
from .labelling import UNLABELLED
from .layer_map import uniform_layers
from .split import Split
from .summary import summarize
from .target_tokenizer import TargetTokenizer
from .training import fit, forget_checkpoints


@dataclass(frozen=True)
class Translator:
    """A model with the tokenizers of both languages."""

    model: EncoderDecoderModel
    source: PreTrainedTokenizerBase
    target: TargetTokenizer

    def examples(self, data: Path, split: Split) -> TokenizedExamples:
        """Return a split: tokens of the texts, and as labels those of their translations."""
        said, examples = load_description(data), load_split(data, split)
        ids = self.source(
            list(examples.texts), truncation=True, max_length=said.max_length
        ).input_ids
        labels = [self.target.encode(str(text), said.max_length) for text in examples.labels]
        return TokenizedExamples(ids, labels)

    def save(self, description: DataDescription, folder: Path) -> None:
        """Write a model folder."""
        said = ModelDescription((), description.max_length, kind=description.kind)
        save_model(self.model, self.source, said, folder)
        self.target.save(folder)
        generation = Generation(max_tokens=description.max_length, beams=description.beams)
        write_generation(generation, folder)


def new_translator(
    folder: Path, config: DecoderConfig, target: TargetTokenizer
) -> EncoderDecoderModel:
    """Put a decoder on a BERT checkpoint.

    Its layers start from the encoder's, spread evenly, but for what reads the encoder, which is new
    (Rothe et al. 2020, section 2, BERT2BERT); so is its word table, of another language. The
    encoder's word table stays as it is: most of its words are not in the training split.

    Raises:
        ModelError: The checkpoint is no BERT encoder.
    """
    try:
        kind = AutoConfig.from_pretrained(folder).model_type
        if kind != "bert":
            raise ValueError(f"its type is {kind!r}")
        encoder: Any = BertModel.from_pretrained(
            folder, use_safetensors=True, add_pooling_layer=False
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} does not load as an encoder to translate with "
            f"({str(error).splitlines()[0]}), expected config.json and model.safetensors of a BERT "
            "model; name another in teacher.model"
        ) from error
    encoder.embeddings.word_embeddings.weight.requires_grad_(False)
    layers = encoder.encoder.layer
    chosen = _chosen("teacher.decoder.layers", config.layers, len(layers))
    read = _chosen("teacher.decoder.encoder_layers", config.encoder_layers, len(layers))
    decoder: Any = BertLMHeadModel(_decoder_config(encoder.config, config, target))
    for layer, number in zip(decoder.bert.encoder.layer, chosen, strict=True):
        layer.load_state_dict(layers[number].state_dict(), strict=False)
    encoder.encoder.layer = nn.ModuleList(layers[number] for number in read)
    encoder.config.num_hidden_layers = len(read)
    return EncoderDecoderModel(encoder=encoder, decoder=decoder, config=_both(encoder, decoder))


def open_translator(folder: Path) -> Translator:
    """Open a model folder."""
    model = load_model(folder)
    assert isinstance(model, EncoderDecoderModel)
    return Translator(model, load_tokenizer(folder), TargetTokenizer.open(folder))


def smaller_translator(teacher: Translator, layers: Sequence[int], decoder: int) -> Translator:
    """Return a copy of a model with some of its encoder's and decoder's layers.

    Args:
        teacher: What is copied.
        layers: Of the encoder, those that are kept.
        decoder: How many of the decoder's are kept, spread evenly.

    Raises:
        ModelError: It has fewer.
    """
    model: Any = deepcopy(teacher.model)
    halves = model.encoder.encoder, model.decoder.bert.encoder
    kept = list(layers), _chosen("student.decoder_layers", decoder, len(halves[1].layer))
    if max(layers) >= len(halves[0].layer):
        raise ModelError(
            f"student.layers names layer {max(layers)}, expected layers 0 to "
            f"{len(halves[0].layer) - 1} of the teacher's encoder"
        )
    for half, numbers in zip(halves, kept, strict=True):
        half.layer = nn.ModuleList(half.layer[number] for number in numbers)
    model.config.encoder.num_hidden_layers, model.config.decoder.num_hidden_layers = map(len, kept)
    model.encoder.embeddings.word_embeddings.weight.requires_grad_(False)
    return Translator(model, teacher.source, teacher.target)


def learn_translations(
    translator: Translator,
    model: nn.Module,
    data: Path,
    training: TrainingConfig,
    *,
    seed: int,
    out: Path,
    title: str,
    callbacks: Sequence[TrainerCallback] = (),
    learned: list[list[int]] | None = None,
) -> dict[str, Any]:
    """Train a translator in place and write `out/model`.

    Args:
        translator: What learns.
        model: It with its loss.
        data: Folder of the data stage.
        training: Length, rate and batch size.
        seed: Order of batches and dropout.
        out: Stage folder; may hold the checkpoints of an interrupted try.
        title: Shown with the progress.
        callbacks: Told by the trainer what it does.
        learned: The translations to learn, as tokens; those of the training split if not given.

    Returns:
        Parameters, bytes, steps, and the loss of a token on the validation split.
    """
    train, validation = (translator.examples(data, one) for one in ("train", "validation"))
    if learned is not None:
        train = TokenizedExamples(train.input_ids, learned)
    result = fit(
        model,
        train,
        validation,
        translator.source,
        training,
        seed=seed,
        folder=out / "checkpoints",
        title=title,
        callbacks=callbacks,
    )
    translator.save(load_description(data), out / "model")
    forget_checkpoints(out / "checkpoints")
    return summarize(translator.model, result, len(validation))


class TranslationLoss(nn.Module):
    """A model that learns translations: the mean cross-entropy of their tokens."""

    def __init__(self, model: EncoderDecoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Return loss () and logits (batch, target seq, vocabulary)."""
        logits = next_tokens(self.model, input_ids, attention_mask, labels)
        return {"loss": token_loss(logits, labels), "logits": logits}


def next_tokens(
    model: EncoderDecoderModel, input_ids: Tensor, attention_mask: Tensor, labels: Tensor
) -> Tensor:
    """Return logits of every token of translations, given those before it.

    Shape: (batch, target seq, vocabulary).
    """
    before = model.prepare_decoder_input_ids_from_labels(labels)
    said = model(
        input_ids=input_ids,
        attention_mask=attention_mask,
        decoder_input_ids=before,
        use_cache=False,
    )
    logits: Tensor = said.logits
    return logits


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of tokens; -100 has none."""
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=UNLABELLED)


def _chosen(key: str, count: int | None, available: int) -> list[int]:
    """Return which layers are taken, spread evenly; all of them if no number is given."""
    try:
        return uniform_layers(count or available, available)
    except ValueError as error:
        raise ModelError(f"{key}: {error}") from error


def _decoder_config(
    encoder: BertConfig, config: DecoderConfig, target: TargetTokenizer
) -> BertConfig:
    said = encoder.to_dict() | {
        "vocab_size": target.size,
        "num_hidden_layers": config.layers,
        "is_decoder": True,
        "add_cross_attention": True,
        "pad_token_id": target.pad_id,
        "bos_token_id": target.start_id,
        "eos_token_id": target.end_id,
        "tie_word_embeddings": True,
    }
    made: BertConfig = BertConfig.from_dict(said)
    return made


def _both(encoder: BertModel, decoder: BertLMHeadModel) -> EncoderDecoderConfig:
    ends: Any = decoder.config
    config: Any = EncoderDecoderConfig.from_encoder_decoder_configs(
        encoder.config,
        decoder.config,
        pad_token_id=ends.pad_token_id,
        eos_token_id=ends.eos_token_id,
        decoder_start_token_id=ends.bos_token_id,
    )
    config.vocab_size = ends.vocab_size
    both: EncoderDecoderConfig = config
    return both
