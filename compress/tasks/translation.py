"""Learning to translate: a decoder on a BERT encoder, with a tokenizer of its own language."""

from pathlib import Path
from typing import Any

from transformers import set_seed

from ..config import TeacherConfig
from ..data import load_description, load_split
from ..fetch import fetch_model
from ..folder import load_tokenizer
from ..summary import summarize
from ..target_tokenizer import train_target_tokenizer
from ..training import fit, forget_checkpoints
from ..translator import TranslationLoss, Translator, new_translator
from .task import Task


class Translation(Task):
    """Writes a text of another language."""

    def fine_tune(
        self, *, config: TeacherConfig, seed: int, data: Path, out: Path
    ) -> dict[str, Any]:
        """Train the other language's tokenizer, put a decoder on a checkpoint and train both.

        Returns:
            Parameters, bytes, steps, tokens of the other language, and the loss of a token on the
            validation split, by which the weights are kept.
        """
        description = load_description(data)
        assert config.decoder is not None  # recipes see to both
        assert config.training is not None
        folder = fetch_model(config.model)
        translations = map(str, load_split(data, "train").labels)
        target = train_target_tokenizer(translations, config.decoder.vocabulary)
        set_seed(seed)
        model = new_translator(folder, config.decoder, target)
        translator = Translator(model, load_tokenizer(folder), target)
        train, validation = (translator.examples(data, one) for one in ("train", "validation"))
        result = fit(
            TranslationLoss(model),
            train,
            validation,
            translator.source,
            config.training,
            seed=seed,
            folder=out / "checkpoints",
            title="Fine-tune translator",
        )
        translator.save(description, out / "model")
        forget_checkpoints(out / "checkpoints")
        return summarize(model, result, len(validation)) | {"target_tokens": target.size}
