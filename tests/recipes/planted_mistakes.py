"""Mistakes to plant in a recipe: what is replaced, by what, and the whole message."""

SOURCE = "a source (a path, 'hf:NAME', 'pypi:NAME' or 'npm:NAME')"
TOP = (
    "name, about, seed, task, data, teacher, further_teachers, transfer, general, distill, prune, "
    "sparsify, qat, trim, quantize, compile, evaluate, gates"
)
METRICS = (
    "metric, metric_retention, metric_drop, accuracy, accuracy_retention, accuracy_drop, "
    "agreement, p50_ms, p90_ms, p99_ms, p50_ratio_pytorch, p50_ratio_onnxruntime, size_ratio, "
    "bytes, bundle_bytes, peak_bytes"
)
COMPILE = "target, also, isa, also_isa, float_precision, lengths, threads, choose"

# (what is replaced, by what, the whole message)
PLANTED = {
    "gate on an unknown metric": (
        "evaluate:",
        "gates: [accuracy_retension >= 0.98]\nevaluate:",
        "small.yaml:40: gates[0] is 'accuracy_retension >= 0.98', expected one of the metrics "
        f"{METRICS}; did you mean 'accuracy_retention'?",
    ),
    "gate with a percentage": (
        "evaluate:",
        "gates:\n- p99_ms <= 5\n- agreement >= 97 %\nevaluate:",
        "small.yaml:42: gates[1] is 'agreement >= 97 %', expected a fraction from 0 to 1; did you "
        "mean 0.97?",
    ),
    "gate on a target that is not built": (
        "evaluate:",
        "gates: [p99_ms <= 5 on openvino]\nevaluate:",
        "small.yaml:40: gates[0] is 'p99_ms <= 5 on openvino', expected a target of compile "
        "(onnxruntime) behind 'on'",
    ),
    "gate in another unit": (
        "evaluate:",
        "gates: [bytes <= 12 mb]\nevaluate:",
        "small.yaml:40: gates[0] is 'bytes <= 12 mb', expected the limit of bytes in B, kB, MB, "
        "GB, KiB, MiB, GiB; did you mean 'MB'?",
    ),
    "gate that looks the wrong way": (
        "evaluate:",
        "gates: [accuracy <= 0.9]\nevaluate:",
        "small.yaml:40: gates[0] is 'accuracy <= 0.9', expected 'accuracy >= LIMIT', because more "
        "of it is better",
    ),
    "gate that is no comparison": (
        "evaluate:",
        "gates: [fast]\nevaluate:",
        "small.yaml:40: gates[0] is 'fast', expected 'METRIC >= LIMIT' or 'METRIC <= LIMIT', then "
        "'on TARGET' or 'on value' if wanted, such as 'p99_ms <= 5 on onnxruntime'; metrics are "
        f"{METRICS}",
    ),
    "typo in a key": (
        "    layers: 3",
        "    layer: 3",
        "small.yaml:21: distill.student.layer: unknown key, expected one of init, layers, "
        "hidden_size, intermediate_size, embedding_rank, bilstm, decoder_layers; did you "
        "mean 'layers'?",
    ),
    "typo in a section": (
        "quantize:",
        "quantise:",
        f"small.yaml:36: quantise: unknown key, expected one of {TOP}; did you mean 'quantize'?",
    ),
    "key of another section": (
        "seed: 3",
        "temperature: 2",
        f"small.yaml:3: temperature: unknown key, expected one of {TOP}; did you mean "
        "'distill.objectives.soft_targets.temperature'?",
    ),
    "key that nothing resembles": (
        "  isa: auto",
        "  zzz: 1",
        f"small.yaml:39: compile.zzz: unknown key, expected one of {COMPILE}",
    ),
    "layout that only ONNX Runtime runs": (
        "  calibration_examples: 64\ncompile:\n  isa: auto",
        "  method: weight_only\ncompile:\n  target: auto",
        "small.yaml:37: quantize.method is weight_only, expected static or smoothquant with auto "
        "in compile, because ONNX Runtime alone runs that layout (auto tries dynamic by itself)",
    ),
    "an instruction set named twice": (
        "  isa: auto",
        "  isa: arm64\n  also_isa: [x86_64, arm64]",
        "small.yaml:40: compile.also_isa names 'arm64' twice, expected every instruction set once",
    ),
    "an instruction set without INT8": (
        "quantize:\n  calibration_examples: 64\ncompile:\n",
        "compile:\n  also_isa: [arm64]\n",
        "small.yaml:37: compile.also_isa is ['arm64'], expected none without quantize, because a "
        "float model runs on any processor",
    ),
    "float format that a runtime lacks": (
        "  isa: auto",
        "  float_precision: bfloat16",
        "small.yaml:39: compile.float_precision is bfloat16, expected float32 (or none) for "
        "onnxruntime, which has nothing else",
    ),
    "factors wider than the table": (
        "    layers: 3",
        "    layers: 3\n    hidden_size: 48\n    embedding_rank: 48",
        "small.yaml:23: distill.student.embedding_rank is 48, expected below hidden_size 48 (or "
        "none (null), which keeps the word table whole)",
    ),
    "learning INT8 that is not asked for": (
        "quantize:\n  calibration_examples: 64\n",
        "qat: {objectives: {logits: {weight: 1}}, training: {epochs: 1, learning_rate: 1e-4}}\n",
        "small.yaml:36: qat is a section, expected none (null) without quantize, which it prepares "
        "for",
    ),
    "learning INT8 beside zeros": (
        "quantize:\n",
        "sparsify: {pattern: '2:4'}\nqat: {objectives: {logits: {weight: 1}}, "
        "training: {epochs: 1, learning_rate: 1e-4}}\nquantize:\n",
        "small.yaml:37: qat is a section, expected none (null) beside sparsify, whose zeros its "
        "training would fill",
    ),
    "six bits": (
        "quantize:\n",
        "qat: {weight_bits: 6, objectives: {logits: {weight: 1}}, "
        "training: {epochs: 1, learning_rate: 1e-4}}\nquantize:\n",
        "small.yaml:36: qat.weight_bits is 6, expected one of 7, 8",
    ),
    "a share of accuracy in per cent": (
        "quantize:\n",
        "qat: {only_below: 99, objectives: {logits: {weight: 1}}, "
        "training: {epochs: 1, learning_rate: 1e-4}}\nquantize:\n",
        "small.yaml:36: qat.only_below is 99, expected a fraction from 0 up to, not including, 1; "
        "did you mean 0.99?",
    ),
    "text for an integer": (
        "    layers: 3",
        "    layers: abc",
        "small.yaml:21: distill.student.layers is 'abc', expected an integer or a list of integers",
    ),
    "fraction for an integer": (
        "seed: 3",
        "seed: 3.5",
        "small.yaml:3: seed is 3.5, expected an integer",
    ),
    "quoted number": (
        "    epochs: 2",
        '    epochs: "2"',
        "small.yaml:16: teacher.training.epochs is '2', expected a number; leave out the quotes",
    ),
    "truth for a number": (
        "  heads: 0.25",
        "  heads: true",
        "small.yaml:29: prune.heads is true, expected a number",
    ),
    "number for a text": (
        "labels: [negative, positive]",
        "labels: [0, positive]",
        "small.yaml:6: task.labels[0] is 0, expected a text; put it in quotes",
    ),
    "typo in a choice": (
        "positions: tokens",
        "positions: token",
        "small.yaml:24: distill.objectives.hidden.positions is 'token', expected one of 'tokens', "
        "'first'; did you mean 'tokens'?",
    ),
    "unknown kind of task": (
        "kind: text-classification",
        "kind: ner",
        "small.yaml:5: task.kind is 'ner', expected one of 'text-classification', "
        "'text-regression', 'multi-label-classification', 'token-classification', "
        "'sentence-similarity', 'text-retrieval', 'question-answering', 'translation', "
        "'masked-language-model'",
    ),
    "empty value": (
        "  model: hf:bert-base-uncased",
        "  model:",
        f"small.yaml:14: teacher.model is empty, expected {SOURCE}",
    ),
    "a head that learns too fast": (
        "  model: hf:bert-base-uncased",
        "  model: hf:bert-base-uncased\n  head_learning_rate: 1",
        "small.yaml:15: teacher.head_learning_rate is 1, expected below 0.1 (1e-3 to 5e-3 is "
        "usual)",
    ),
    "missing value": (
        "    learning_rate: 1e-4\n",
        "",
        "small.yaml:25: distill.training.learning_rate is missing, expected a number",
    ),
    "missing section": (
        "compile:\n  isa: auto\n",
        "",
        f"small.yaml:1: compile is missing, expected a section with the keys {COMPILE}",
    ),
    "value for a section": (
        "quantize:\n  calibration_examples: 64",
        "quantize: int8",
        "small.yaml:36: quantize is 'int8', expected a section with the keys "
        "method, calibration_examples, calibration, calibration_table, attention, residuals, "
        "embeddings, alpha, weight_bits, block_size, guard",
    ),
    "a drop in percent": (
        "quantize:\n  calibration_examples: 64",
        "quantize:\n  guard: {max_drop: 3}",
        "small.yaml:37: quantize.guard.max_drop is 3, expected a fraction from 0 up to, not "
        "including, 1; did you mean 0.03?",
    ),
    "a key of another method": (
        "quantize:\n  calibration_examples: 64",
        "quantize:\n  method: dynamic\n  attention: true",
        "small.yaml:38: quantize.attention is true, expected false because method is dynamic (it "
        "belongs to static and smoothquant)",
    ),
    "more than all of an outlier": (
        "quantize:\n  calibration_examples: 64",
        "quantize:\n  method: smoothquant\n  alpha: 1.5",
        "small.yaml:38: quantize.alpha is 1.5, expected a fraction from 0 up to, not including, 1; "
        "did you mean 0.015?",
    ),
    "section for a value": (
        "name: small",
        "name: {is: small}",
        "small.yaml:1: name is a section, expected a text",
    ),
    "list for a source": (
        "  train: reviews.csv",
        "  train: [reviews.csv]",
        f"small.yaml:9: data.train is ['reviews.csv'], expected {SOURCE}",
    ),
    "list for a fraction or source": (
        "  validation: 0.1",
        "  validation: [0.1]",
        f"small.yaml:10: data.validation is [0.1], expected a fraction or {SOURCE}",
    ),
    "one text a line where labels are learned": (
        "  train: reviews.csv",
        "  train: reviews.csv\n  format: text",
        "small.yaml:10: data.format is 'text', expected one with a column of labels, which "
        "task.kind 'text-classification' learns",
    ),
    "labels of plain texts": (
        "kind: text-classification",
        "kind: masked-language-model",
        "small.yaml:6: task.labels has 2 entries, expected none where kind is "
        "'masked-language-model', which reads plain texts",
    ),
    "labels of numbers": (
        "kind: text-classification",
        "kind: text-regression",
        "small.yaml:6: task.labels has 2 entries, expected none where kind is 'text-regression', "
        "which reads numbers",
    ),
    "percent for a fraction": (
        "  neurons: 0.5",
        "  neurons: 50",
        "small.yaml:30: prune.neurons is 50, expected a fraction from 0 up to, not including, 1; "
        "did you mean 0.5?",
    ),
    "speedup beside fractions": (
        "  neurons: 0.5",
        "  speedup: 2.0",
        "small.yaml:30: prune.speedup is 2 beside layers 0, heads 0.25, neurons 0 and hidden 0, "
        "expected either a speedup or what to remove; set the others to 0",
    ),
    "speedup beside a narrower stream": (
        "  heads: 0.25\n  neurons: 0.5",
        "  hidden: 0.25\n  speedup: 2.0",
        "small.yaml:30: prune.speedup is 2 beside layers 0, heads 0, neurons 0 and hidden 0.25, "
        "expected either a speedup or what to remove; set the others to 0",
    ),
    "percent of a stream": (
        "  neurons: 0.5",
        "  hidden: 25",
        "small.yaml:30: prune.hidden is 25, expected a fraction from 0 up to, not including, 1; "
        "did you mean 0.25?",
    ),
    "multiples of nothing": (
        "  neurons: 0.5",
        "  hidden: 0.25\n  hidden_multiple: 0",
        "small.yaml:31: prune.hidden_multiple is 0, expected a number above 0",
    ),
    "speedup that slows down": (
        "  heads: 0.25\n  neurons: 0.5",
        "  speedup: 0.5",
        "small.yaml:29: prune.speedup is 0.5, expected a number above 1 (2.0 is twice as fast)",
    ),
    "nothing to prune": (
        "  heads: 0.25\n  neurons: 0.5",
        "  steps: 2",
        "small.yaml:28: prune.speedup is empty and layers, heads, neurons and hidden are 0, "
        "expected one of them above 0 (or leave out the prune section)",
    ),
    "scores of an unknown kind": (
        "  neurons: 0.5",
        "  scores: {method: l1, gate_learning_rate: 0.1, "
        "training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.scores.method is 'l1', expected one of 'l0', 'movement'",
    ),
    "gates without a rate": (
        "  neurons: 0.5",
        "  scores: {method: l0, training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.scores.gate_learning_rate is missing, expected a number beside "
        "method l0 (0.1 for some hundred steps, 0.01 for many thousand)",
    ),
    "a rate without gates": (
        "  neurons: 0.5",
        "  scores: {method: movement, gate_learning_rate: 0.1, "
        "training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.scores.gate_learning_rate is 0.1, expected none (null) beside method "
        "movement, which has no gates",
    ),
    "gates that jump": (
        "  neurons: 0.5",
        "  scores: {method: l0, gate_learning_rate: 10, "
        "training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.scores.gate_learning_rate is 10, expected at most 1; a gate is shut "
        "after a change of 5",
    ),
    "scores that are never complete": (
        "  neurons: 0.5",
        "  scores: {method: movement, reached: 1, training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.scores.reached is 1, expected a fraction from 0 up to, not "
        "including, 1; did you mean 0.01?",
    ),
    "scores in steps": (
        "  neurons: 0.5",
        "  steps: 2\n  scores: {method: movement, training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.steps is 2, expected 1 beside scores, which are learned once",
    ),
    "scores for a speedup": (
        "  heads: 0.25\n  neurons: 0.5",
        "  speedup: 2.0\n  scores: {method: movement, training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:29: prune.speedup is 2, expected none (null) beside scores, which aim at "
        "fractions; set heads and neurons",
    ),
    "scores of nothing": (
        "  heads: 0.25\n  neurons: 0.5",
        "  layers: 1\n  scores: {method: movement, training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.scores is a section, expected none (null) where neither heads nor "
        "neurons go",
    ),
    "scores that learn from nothing": (
        "  objectives:\n    labels: {weight: 1.0}\n  training:\n    epochs: 1\n"
        "    learning_rate: 5e-5\n",
        "  scores: {method: movement, training: {epochs: 1, learning_rate: 1e-4}}\n",
        "small.yaml:31: prune.scores.objectives is missing, expected what the student learns from "
        "meanwhile, because prune has no objectives that it could share",
    ),
    "scores from layers that are paired before it is known which stay": (
        "  neurons: 0.5",
        "  layers: 1\n  scores: {method: movement, objectives: {hidden: {weight: 1}}, "
        "training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.layers is 1 beside scores.objectives.hidden, which pairs layers "
        "before it is known which stay, expected 0, or layers 'last' in that objective",
    ),
    "scores from a layer map of another depth": (
        "  neurons: 0.5",
        "  scores: {method: movement, objectives: {hidden: {weight: 1, layers: [0, 1]}}, "
        "training: {epochs: 1, learning_rate: 1e-4}}",
        "small.yaml:30: prune.scores.objectives.hidden.layers is [0, 1], expected 3 teacher layers "
        "because distill.student has 3 layers",
    ),
    "percent for a sparsity": (
        "quantize:\n",
        "sparsify: {pattern: unstructured, sparsity: 50}\nquantize:\n",
        "small.yaml:36: sparsify.sparsity is 50, expected a fraction from 0 up to, not including, "
        "1; did you mean 0.5?",
    ),
    "a sparsity beside the pattern that has one": (
        "quantize:\n",
        "sparsify: {pattern: '2:4', sparsity: 0.5}\nquantize:\n",
        "small.yaml:36: sparsify.sparsity is 0.5, expected none (null) beside pattern 2:4, which "
        "takes two of every four",
    ),
    "no sparsity": (
        "quantize:\n",
        "sparsify: {pattern: unstructured}\nquantize:\n",
        "small.yaml:36: sparsify.sparsity is missing, expected a fraction of weights beside "
        "pattern unstructured",
    ),
    "movement without training": (
        "quantize:\n",
        "sparsify: {pattern: unstructured, sparsity: 0.5, scores: movement}\nquantize:\n",
        "small.yaml:36: sparsify.scores is 'movement' without training, expected 'magnitude', or "
        "a training in which weights move",
    ),
    "movement for the pattern": (
        "quantize:\n",
        "sparsify: {pattern: '2:4', scores: movement}\nquantize:\n",
        "small.yaml:36: sparsify.scores is 'movement', expected 'magnitude' beside pattern 2:4, "
        "whose masks are needed before anything has moved",
    ),
    "a sparse training without objectives": (
        "quantize:\n",
        "sparsify: {pattern: '2:4', training: {epochs: 1, learning_rate: 1e-4}}\nquantize:\n",
        "small.yaml:36: sparsify.objectives is empty but training is given, expected both, or "
        "neither (null) to take the weights away at once",
    ),
    "a negative number of layers": (
        "  neurons: 0.5",
        "  layers: -1",
        "small.yaml:30: prune.layers is -1, expected how many layers to remove, from 0",
    ),
    "layers that are paired before it is known which stay": (
        "  neurons: 0.5\n  objectives:\n    labels: {weight: 1.0}",
        "  layers: 1\n  objectives:\n    hidden: {weight: 1.0}",
        "small.yaml:30: prune.layers is 1 beside objectives.hidden, which pairs layers before it "
        "is known which stay, expected 0, or layers 'last' in that objective",
    ),
    "a further teacher without training": (
        "quantize:\n",
        "further_teachers: [{model: hf:a/b}]\nquantize:\n",
        "small.yaml:36: further_teachers[0].training is missing, expected a section with the keys "
        "epochs, learning_rate, batch_size, warmup_fraction, weight_decay, dropout, "
        "evaluations_per_epoch, patience, precision, freeze_words",
    ),
    "percent of words": (
        "quantize:\n",
        "transfer: {augment: {masked: {variants: 1, fraction: 10}}}\nquantize:\n",
        "small.yaml:36: transfer.augment.masked.fraction is 10, expected a fraction from 0 up to, "
        "not including, 1; did you mean 0.1?",
    ),
    "no words to draw from": (
        "quantize:\n",
        "transfer: {augment: {masked_words: {model: hf:a/b, variants: 1, top: 0}}}\nquantize:\n",
        "small.yaml:36: transfer.augment.masked_words.top is 0, expected a number above 0",
    ),
    "no steps": (
        "  neurons: 0.5",
        "  steps: 0",
        "small.yaml:30: prune.steps is 0, expected a number above 0",
    ),
    "latency table without speedup": (
        "  neurons: 0.5",
        "  latency_table: table.json",
        "small.yaml:28: prune.speedup is empty but latency_table is 'table.json', expected a "
        "speedup that the table decides on",
    ),
    "objectives without training": (
        "  training:\n    epochs: 1\n    learning_rate: 5e-5\n",
        "",
        "small.yaml:28: prune.training is empty but objectives is given, expected both, or "
        "neither (null) to leave the pruned student as it is",
    ),
    "learning rate without exponent": (
        "    learning_rate: 1e-4",
        "    learning_rate: 5",
        "small.yaml:27: distill.training.learning_rate is 5, expected below 0.1 "
        "(2e-5 to 5e-4 is usual)",
    ),
    "negative number": (
        "    epochs: 3",
        "    epochs: -3",
        "small.yaml:26: distill.training.epochs is -3, expected a number above 0",
    ),
    "infinite number": (
        "    epochs: 3",
        "    epochs: .inf",
        "small.yaml:26: distill.training.epochs is '.inf', expected a number",
    ),
    "splits beyond the data": (
        "  test: 0.2",
        "  test: 0.95",
        "small.yaml:8: data: validation and test take 1.05 of the examples, expected less than 0.9",
    ),
    "one label": (
        "labels: [negative, positive]",
        "labels: [negative]",
        "small.yaml:6: task.labels has 1 entries, expected two or more",
    ),
    "equal labels": (
        "labels: [negative, positive]",
        "labels: [good, good]",
        "small.yaml:6: task.labels names ['good'] more than once, expected distinct names",
    ),
    "no objective": (
        "    labels: {weight: 1.0}",
        "    {}",
        "small.yaml:31: prune.objectives is empty, expected at least one of soft_targets, logits, "
        "cosine, similarities, hidden, patient, embeddings, attention, relations, "
        "masked_tokens, labels",
    ),
    "layers out of order": (
        "    layers: 3",
        "    layers: [4, 2]",
        "small.yaml:21: distill.student.layers is [4, 2], expected distinct layer numbers in "
        "rising order",
    ),
    "no form of student": (
        "    layers: 3",
        "    layers: null",
        "small.yaml:21: distill.student.layers is missing, expected how many layers the student "
        "has, or which (or a bilstm section)",
    ),
    "text in a list of layers": (
        "    layers: 3",
        "    layers: [1, two]",
        "small.yaml:21: distill.student.layers[1] is 'two', expected an integer",
    ),
    "threshold with three labels": (
        "labels: [negative, positive]\n  max_length: 64\ndata:",
        "labels: [a, b, c]\n  max_length: 64\ndata:\n  label_threshold: 0.0",
        "small.yaml:9: data.label_threshold is 0, expected no threshold because task.labels has 3 "
        "entries, not two",
    ),
    "unsafe name": (
        "name: small",
        "name: ../small",
        "small.yaml:1: name is '../small', expected a folder name of letters, digits, '.', '_' and "
        "'-' (not 'stages')",
    ),
    "name of the cache": (
        "name: small",
        "name: stages",
        "small.yaml:1: name is 'stages', expected a folder name of letters, digits, '.', '_' and "
        "'-' (not 'stages')",
    ),
    "negative seed": (
        "seed: 3",
        "seed: -1",
        "small.yaml:3: seed is -1, expected an integer from 0 to 4294967295",
    ),
    "relations of heads that are pruned": (
        "    labels: {weight: 1.0}",
        "    labels: {weight: 1.0}\n    relations: {weight: 1.0}",
        "small.yaml:33: prune.objectives.relations is a section, expected none (null) where heads "
        "are pruned, because how many each layer keeps is not known before; use hidden",
    ),
    "layer map of another depth": (
        "    labels: {weight: 1.0}",
        "    hidden: {weight: 1.0, layers: [1, 3]}",
        "small.yaml:32: prune.objectives.hidden.layers is [1, 3], expected 3 teacher layers "
        "because distill.student has 3 layers",
    ),
    "patient layer map": (
        "    hidden: {weight: 0.5, positions: tokens}",
        "    patient: {weight: 0.5, layers: [1, 3, 5]}",
        "small.yaml:24: distill.objectives.patient.layers is [1, 3, 5], expected 2 teacher layers "
        "because distill.student has 3 layers and patient leaves out the last",
    ),
    "unknown layer map": (
        "    labels: {weight: 1.0}",
        "    hidden: {weight: 1.0, layers: unifrom}",
        "small.yaml:32: prune.objectives.hidden.layers is 'unifrom', expected one of 'uniform', "
        "'last' or a list of integers; did you mean 'uniform'?",
    ),
    "hidden tokens of a task's texts": (
        "    labels: {weight: 1.0}",
        "    labels: {weight: 1.0}\n    masked_tokens: {weight: 1.0}",
        "small.yaml:33: prune.objectives.masked_tokens is a section, expected none (null) outside "
        "general, where a task's texts are read whole",
    ),
    "negative layer": (
        "    labels: {weight: 1.0}",
        "    hidden: {weight: 1.0, layers: [0, -1, 2]}",
        "small.yaml:32: prune.objectives.hidden.layers is [0, -1, 2], expected teacher layers from "
        "0 on, one a student layer",
    ),
    "weight of zero": (
        "    labels: {weight: 1.0}",
        "    labels: {weight: 0}",
        "small.yaml:32: prune.objectives.labels.weight is 0, expected a number above 0",
    ),
    "schedule of one point": (
        "    labels: {weight: 1.0}",
        "    labels: {weight: [1.0]}",
        "small.yaml:32: prune.objectives.labels.weight is [1.0], expected one number, or two or "
        "more from 0 on, not all 0",
    ),
    "text in a schedule": (
        "    labels: {weight: 1.0}",
        "    labels: {weight: [0, high]}",
        "small.yaml:32: prune.objectives.labels.weight[1] is 'high', expected a number",
    ),
    "text for a weight": (
        "    labels: {weight: 1.0}",
        "    labels: {weight: high}",
        "small.yaml:32: prune.objectives.labels.weight is 'high', expected a number or a list of "
        "numbers",
    ),
    "objective without a teacher's layer": (
        "    hidden: {weight: 0.5, positions: tokens}",
        "    relations: {weight: 1.0, layer: first}",
        "small.yaml:24: distill.objectives.relations.layer is 'first', expected 'last' or an "
        "integer",
    ),
    "no relation heads": (
        "    hidden: {weight: 0.5, positions: tokens}",
        "    relations: {weight: 1.0, heads: 0}",
        "small.yaml:24: distill.objectives.relations.heads is 0, expected a number above 0",
    ),
    "unknown package": (
        "  model: hf:bert-base-uncased",
        "  model: pypi:all-MiniLM-L6",
        "small.yaml:14: teacher.model is 'pypi:all-MiniLM-L6', expected one of "
        "pypi:vader-movie-reviews, pypi:vader-amazon-reviews, pypi:vader-tweets, "
        "pypi:vader-nyt-editorials, npm:imdb-reviews, pypi:wnut-tweets, pypi:chinese-reviews, "
        "pypi:peoples-daily, pypi:home-assistant-intents, pypi:bbc-news, pypi:all-MiniLM-L6-v2, "
        "pypi:all-mpnet-base-v2, pypi:construction-faq-en, pypi:multilingual-e5-small "
        "(listed in sources.yaml); did you mean 'pypi:all-MiniLM-L6-v2'?",
    ),
    "package without a pin": (
        "  train: reviews.csv",
        "  train: {files: [{package: reviews, file: r.whl, sha256: abc}], inside: r.csv}",
        "small.yaml:9: data.train.files[0].package is 'reviews', expected a pinned "
        "`name==version` (Python) or `name@version` (npm)",
    ),
    "package with a typo": (
        "  train: reviews.csv",
        "  train: {filse: [{package: r==1, file: r.whl, sha256: '"
        + 64 * "0"
        + "'}], inside: r.csv}",
        "small.yaml:9: data.train.filse: unknown key, expected one of files, inside; did you mean "
        "'files'?",
    ),
    "key written twice": (
        "  heads: 0.25",
        "  heads: 0.25\n  heads: 0.5",
        "small.yaml:30: prune.heads: written twice, expected once (first in line 29)",
    ),
    "tab": (
        "  heads: 0.25",
        "\theads: 0.25",
        "small.yaml:29:1: found character a tab that cannot start any token, expected valid YAML; "
        "indent with spaces",
    ),
    "unclosed list": (
        "labels: [negative, positive]",
        "labels: [negative, positive",
        "small.yaml:7:13: expected ',' or ']', but got ':', expected valid YAML",
    ),
    "alias": (
        "  heads: 0.25",
        "  heads: &share 0.25\n  neuron_multiple: *share",
        "small.yaml:30:20: found an alias (*), which recipes do not have; write it out or use "
        "`extends`, expected valid YAML",
    ),
    "list of parents": (
        "seed: 3",
        "extends: [a, b]",
        "small.yaml:3: extends is ['a', 'b'], expected one recipe's name or path",
    ),
    "unknown parent": (
        "seed: 3",
        "extends: quickstrat",
        "small.yaml:3: extends: quickstrat: no shipped recipe, expected one of "
        "chinese_entities, chinese_sentiment, entities_tweets, faq_retrieval, headlines, "
        "help_translation, home_intents, home_slots, masked_words, news_topics, questions, "
        "quickstart, rating, sentiment_base, sentiment_bilstm, sentiment_extreme, "
        "sentiment_pruned, sentiment_reviews, sst2_hub or the path of a .yaml file; did you mean "
        "'quickstart'?",
    ),
}


