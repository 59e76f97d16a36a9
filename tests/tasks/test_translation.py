"""What only a model that writes texts has: two halves, a cache, a search, its own tokenizer."""

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from pocketbert.compress.config import (
    DistillConfig,
    LabelsConfig,
    ObjectivesConfig,
    StudentConfig,
)
from pocketbert.compress.data import load_split
from pocketbert.compress.distill_translator import distill_translator
from pocketbert.compress.errors import BundleError, DataError, ModelError
from pocketbert.compress.folder import load_model
from pocketbert.compress.target_tokenizer import TargetTokenizer, train_target_tokenizer
from pocketbert.compress.teacher_translations import (
    TRANSLATIONS,
    read_translations,
    translate_with_teacher,
)
from pocketbert.compress.translator import open_translator
from pocketbert.deploy.bundle import GOLDEN, MANIFEST, hash_file, read_bundle
from pocketbert.deploy.compile import compile_bundle
from pocketbert.deploy.config import CompileConfig, QuantizeConfig
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.export import export_onnx
from pocketbert.deploy.golden import written_alike
from pocketbert.deploy.graph_files import DECODER, MODEL
from pocketbert.deploy.quantize import quantize
from pocketbert.deploy.runners.eager_writer import EagerWriter
from pocketbert.deploy.runners.ort_writer import OrtWriter
from pocketbert.deploy.selftest import selftest
from pocketbert.deploy.tasks.translation import as_numbers, from_numbers
from pocketbert.deploy.tokenizer import Tokenizer
from pocketbert.deploy.translator_graphs import ENCODER_INPUTS, Encoder, Step
from pocketbert.deploy.writing import Language, write
from pocketbert.eval.tasks import MEASURES

from .conftest import LEARNT


@pytest.fixture(scope="module")
def chain(chain_of):
    return chain_of("translation")


@pytest.fixture(scope="module")
def texts(chain):
    return load_split(chain.root / "data", "test").texts[:24]


@pytest.fixture(scope="module")
def inputs(chain, texts):
    """Texts of several lengths, so that a batch has padding."""
    cut = [" ".join(text.split()[: 1 + number % 3]) for number, text in enumerate(texts)]
    return Tokenizer(chain.root / "exported/tokenizer.json", 32).encode(cut)


def language_with(chain, **changes):
    language = Language.open(chain.root / "exported")
    return replace(language, generation=replace(language.generation, **changes))


@pytest.mark.parametrize("beams", [1, 2, 5])
def test_the_search_writes_what_transformers_writes(chain, inputs, beams):
    language = language_with(chain, beams=beams)
    ours = OrtWriter(chain.root / "exported" / MODEL).write(inputs, language)
    theirs = EagerWriter(chain.root / "pruned/model").write(inputs, language)
    assert [one.ids for one in ours] == [one.ids for one in theirs]
    np.testing.assert_allclose(
        [one.score for one in ours], [one.score for one in theirs], atol=1e-4
    )


class InPyTorch:
    """Both halves as modules, before they are traced."""

    def __init__(self, model):
        self.encoder, self.decoder = Encoder(model).eval(), Step(model).eval()
        config = model.config.decoder
        size = config.hidden_size // config.num_attention_heads
        self.cache_shape = config.num_hidden_layers, 2, config.num_attention_heads, size

    def read(self, inputs):
        return self.encoder(*(torch.from_numpy(inputs[name]) for name in ENCODER_INPUTS)).numpy()

    def step(self, *inputs):
        return tuple(one.numpy() for one in self.decoder(*map(torch.from_numpy, inputs)))


@torch.inference_mode()
def test_beams_find_what_transformers_finds_where_they_differ_from_one(chain, inputs):
    """Random weights, made large: the likeliest token at once is seldom the best in the end."""
    folder = chain.root / "pruned/model"
    model = load_model(folder)
    torch.manual_seed(0)
    for name, values in model.named_parameters():
        if name.endswith("weight") and values.dim() == 2:
            values.copy_(torch.randn_like(values) * 0.35)
    model.decoder.cls.predictions.bias[model.config.eos_token_id] += 3  # or no text would end
    eager = EagerWriter(folder)
    eager._model = model
    found = {}
    for beams in (1, 2, 4):
        language = language_with(chain, beams=beams, max_tokens=12)
        ours = write(InPyTorch(model), inputs, language)
        theirs = eager.write(inputs, language)
        assert [one.ids for one in ours] == [one.ids for one in theirs]
        scores = [[one.score for one in both] for both in (ours, theirs)]
        np.testing.assert_allclose(*scores, atol=1e-4)
        found[beams] = [one.ids for one in ours]
    assert sum(a != b for a, b in zip(found[1], found[4], strict=True)) > len(found[1]) / 4
    assert len({len(ids) for ids in found[4]}) > 1


