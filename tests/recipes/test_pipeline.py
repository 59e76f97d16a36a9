import dataclasses

import pytest

from pocketbert.compress.errors import UserError
from pocketbert.deploy.config import CompileConfig
from pocketbert.deploy.cpu import available_isas
from pocketbert.recipes.cache import StageCache
from pocketbert.recipes.load import load_recipe
from pocketbert.recipes.pipeline import STAGES, _for_this_machine, plan


@pytest.fixture
def planned(write, here):
    (here / "reviews.csv").write_text("review,stars\nfine,positive\n")
    (here / "plain.txt").write_text("words\n")

    def plan_with(*overrides: str, work: str = "work"):
        recipe = load_recipe(write(), overrides)
        return {step.name: step for step in plan(recipe, StageCache(here / work))}

    return plan_with


def changed(before, after):
    return {name for name in after if before.get(name) != after[name]}


def fingerprints(steps):
    return {name: step.fingerprint for name, step in steps.items()}


BY_LATENCY = ("prune.heads=0", "prune.neurons=0", "prune.speedup=2.0")


ONE_MORE = "{model: hf:bert-base-uncased, training: {epochs: 2, learning_rate: 5e-5}}"
FURTHER = f"further_teachers=[{ONE_MORE}]"
PLAIN_TEXT = (
    "general={texts: [{source: plain.txt, format: text}], student: {layers: 3}, "
    "objectives: {relations: {weight: 1}}, training: {epochs: 1, learning_rate: 1e-4}}",
    "distill.student.init=general",
)


SMOOTH = "quantize.method=smoothquant"
GUARD = "quantize.guard={}"


def test_a_full_recipe_takes_every_stage_in_the_order_of_the_table(planned):
    sparsify = "sparsify={pattern: '2:4'}"
    transfer = "transfer={augment: {mixed: {variants: 1}}}"
    auto = "compile.target=auto"
    gates = "gates=[bytes <= 12 MB]"
    more = (sparsify, transfer, "trim={}", auto, FURTHER, *PLAIN_TEXT, SMOOTH, GUARD, gates)
    full = planned(*BY_LATENCY, *more)
    names = [name.removesuffix("-1") for name in full]
    int8 = [
        "smooth-untrained",
        "calibrate-untrained",
        "quantize-untrained",
        "compile-untrained",
        "check-int8",
    ]
    int8 += ["qat", "export-qat"]
    of_other_kinds = ["teacher-translations", "distill-translator"]  # in place of distill
    every = [*names, *int8, *of_other_kinds]
    assert sorted(every, key=list(STAGES).index) == list(STAGES)


def test_auto_chooses_among_what_was_compiled_and_ships_that(planned):
    steps = planned("compile.target=auto", "compile.choose={min_gain: 1.5}")
    assert steps["choose"].params["compiled"] == steps["compile"].folder
    assert steps["choose"].params["config"].min_gain == 1.5
    engine = steps["evaluate"].params["artifacts"][-1]
    assert (engine.name, engine.folder) == ("engine", str(steps["choose"].folder / "bundle"))
    assert steps["compile"].params["dynamic"] == steps["quantize-dynamic"].folder
    assert not {"choose", "quantize-dynamic"} & set(planned())


def test_without_transfer_the_training_split_is_learned_from(planned):
    for with_transfer, name in ((True, "transfer"), (False, "data")):
        steps = planned(*["transfer={augment: {mixed: {variants: 1}}}"] * with_transfer)
        for stage in ("teacher-outputs", "distill", "prune"):
            assert steps[stage].params["examples"] == steps[name].folder


def test_further_teachers_are_stages_of_their_own_and_of_other_seeds(planned):
    before, steps = planned(), planned(f"further_teachers=[{ONE_MORE}, {ONE_MORE}]")
    further = [steps["further-teacher-1"], steps["further-teacher-2"]]
    assert [step.params["seed"] for step in further] == [4, 5]  # the recipe's is 3
    assert further[0].folder != further[1].folder
    outputs = steps["teacher-outputs"].params
    assert outputs["further_teachers"] == [step.folder for step in further]
    assert outputs["teacher"] == before["teacher"].folder == steps["teacher"].folder
    assert "further_teachers" not in before["teacher-outputs"].params
    redone = changed(fingerprints(before), fingerprints(steps))
    assert {"teacher-outputs", "distill"} <= redone


