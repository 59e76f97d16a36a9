"""Learning to translate: a decoder on a BERT encoder, with a tokenizer of its own language."""

from pathlib import Path
from typing import Any

from transformers import set_seed

from ..config import TeacherConfig
from ..data import load_split
from ..fetch import fetch_model
from ..folder import load_tokenizer
from ..target_tokenizer import train_target_tokenizer
from ..translator import TranslationLoss, Translator, learn_translations, new_translator
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
        assert config.decoder is not None  # recipes see to both
        assert config.training is not None
        folder = fetch_model(config.model)
        translations = map(str, load_split(data, "train").labels)
        target = train_target_tokenizer(translations, config.decoder.vocabulary)
        set_seed(seed)
        model = new_translator(folder, config.decoder, target)
        translator = Translator(model, load_tokenizer(folder), target)
        said = learn_translations(
            translator,
            TranslationLoss(model),
            data,
            config.training,
            seed=seed,
            out=out,
            title="Fine-tune translator",
        )
        return said | {"target_tokens": target.size}