def test_a_batch_is_written_as_its_texts_alone(chain, texts):
    engine = Engine.from_onnx(chain.root / "exported", (), 32, kind="translation")
    alone, together = engine(texts), engine(texts, batch_size=7)
    assert [one.text for one in alone] == [one.text for one in together]


@pytest.mark.parametrize("beams", [1, 3])
def test_writing_stops_at_the_longest_answer(chain, inputs, beams):
    language = language_with(chain, max_tokens=2, beams=beams)
    found = OrtWriter(chain.root / "exported" / MODEL).write(inputs, language)
    assert {len(one.ids) for one in found} == {2}


def test_both_halves_are_int8_to_the_last_product_with_weights(chain):
    halves = [onnx.load(chain.root / "quantized" / name) for name in (MODEL, DECODER)]
    counts = [sum(node.op_type == "MatMul" for node in half.graph.node) for half in halves]
    assert min(counts) > 0
    [target] = read_bundle(chain.bundle).manifest.targets
    # Attention's own products, two a layer, have no weights: encoder 3 layers, decoder 1 twice.
    assert target.int8_matmuls == sum(counts) - 2 * 3 - 2 * 2
    assert target.float_weight_matmuls == 0
    assert chain.summaries["quantize"]["quantized_matmuls"] == target.int8_matmuls
    sizes = [(chain.bundle / "onnxruntime" / name).stat().st_size for name in (MODEL, DECODER)]
    assert target.bytes == sum(sizes)


def test_dynamic_int8_writes_too(chain, texts, tmp_path):
    exported, quantized = chain.root / "exported", tmp_path / "quantized"
    quantized.mkdir()
    said = quantize(
        out=quantized, config=QuantizeConfig(method="dynamic"), calibrated=None, exported=exported
    )
    assert said["quantized_matmuls"] == chain.summaries["quantize"]["quantized_matmuls"]
    compile_bundle(
        out=tmp_path,
        config=CompileConfig(),
        data=chain.root / "data",
        exported=exported,
        quantized=quantized,
        lineage={},
        name="dynamic",
    )
    right = load_split(chain.root / "data", "test").labels[: len(texts)]
    found = [one.text for one in Engine.open(tmp_path / "bundle")(texts)]
    assert np.mean([ours == theirs for ours, theirs in zip(found, right, strict=True)]) > 0.5


def test_a_decoder_that_answers_otherwise_fails_the_selftest(chain, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(chain.bundle, bundle)
    assert selftest(bundle).passed
    path = bundle / "onnxruntime" / DECODER
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if "LayerNorm" in tensor.name and tensor.name.endswith("weight"):
            values = onnx.numpy_helper.to_array(tensor) * 1.5
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)
    with pytest.raises(BundleError, match="does not have the hash"):
        selftest(bundle)
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["sha256"][f"onnxruntime/{DECODER}"] = hash_file(path)
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    result = selftest(bundle)
    assert not result.passed
    assert result.max_abs_difference > result.tolerance


def test_beams_are_chosen_when_a_bundle_is_opened(chain, texts):
    engine = Engine.open(chain.bundle, beams=3)
    assert engine._language.generation.beams == 3
    assert all(one.text for one in engine(texts))
    with pytest.raises(DataError, match="beams is 0, expected 1 to"):
        Engine.open(chain.bundle, beams=0)


def test_golden_answers_are_scores_and_characters(chain):
    golden = json.loads((chain.bundle / GOLDEN).read_text())
    kept = golden["targets"]["onnxruntime"]["logits"]
    found = [from_numbers(np.array(one, dtype=np.float32)) for one in kept]
    answers = Engine.open(chain.bundle)(golden["texts"])
    in_float = Engine.from_onnx(chain.root / "exported", (), 32, kind="translation")
    assert [one.text for one in found] == [one.text for one in answers]
    assert [one.text for one in found] == [one.text for one in in_float(golden["texts"])]
    tolerance = golden["targets"]["onnxruntime"]["tolerance"]
    scores = [[one.score for one in some] for some in (found, answers)]
    np.testing.assert_allclose(*scores, atol=tolerance)


def test_a_golden_text_that_is_written_otherwise_fails_the_selftest(chain, tmp_path):
    """Even where its score is the same."""
    bundle = tmp_path / "bundle"
    shutil.copytree(chain.bundle, bundle)
    golden = json.loads((bundle / GOLDEN).read_text())
    golden["targets"]["onnxruntime"]["logits"][0][1][0] += 1
    (bundle / GOLDEN).write_text(json.dumps(golden))
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["sha256"][GOLDEN] = hash_file(bundle / GOLDEN)
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    assert not selftest(bundle).passed