def test_a_student_that_learned_on_plain_text_is_where_distillation_starts(planned, here):
    before, steps = planned(), planned(*PLAIN_TEXT)
    made = steps["general-distill"]
    assert steps["distill"].params["general"] == made.folder
    assert made.params["teacher"] == steps["general-teacher"].folder != steps["teacher"].folder
    assert made.params["teacher_outputs"] == steps["general-outputs"].folder
    outputs = steps["general-outputs"].params
    assert outputs["data"] == outputs["examples"] == steps["general-texts"].folder
    assert outputs["wanted"].of_validation
    assert outputs["wanted"].states == (("key", "last"), ("query", "last"), ("value", "last"))
    assert "general" not in before["distill"].params
    redone = {n for n in changed(*map(fingerprints, (before, steps))) if n in before}
    assert not redone & {"data", "teacher", "teacher-outputs", "export-teacher"}
    assert "distill" in redone
    (here / "plain.txt").write_text("other words\n")
    texts = changed(fingerprints(steps), fingerprints(planned(*PLAIN_TEXT)))
    assert {"general-texts", "general-distill", "distill"} <= texts
    assert "teacher" not in texts


def test_a_language_model_of_plain_texts_ends_with_the_teacher(planned):
    sections = [f"{name}=null" for name in ("distill", "prune", "quantize", "compile", "evaluate")]
    steps = planned("task={kind: masked-language-model}", "task.labels=[]", *sections)
    assert list(steps) == ["data", "teacher"]
    assert steps["teacher"].params["data"] == steps["data"].folder
    assert set(changed(*map(fingerprints, (planned(), steps)))) == {"data", "teacher"}


def test_hidden_tokens_need_the_teachers_head_and_its_vocabulary(planned, here):
    (here / "small").mkdir()
    other = "general.student.init=./small"
    before = planned(*PLAIN_TEXT, other)
    hidden = "general.objectives.masked_tokens={weight: 1, fraction: 0.2}"
    steps = planned(*PLAIN_TEXT, other, hidden)
    assert steps["general-teacher"].params["head"]
    assert steps["general-outputs"].params["wanted"].masked_fraction == 0.2
    assert steps["check-tokenizers"].params["same_vocabulary"]
    own = planned(*PLAIN_TEXT, hidden)
    assert "check-tokenizers" not in own  # the student has the teacher's own
    assert not {"head", "same_vocabulary"} & {
        *before["general-teacher"].params, *before["check-tokenizers"].params
    }  # fmt: skip
    assert before["teacher"].fingerprint == steps["teacher"].fingerprint


def test_the_task_does_not_reach_back_to_what_is_learned_before_it(planned):
    before = fingerprints(planned(*PLAIN_TEXT))
    for override in ("teacher.training.epochs=9", "distill.training.epochs=9", "prune=null"):
        after = fingerprints(planned(*PLAIN_TEXT, override))
        assert "general-distill" not in changed(before, after)


def test_tokenizers_of_a_student_that_learns_on_plain_text_are_checked(planned, here):
    assert "check-tokenizers" not in planned(*PLAIN_TEXT)
    (here / "small").mkdir()
    steps = planned(*PLAIN_TEXT, "general.student.init=./small", "distill.objectives.hidden=null")
    assert steps["check-tokenizers"].params["student"] == "./small"
    assert steps["check-tokenizers"].params["shared"]


def test_the_model_that_proposes_words_counts_with_its_bytes(planned, here):
    (here / "lm").mkdir()
    (here / "lm/config.json").write_text("{}")
    section = "transfer={augment: {masked_words: {model: ./lm, variants: 1}}}"
    before = fingerprints(planned(section))
    assert list(before).index("transfer") < list(before).index("teacher")  # it may refuse
    (here / "lm/config.json").write_text("{ }")
    after = fingerprints(planned(section))
    assert {"transfer", "teacher-outputs", "distill"} <= changed(before, after)
    assert "teacher" not in changed(before, after)


def test_the_mask_token_is_checked_only_where_words_are_hidden(planned):
    steps = planned("transfer={augment: {masked: {variants: 1, token: <mask>}}}")
    assert steps["check-tokenizers"].params["mask_token"] == "<mask>"
    assert "mask_token" not in planned("trim={}")["check-tokenizers"].params


