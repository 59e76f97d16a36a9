"""Stage: refuse tokenizers that a later stage could not use, before anything is trained."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from .batches import tokenize_split
from .config import Source
from .data import load_description
from .errors import ModelError
from .fetch import fetch_model
from .folder import load_tokenizer
from .vocabulary import check_trimmable


def check_tokenizers(
    *,
    teacher: Source,
    student: Source,
    shared: bool,
    trimmed: bool,
    data: Path,
    out: Path,
    mask_token: str | None = None,
    further_teachers: Sequence[Source] = (),
    same_vocabulary: bool = False,
) -> dict[str, Any]:
    """Open the tokenizers that a recipe names.

    Args:
        teacher: The checkpoint that the teacher is fine-tuned from.
        student: The checkpoint whose tokenizer the student takes over.
        shared: Objectives compare token by token, so both must cut the training texts alike.
        trimmed: Tokens are removed from the student's later.
        data: Folder of the data stage.
        out: Stage folder; nothing is written.
        mask_token: New texts hide words behind it, so all must know it.
        further_teachers: The checkpoints of the other teachers, which see these texts too.
        same_vocabulary: Teacher and student are compared in which token they read where.

    Returns:
        What was asked for.

    Raises:
        ModelError: Both tokenizers differ, the student's cannot be trimmed, or one has another mask
            token.
    """
    split_chinese = load_description(data).split_chinese
    students = load_tokenizer(fetch_model(student), split_chinese)
    if mask_token is not None:
        check_mask_token("student", students.mask_token, mask_token)
        for source in (teacher, *further_teachers):
            found = load_tokenizer(fetch_model(source)).mask_token
            check_mask_token("teacher", found, mask_token)
    if same_vocabulary:
        check_same_vocabulary(load_tokenizer(fetch_model(teacher)), students)
    if trimmed:
        check_trimmable(json.loads(students.backend_tokenizer.to_str()))
    if shared:
        teachers = load_tokenizer(fetch_model(teacher), split_chinese)
        check_same_cuts(
            *(
                [len(ids) for ids in tokenize_split(data, "train", tokenizer, data).input_ids]
                for tokenizer in (teachers, students)
            )
        )
    return {"shared": shared, "trimmed": trimmed}


def check_mask_token(whose: str, found: str | None, expected: str) -> None:
    """Refuse a tokenizer that would cut the mask token of new texts into pieces.

    Raises:
        ModelError: Its mask token is another.
    """
    if found != expected:
        raise ModelError(
            f"the {whose}'s mask token is {found!r}, expected {expected!r} as in "
            "transfer.augment.masked.token; correct that key, or leave out masked where teacher "
            "and student have different mask tokens"
        )


def check_same_vocabulary(
    teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase
) -> None:
    """Refuse tokenizers that give one token different numbers, or none.

    Raises:
        ModelError: The vocabularies differ.
    """
    theirs, own = (tokenizer.get_vocab() for tokenizer in (teacher, student))
    different = sum(own.get(token) != number for token, number in theirs.items())
    if theirs != own:
        raise ModelError(
            f"the student's vocabulary has {len(own):,} tokens, and {different:,} of the "
            f"teacher's {len(theirs):,} are not there or have another number, expected one shared "
            "vocabulary for general.objectives.masked_tokens; name a student of the teacher's "
            "family, or use hidden or relations"
        )


def check_same_cuts(teacher_lengths: list[int], student_lengths: list[int]) -> None:
    """Refuse texts that teacher and student cut into different numbers of tokens.

    Args:
        teacher_lengths: Tokens of each text.
        student_lengths: Tokens of the same texts.

    Raises:
        ModelError: They differ.
    """
    if teacher_lengths != student_lengths:
        raise ModelError(
            "teacher and student cut the texts into different tokens, expected one shared "
            "tokenizer for objectives that compare token by token; use soft_targets, logits, "
            "patient, or hidden with positions 'first'"
        )