# (form of the student, overrides, the whole message)
PLANTED_BESIDE_AN_LSTM = {
    "factors of a table that is narrow anyway": (
        "    bilstm: {}\n    embedding_rank: 8",
        ["prune=null", "distill.objectives.hidden=null"],
        "small.yaml:22: distill.student.embedding_rank is 8, expected none (null) beside bilstm, "
        "whose widths stand in its own section",
    ),
    "two forms of student": (
        "    layers: 3\n    bilstm: {}",
        ["prune=null", "distill.objectives.hidden=null"],
        "small.yaml:21: distill.student.layers is 3, expected none (null) beside bilstm, whose "
        "widths stand in its own section",
    ),
    "percent": (
        "    bilstm: {dropout: 20}",
        ["prune=null", "distill.objectives.hidden=null"],
        "small.yaml:21: distill.student.bilstm.dropout is 20, expected a fraction from 0 up to, "
        "not including, 1; did you mean 0.2?",
    ),
    "hidden states": (
        "    bilstm: {}",
        ["prune=null"],
        "small.yaml:24: distill.objectives.hidden is a section, expected none (null) with "
        "student.bilstm, which has no layers that match the teacher's",
    ),
    "pruning": (
        "    bilstm: {}",
        ["distill.objectives.hidden=null"],
        "small.yaml:28: prune is a section, expected none (null) with distill.student.bilstm, "
        "which has no heads and no feed-forward neurons",
    ),
}