def test_a_latency_table_is_measured_only_for_a_speedup_without_a_file(planned, here):
    assert "latency-table" not in planned()
    steps = planned(*BY_LATENCY)
    assert steps["prune"].params["latency_table"] == steps["latency-table"].folder
    assert steps["latency-table"].params["int8"] is True
    (here / "table.json").write_text("{}")
    given = planned(*BY_LATENCY, "prune.latency_table=table.json")
    assert "latency-table" not in given
    (here / "table.json").write_text("{ }")
    changed_file = planned(*BY_LATENCY, "prune.latency_table=table.json")
    assert given["prune"].fingerprint != changed_file["prune"].fingerprint


def test_without_training_nothing_asks_the_teacher(planned):
    steps = planned("distill=null", "prune.objectives=null", "prune.training=null")
    assert "teacher-outputs" not in steps
    assert steps["prune"].params["teacher_outputs"] is None


def test_every_stage_comes_after_what_it_reads(planned):
    seen = set()
    for step in planned().values():
        assert {str(v) for v in step.params.values() if str(v).startswith("/")} <= seen
        seen.add(str(step.folder))


def test_absent_sections_skip_their_stages(planned):
    assert list(planned("distill=null", "prune=null", "quantize=null")) == [
        "data",
        "teacher",
        "export-teacher",
        "compile",
        "evaluate",
        "examine",
        "report",
    ]


def test_without_distill_the_teacher_is_pruned(planned):
    steps = planned("distill=null")
    assert steps["prune"].params["student"] == steps["teacher"].folder
    assert steps["quantize"].params["exported"] == steps["export-pruned"].folder


def test_what_ships_is_measured_against_every_stage_before_it(planned):
    names = [a.name for a in planned()["evaluate"].params["artifacts"]]
    assert names == ["teacher-pytorch", "teacher-onnx", "student-onnx", "pruned-onnx", "engine"]
    params = planned()["evaluate"].params
    assert {params["teacher"], params["baseline_onnx"], params["engine"]} <= set(names)


def test_a_change_redoes_only_what_follows_from_it(planned):
    before = fingerprints(planned())
    assert changed(before, fingerprints(planned())) == set()
    assert changed(before, fingerprints(planned("evaluate.resamples=10"))) == {"evaluate", "report"}
    assert changed(before, fingerprints(planned("about=other"))) == {"report"}
    assert "distill" not in changed(before, fingerprints(planned("prune.heads=0.5")))
    assert "teacher" not in changed(before, fingerprints(planned("distill.training.epochs=9")))
    assert changed(before, fingerprints(planned("task.max_length=32"))) == set(before)


def test_the_students_depth_reaches_back_only_if_its_hidden_states_are_compared(planned):
    deeper = "distill.student.layers=2"
    hidden = planned(), planned(deeper)
    assert "teacher-outputs" in changed(*map(fingerprints, hidden))
    assert hidden[1]["teacher-outputs"].params["wanted"].student_layers == 2
    no_hidden = (
        planned("distill.objectives.hidden=null"),
        planned("distill.objectives.hidden=null", deeper),
    )
    assert "teacher-outputs" not in changed(*map(fingerprints, no_hidden))


def test_a_bilstm_goes_the_way_of_any_student(planned):
    lstm = ("distill.student={layers: null, bilstm: {}}", "distill.objectives.hidden=null")
    steps = planned(*lstm, "prune=null")
    assert steps["compile"].params["exported"] == steps["export-student"].folder


def test_int8_is_learned_last_and_shrinking_the_vocabulary_follows(planned):
    section = "qat={objectives: {logits: {weight: 1}}, training: {epochs: 1, learning_rate: 1e-4}}"
    steps = planned(section, "trim={}")
    assert steps["qat"].params["student"] == steps["prune"].folder
    assert steps["qat"].params["teacher_outputs"] == steps["teacher-outputs"].folder
    assert steps["trim"].params["student"] == steps["qat"].folder
    names = list(steps)
    assert names.index("prune") < names.index("qat") < names.index("trim") < names.index("quantize")
    assert planned(section)["quantize"].params["exported"] == planned(section)["export-qat"].folder


