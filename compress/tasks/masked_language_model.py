"""Learning to read hidden tokens from their neighbours, on plain texts of a domain."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from ..batches import tokenize_split
from ..config import TeacherConfig
from ..fetch import fetch_model
from ..folder import load_tokenizer
from ..masked_language import MaskedLanguageLearner, load_to_be_trained
from ..masking import HiddenAnew, Masking, with_hidden_tokens
from ..pseudo_perplexity import pseudo_perplexity
from ..summary import summarize
from ..training import fit, forget_checkpoints, loss_of
from .task import Task

FRACTION = 0.15  # of the tokens are hidden (Devlin et al. 2019, section 3.1)


def fine_tune(*, config: TeacherConfig, seed: int, data: Path, out: Path) -> dict[str, Any]:
    """Train a checkpoint and its head and write them to `out/model`, an ordinary checkpoint.

    Other tokens are hidden in every epoch (RoBERTa, Liu et al. 2019, section 4.1); of the held-out
    texts always the same. A checkpoint without a head gets a new one over its own word table.

    Returns:
        Parameters, bytes, steps, the loss on the validation split before and after, and the
        pseudo-perplexity on the test split with its interval.

    Raises:
        ModelError: The checkpoint cannot be had, or is no encoder with a mask token.
    """
    folder = fetch_model(config.model)
    tokenizer = load_tokenizer(folder)
    set_seed(seed)
    model = MaskedLanguageLearner(load_to_be_trained(folder, "teacher.model"))
    train, validation, test = (
        tokenize_split(data, split, tokenizer, data) for split in ("train", "validation", "test")
    )
    masking = Masking.of(tokenizer, FRACTION)
    hidden_anew = HiddenAnew(train, masking)
    validation = with_hidden_tokens(validation, masking)
    loss_before = loss_of(model, validation, tokenizer)
    assert config.training is not None  # recipes see to it
    result = fit(
        model,
        hidden_anew,
        validation,
        tokenizer,
        config.training,
        seed=seed,
        folder=out / "checkpoints",
        title="Fine-tune language model",
        callbacks=[HideOthers(hidden_anew)],
    )
    found = pseudo_perplexity(model, test, tokenizer)
    learned = model.whole()
    learned.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    forget_checkpoints(out / "checkpoints")
    losses = {"validation_loss_before": loss_before}
    return summarize(learned, result, len(validation)) | losses | found


class MaskedLanguageModel(Task):
    """Reads hidden tokens; its recipes end with the teacher."""

    def fine_tune(
        self, *, config: TeacherConfig, seed: int, data: Path, out: Path
    ) -> dict[str, Any]:
        """Train a checkpoint and its head."""
        return fine_tune(config=config, seed=seed, data=data, out=out)


class HideOthers(TrainerCallback):
    """Lets every epoch hide other tokens; nothing but seed, epoch and text decides."""

    def __init__(self, examples: HiddenAnew) -> None:
        self.examples = examples

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer, also where an epoch is taken up in its middle."""
        self.examples.key = f"{args.seed} {int(state.epoch or 0)}"