GENERAL = """\
general:
  texts: [{source: plain.txt, format: text}]
  student: {layers: 3}
  objectives:
    hidden: {weight: 1.0}
  training: {epochs: 1, learning_rate: 1e-4}
quantize:
"""

# (what is replaced in the recipe with a general section, by what, the whole message)
PLANTED_IN_GENERAL = {
    "no texts": (
        "texts: [{source: plain.txt, format: text}]",
        "texts: []",
        "small.yaml:37: general.texts is empty, expected at least one table of plain texts",
    ),
    "texts that are no tables": (
        "texts: [{source: plain.txt, format: text}]",
        "texts: plain.txt",
        "small.yaml:37: general.texts is 'plain.txt', expected a list",
    ),
    "percent of texts": (
        "  student: {layers: 3}",
        "  student: {layers: 3}\n  validation: 5",
        "small.yaml:39: general.validation is 5, expected a fraction from 0 up to, not including, "
        "1; did you mean 0.05?",
    ),
    "no text to choose by": (
        "  student: {layers: 3}",
        "  student: {layers: 3}\n  validation: 0.0",
        "small.yaml:39: general.validation is 0, expected a fraction from 0 up to, not including, "
        "1",
    ),
    "a BiLSTM": (
        "  student: {layers: 3}",
        "  student: {bilstm: {}}",
        "small.yaml:38: general.student.bilstm is a section, expected none (null) in general, "
        "because a BiLSTM has no layers that match the teacher's",
    ),
    "word factors": (
        "  student: {layers: 3}",
        "  student: {layers: 3, embedding_rank: 8}",
        "small.yaml:38: general.student.embedding_rank is 8, expected none (null) in general, "
        "which leaves a checkpoint that transformers loads; set distill.student.embedding_rank",
    ),
    "a checkpoint that starts from itself": (
        "  student: {layers: 3}",
        "  student: {layers: 3, init: general}",
        "small.yaml:38: general.student.init is 'general', expected 'teacher', 'fresh' or a source "
        "in general, which makes that checkpoint",
    ),
    "answers to a task": (
        "    hidden: {weight: 1.0}\n  training: {epochs: 1",
        "    hidden: {weight: 1.0}\n    soft_targets: {weight: 1.0}\n  training: {epochs: 1",
        "small.yaml:41: general.objectives.soft_targets is a section, expected none (null) in "
        "general, where there are no labels and no answers to a task; use objectives on states "
        "such as hidden or relations",
    ),
    "labels": (
        "    hidden: {weight: 1.0}\n  training: {epochs: 1",
        "    hidden: {weight: 1.0}\n    labels: {weight: 1.0}\n  training: {epochs: 1",
        "small.yaml:41: general.objectives.labels is a section, expected none (null) in general, "
        "where there are no labels and no answers to a task; use objectives on states such as "
        "hidden or relations",
    ),
    "a loss that moves by itself": (
        "    hidden: {weight: 1.0}\n  training: {epochs: 1",
        "    hidden: {weight: [1.0, 0.0]}\n  training: {epochs: 1",
        "small.yaml:40: general.objectives.hidden.weight is [1.0, 0.0], expected one number in "
        "general, which compares losses of different steps to keep the best weights",
    ),
    "percent of tokens": (
        "    hidden: {weight: 1.0}\n  training: {epochs: 1",
        "    masked_tokens: {weight: 1.0, fraction: 15}\n  training: {epochs: 1",
        "small.yaml:40: general.objectives.masked_tokens.fraction is 15, expected a fraction from "
        "0 up to, not including, 1; did you mean 0.15?",
    ),
    "tokens that are to be wrong": (
        "    hidden: {weight: 1.0}\n  training: {epochs: 1",
        "    masked_tokens: {weight: 1.0, labels: -1.0}\n  training: {epochs: 1",
        "small.yaml:40: general.objectives.masked_tokens.labels is -1, expected a factor from 0 on",
    ),
    "layer map of another depth": (
        "    hidden: {weight: 1.0}\n  training: {epochs: 1",
        "    hidden: {weight: 1.0, layers: [1, 5]}\n  training: {epochs: 1",
        "small.yaml:40: general.objectives.hidden.layers is [1, 5], expected 3 teacher layers "
        "because general.student has 3 layers",
    ),
    "a student that starts elsewhere": (
        "    init: general",
        "    init: teacher",
        "small.yaml:36: general is a section, expected none (null) unless distill.student.init is "
        "'general', which starts from it",
    ),
    "more layers than there are": (
        "    layers: 3\n",
        "    layers: [0, 3]\n",
        "small.yaml:21: distill.student.layers is [0, 3], expected layers of general.student, "
        "which has 3",
    ),
    "typo": (
        "  texts: [{source",
        "  texts: [{sauce",
        "small.yaml:37: general.texts[0].sauce: unknown key, expected one of source, text, format, "
        "encoding, sentences, max_texts; did you mean 'source'?",
    ),
}