def test_as_a_fallback_int8_is_learned_only_after_an_engine_without_it_was_tried(planned):
    learning = "objectives: {logits: {weight: 1}}, training: {epochs: 1, learning_rate: 1e-4}"
    always = planned(f"qat={{{learning}}}")
    steps = planned(f"qat={{only_below: 0.99, {learning}}}")
    tried = ["quantize-untrained", "compile-untrained", "check-int8", "qat"]
    assert [name for name in steps if name in tried] == tried
    assert not set(tried[:3]) & set(always)
    assert "int8_check" not in always["qat"].params
    assert steps["qat"].params["int8_check"] == steps["check-int8"].folder
    assert steps["check-int8"].params["exported"] == steps["export-pruned"].folder
    assert steps["check-int8"].params["compiled"] == steps["compile-untrained"].folder
    assert steps["quantize"].params["exported"] == steps["export-qat"].folder


def test_only_methods_that_need_it_are_calibrated_and_smoothed_before(planned):
    static, smooth = planned(), planned(SMOOTH)
    assert static["quantize"].params["calibrated"] == static["calibrate"].folder
    assert "smooth" not in static
    assert smooth["smooth"].params["exported"] == smooth["export-pruned"].folder
    for stage in ("calibrate", "quantize", "compile"):
        assert smooth[stage].params["exported"] == smooth["smooth"].folder
    for method in ("dynamic", "weight_only"):
        steps = planned(f"quantize.method={method}")
        assert not {"smooth", "calibrate"} & set(steps)
        assert steps["quantize"].params["calibrated"] is None


def test_the_guard_comes_between_quantization_and_what_ships(planned):
    learning = "objectives: {logits: {weight: 1}}, training: {epochs: 1, learning_rate: 1e-4}"
    steps = planned(GUARD, f"qat={{only_below: 0.99, {learning}}}")
    assert steps["compile"].params["quantized"] == steps["guard-int8"].folder
    assert steps["guard-int8"].params["quantized"] == steps["quantize"].folder
    # What decides on training is what INT8 costs as it is.
    untrained = steps["compile-untrained"].params["quantized"]
    assert untrained == steps["quantize-untrained"].folder
    assert planned(GUARD)["quantize"].fingerprint == planned()["quantize"].fingerprint
    assert "guard-int8" not in planned()


def test_how_ranges_are_chosen_and_placed_needs_no_new_calibration(planned, here):
    before = planned()
    for change in ("calibration=mse", "attention=true", "residuals=true", "embeddings=false"):
        after = planned(f"quantize.{change}")
        assert after["calibrate"].fingerprint == before["calibrate"].fingerprint
        assert after["quantize"].fingerprint != before["quantize"].fingerprint
    (here / "table.json").write_text("{}")
    given = planned("quantize.calibration_table=table.json")
    (here / "table.json").write_text("{ }")
    changed_file = planned("quantize.calibration_table=table.json")
    assert given["calibrate"].fingerprint != changed_file["calibrate"].fingerprint


def test_weights_become_zero_after_pruning_and_may_ask_the_teacher(planned):
    steps = planned("sparsify={pattern: '2:4'}")
    assert steps["sparsify"].params["student"] == steps["prune"].folder
    assert steps["quantize"].params["exported"] == steps["export-sparse"].folder
    alone = ["distill=null", "prune=null"]
    assert "teacher-outputs" not in planned(*alone, "sparsify={pattern: '2:4'}")
    learning = "{objectives: {logits: {weight: 1}}, training: {epochs: 1, learning_rate: 1e-4}}"
    steps = planned(*alone, "sparsify={pattern: '2:4'}", f"sparsify={learning}")
    assert steps["sparsify"].params["teacher_outputs"] == steps["teacher-outputs"].folder


def test_learned_scores_ask_the_teacher_and_cost_others_nothing(planned):
    training = "training: {epochs: 1, learning_rate: 1e-4}"
    scores = f"prune.scores={{method: movement, {training}, objectives: {{hidden: {{weight: 1}}}}}}"
    before, after = fingerprints(planned()), fingerprints(planned(scores))
    assert {"distill", "teacher-outputs"}.isdisjoint(changed(before, after))
    assert "prune" in changed(before, after)
    alone = ("distill=null", "prune.objectives=null", "prune.training=null")
    assert "teacher-outputs" not in planned(*alone)
    augment = "transfer={augment: {mixed: {variants: 1}}}"
    outputs = planned(*alone, scores, augment)["teacher-outputs"].params
    assert outputs["wanted"].states == (("hidden", "uniform"),)


