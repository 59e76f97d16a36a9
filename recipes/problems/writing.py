"""What a task that writes texts has and others have not, and what is not done for it."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from pocketbert.compress.config import TASK_KINDS, DecoderConfig

if TYPE_CHECKING:
    from ..schema import Recipe


def writing_problems(recipe: "Recipe") -> Iterator[str]:
    """Say what a task that writes texts has and others have not, and what is not done for it."""
    kind, student = recipe.task.kind, recipe.distill.student if recipe.distill else None
    if not TASK_KINDS[kind].generates:
        if student and student.decoder_layers is not None:
            yield (
                f"distill.student.decoder_layers is {student.decoder_layers}, expected none (null) "
                f"where task.kind is {kind!r}, which writes no texts"
            )
        if recipe.distill and recipe.distill.teacher_beams is not None:
            yield (
                f"distill.teacher_beams is {recipe.distill.teacher_beams}, expected none (null) "
                f"where task.kind is {kind!r}, which writes no texts"
            )
        return
    if recipe.teacher.decoder is None:
        yield (
            "teacher.decoder is missing, expected a section with the keys "
            f"{', '.join(each.name for each in fields(DecoderConfig))}"
        )
    for section in ("further_teachers", "transfer", "general", "prune", "sparsify", "qat", "trim"):
        if getattr(recipe, section):
            yield (
                f"{section} is a section, expected none (null) where task.kind is {kind!r}, whose "
                "models become smaller by distill and quantize alone"
            )
    if recipe.task.truncation != "head":
        yield (
            f"task.truncation is {recipe.task.truncation!r}, expected 'head' where task.kind is "
            f"{kind!r}"
        )
    if recipe.data.format not in ("auto", "csv", "tsv", "jsonl", "parquet"):
        yield (
            f"data.format is {recipe.data.format!r}, expected 'csv', 'tsv', 'jsonl' or 'parquet' "
            f"where task.kind is {kind!r}, whose rows have a text and its translation"
        )
    yield from _translator_student_problems(recipe)
    yield from _translator_engine_problems(recipe)


def _translator_student_problems(recipe: "Recipe") -> Iterator[str]:
    if recipe.distill is None:
        return
    student, kind = recipe.distill.student, recipe.task.kind
    if student.decoder_layers is None:
        yield (
            "distill.student.decoder_layers is missing, expected how many layers of the decoder "
            f"the student has where task.kind is {kind!r}"
        )
    if student.init != "teacher":
        yield (
            f"distill.student.init is {student.init!r}, expected 'teacher' where task.kind is "
            f"{kind!r}, whose student is cut out of the teacher"
        )
    for name in ("hidden_size", "intermediate_size", "embedding_rank", "bilstm"):
        if getattr(student, name) is not None:
            yield (
                f"distill.student.{name} is given, expected none (null) where task.kind is "
                f"{kind!r}, whose student has fewer layers alone"
            )
    for name in recipe.distill.objectives.chosen:
        if name not in ("soft_targets", "labels"):
            yield (
                f"distill.objectives.{name} is a section, expected none (null) where task.kind is "
                f"{kind!r}, which learns by soft_targets and labels"
            )


def _translator_engine_problems(recipe: "Recipe") -> Iterator[str]:
    kind, quantize, compiling = recipe.task.kind, recipe.quantize, recipe.compile
    if quantize and quantize.method not in ("static", "dynamic"):
        yield (
            f"quantize.method is {quantize.method!r}, expected 'static' or 'dynamic' where "
            f"task.kind is {kind!r}"
        )
    for name in ("guard", "calibration_table"):
        if quantize and getattr(quantize, name) is not None:
            yield (
                f"quantize.{name} is given, expected none (null) where task.kind is {kind!r}, "
                "whose model is two graphs"
            )
    if compiling and {compiling.target, *compiling.also} != {"onnxruntime"}:
        yield (
            f"compile names {', '.join([compiling.target, *compiling.also])}, expected onnxruntime "
            f"alone where task.kind is {kind!r}, because no other runner writes texts"
        )