def test_golden_texts_are_those_that_all_write_alike(chain):
    others = [Engine.open(chain.bundle), Engine.open(chain.bundle)]
    assert len(written_alike(others, ["a dull film", "a superb plot"])) == 2
    others[1]._language = language_with(chain, max_tokens=1)
    with pytest.raises(BundleError, match="none of 2 validation texts is written by the float"):
        written_alike(others, ["a dull film", "a superb plot"])


def test_an_engine_needs_the_other_language(chain, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(chain.bundle, bundle)
    (bundle / "target_tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="does not have the hash"):
        Engine.open(bundle, verify="lazy")


def test_graphs_that_write_otherwise_are_not_exported(chain, tmp_path, monkeypatch):
    """The proof compares tokens: a step that forgets its cache is noticed."""
    from pocketbert.deploy import translator_graphs

    own = translator_graphs._attend

    def forgets(attention, state, cache, mask):
        return own(attention, state, cache[:, :, :, -1:] if mask is None else cache, mask)

    monkeypatch.setattr(translator_graphs, "_attend", forgets)
    with pytest.raises(ModelError, match=r"where PyTorch writes .*, expected the same tokens"):
        export_onnx(out=tmp_path, data=chain.root / "data", model=chain.root / "pruned")


def test_a_student_learns_what_its_teacher_writes(chain, tmp_path):
    """Also where that is wrong: the right texts are not looked at."""
    data, teacher = chain.root / "data", chain.root / "teacher"
    written, learned = tmp_path / "written", tmp_path / "learned"
    written.mkdir()
    said = translate_with_teacher(beams=2, data=data, teacher=teacher, out=written)
    found = read_translations(written)
    translator = open_translator(teacher / "model")
    right = translator.examples(data, "train").labels
    share = np.mean([ours == theirs for ours, theirs in zip(found, right, strict=True)])
    assert said == {"texts": len(right), "right": share}
    assert said["right"] > 0.5
    end = translator.target.end_id
    always = [*translator.target.encode("暗亮片", 8)[:-1], end]
    (written / TRANSLATIONS).write_text(f"{json.dumps(always)}\n" * len(right))
    distill_translator(
        config=DistillConfig(
            student=StudentConfig(layers=1, decoder_layers=1),
            objectives=ObjectivesConfig(labels=LabelsConfig(weight=1.0)),
            training=replace(LEARNT, epochs=2),
            teacher_beams=2,
        ),
        seed=0,
        data=data,
        teacher=teacher,
        out=learned,
        translations=written,
    )
    engine = Engine.from_model_folder(learned / "model")
    assert {one.text for one in engine(["a dull film", "superb plot"])} == {"暗亮片"}


def test_bleu_is_sacrebleu_s():
    right = ["将文本在文本基线上居中。", "输入选中对象的高度。", "打开 Calc 的对话框。", "是"]
    given = ["将文本居中在基线上。", "输入选中对象的高度。", "打开 Writer 对话框", "不"]
    rows = [as_numbers(text, -0.5) for text in given]
    logits = np.full((4, max(map(len, rows)), 1), np.nan, dtype=np.float32)
    for row, values in enumerate(rows):
        logits[row, : len(values)] = values
    measure, truth = MEASURES["translation"](()), np.array(right)
    expected = BLEU(tokenize="zh").corpus_score(given, [right]).score / 100
    assert measure.value(logits, truth) == pytest.approx(expected, abs=1e-9)
    further = measure.further(logits, truth)
    assert further["chrF"] == pytest.approx(CHRF().corpus_score(given, [right]).score / 100)
    assert further["exact match"] == 0.25
    each = measure.of_means(measure.statistics(logits, truth))
    assert each[1] == 1
    assert each[3] == 0
    assert measure.same(logits, logits).all()
    interval = measure.interval(measure.statistics(logits, truth), 0.95, 200)
    assert interval.low < interval.value < interval.high


def test_texts_come_back_from_the_target_s_tokens(tmp_path):
    texts = ["打开 LibreOffice Calc，然后点击「确定」。", "选择 文件 - 打开", "输入宽度 (cm)。"]
    made = train_target_tokenizer(texts * 3, 200)
    made.save(tmp_path)
    kept = TargetTokenizer.open(tmp_path)
    assert [kept.decode(kept.encode(text, 100)) for text in texts] == texts
    cut = kept.encode(texts[0], 4)
    assert len(cut) == 4
    assert cut[-1] == kept.end_id
    assert kept.size <= 200