def test_trimming_stands_between_training_and_export(planned, here):
    (here / "more.txt").write_text("a line\n")
    steps = planned("trim={texts: [{source: more.txt, format: text}]}")
    assert steps["trim"].params["student"] == steps["prune"].folder
    assert steps["quantize"].params["exported"] == steps["export-trimmed"].folder
    (here / "more.txt").write_text("another\n")
    again = planned("trim={texts: [{source: more.txt, format: text}]}")
    assert "trim" in changed(fingerprints(steps), fingerprints(again))
    assert "distill" not in changed(fingerprints(steps), fingerprints(again))
    alone = planned("trim={}", "prune=null", "distill=null")
    assert alone["trim"].params["student"] == alone["teacher"].folder


def test_tokenizers_are_checked_before_training_if_a_later_stage_needs_them_alike(planned, here):
    assert "check-tokenizers" not in planned()  # the student has the teacher's own
    (here / "small").mkdir()
    other = ("distill.student.init=./small", "distill.objectives.hidden=null")
    assert "check-tokenizers" not in planned(*other)
    steps = planned(
        *other, "prune.objectives={hidden: {weight: 1}}"
    )  # pruning alone compares tokens
    assert list(steps)[:3] == ["data", "check-tokenizers", "teacher"]
    assert steps["check-tokenizers"].params["shared"]
    assert not steps["check-tokenizers"].params["trimmed"]
    assert planned("trim={}")["check-tokenizers"].params["trimmed"]


def test_weights_do_not_reach_back_but_what_is_compared_does(planned):
    before = fingerprints(planned())
    weights = fingerprints(planned("distill.objectives.hidden.weight=0.1"))
    assert "teacher-outputs" not in changed(before, weights)
    relations = planned("prune.heads=0", "prune.objectives.relations={weight: 1.0, heads: 4}")
    assert "teacher-outputs" in changed(before, fingerprints(relations))
    kept = relations["teacher-outputs"].params["wanted"]
    assert kept.states == (
        ("hidden", "uniform"),
        ("key", "last"),
        ("query", "last"),
        ("value", "last"),
    )
    assert kept.over_tokens


def test_other_data_under_the_same_name_is_seen(planned, here):
    before = fingerprints(planned())
    (here / "reviews.csv").write_text("review,stars\ndull,negative\n")
    assert changed(before, fingerprints(planned())) == set(before)


def test_two_work_folders_agree(planned):
    assert fingerprints(planned(work="a")) == fingerprints(planned(work="b"))


def test_auto_is_this_machines_instruction_set(planned):
    assert planned()["compile"].params["config"].isa == available_isas()[0]


def test_a_source_that_is_not_there_is_said(planned):
    with pytest.raises(UserError, match=r"gone\.csv does not exist, expected a file or folder"):
        planned("data.test=gone.csv")


def test_every_stage_takes_what_the_plan_gives_it(planned):
    """The functions' signatures, without calling them: heavy, but wrong names would cost hours."""
    import inspect
    from importlib import import_module

    masked = "transfer={augment: {masked: {variants: 1}}}"
    for step in planned(*BY_LATENCY, masked, FURTHER, *PLAIN_TEXT).values():
        module, _, name = step.stage.function.partition(":")
        parameters = inspect.signature(getattr(import_module(module), name)).parameters
        needed = {name for name, p in parameters.items() if p.default is p.empty}
        notes = {"stages"} if step.name == "report" else set()
        assert needed <= {"out", *step.params, *notes} <= set(parameters), step.name


def test_params_are_configs_as_they_are(planned):
    config = planned()["distill"].params["config"]
    assert dataclasses.asdict(config)["student"]["layers"] == 3


def test_this_machines_instruction_set_is_not_compiled_for_twice(monkeypatch):
    monkeypatch.setattr("pocketbert.recipes.pipeline.available_isas", lambda: ("arm64", "any"))
    config = _for_this_machine(CompileConfig(also_isa=("x86_64", "arm64")))
    assert (config.isa, config.also_isa) == ("arm64", ("x86_64",))
