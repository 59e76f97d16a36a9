#include "manifest.hpp"

#include <cstdint>
#include <optional>

#include "pocketbert.hpp"
#include "task.hpp"

namespace pocketbert {
namespace {

constexpr std::int64_t kMany = INT64_MAX;
constexpr std::int64_t kMostThreads = 1024;

Target read_target(const JsonValue& target) {
  target.allow_only({"name", "runtime", "path", "isa", "precision", "float_precision", "threads",
                     "disabled_optimizers", "lengths", "bytes", "int8_matmuls",
                     "float_weight_matmuls"});
  for (const char* key : {"bytes", "int8_matmuls", "float_weight_matmuls"}) {
    target.at(key).integer(0, kMany);
  }
  if (const std::optional<JsonValue> format = target.find("float_precision")) {
    format->one_of({"float32", "bfloat16", "float16", "int8"});
  }
  if (const std::optional<JsonValue> lengths = target.find("lengths")) {
    for (const JsonValue& length : lengths->items()) length.integer(1, kMany);
  }
  Target read{};
  read.name = target.at("name").text();
  read.runtime = target.at("runtime").one_of({"onnxruntime", "openvino", "tensorrt"});
  read.path = target.at("path").text();
  read.isa = target.at("isa").one_of({"any", "x86_64", "x86_64_vnni", "arm64"});
  read.precision = target.at("precision").one_of({"float32", "bfloat16", "float16", "int8"});
  read.threads = static_cast<int>(target.at("threads").integer(0, kMostThreads));
  if (const std::optional<JsonValue> disabled = target.find("disabled_optimizers")) {
    read.disabled_optimizers = disabled->texts();
  }
  return read;
}

// Absent before format 3: the head is kept.
Truncation read_truncation(const JsonValue& manifest, std::size_t max_length) {
  const std::optional<JsonValue> said = manifest.find("truncation");
  if (!said) return {};
  said->allow_only({"keep", "window_overlap", "window_pooling"});
  const std::map<std::string, Truncation::Keep> keeps = {
      {"head", Truncation::Keep::head},
      {"tail", Truncation::Keep::tail},
      {"head+tail", Truncation::Keep::head_and_tail},
      {"windows", Truncation::Keep::windows},
      {"context", Truncation::Keep::context}};
  Truncation read{};
  if (const std::optional<JsonValue> keep = said->find("keep")) {
    read.keep = keep->choose(keeps);
  }
  if (const std::optional<JsonValue> overlap = said->find("window_overlap")) {
    const auto most = static_cast<std::int64_t>(max_length);
    read.window_overlap = static_cast<std::size_t>(overlap->integer(0, most));
  }
  if (const std::optional<JsonValue> pooling = said->find("window_pooling")) {
    const bool mean = pooling->one_of({"mean", "max"}) == "mean";
    read.window_pooling = mean ? Truncation::Pooling::mean : Truncation::Pooling::max;
  }
  return read;
}

// A kind from the future is named before any other key is looked at.
void check_task(const JsonValue& manifest, const std::string& name) {
  const std::string task = manifest.at("task").text();
  if (is_known_task(task)) return;
  throw Error(name + " is of the task '" + task + "', this pocketbert knows " + known_tasks() +
              "; update pocketbert on this machine");
}

// Fields that are for people and for later stages.
void check_the_rest(const JsonValue& manifest) {
  manifest.at("name").text();
  manifest.at("created").text();
  manifest.at("inputs").texts();
  manifest.at("outputs").texts();
  for (const JsonValue& count : manifest.at("length_histogram").items()) count.integer(0, kMany);
  for (const auto& [stage, fingerprint] : manifest.at("lineage").members()) fingerprint.text();
  for (const auto& [what, number] : manifest.at("measured").members()) number.number();
}

}  // namespace

Manifest parse_manifest(const std::string& text, const std::string& name) {
  const JsonValue manifest =
      JsonValue::parse(text, name, "a manifest of schema version " + std::to_string(kSchemaVersion),
                       "copy the bundle again or build it again");
  if (const std::optional<JsonValue> version = manifest.find("schema_version")) {
    if (version->integer(0, kMany) > kSchemaVersion) {
      throw Error(name + " has schema version " + std::to_string(version->integer(0, kMany)) +
                  ", this pocketbert reads up to " + std::to_string(kSchemaVersion) +
                  "; update pocketbert on this machine");
    }
  }
  check_task(manifest, name);
  manifest.allow_only({"schema_version", "name", "created", "task", "labels", "max_length",
                       "truncation", "pairs", "thresholds", "inputs", "outputs", "targets", "length_histogram", "lineage",
                       "measured", "sha256"});
  check_the_rest(manifest);
  Manifest read{};
  read.task = manifest.at("task").text();
  const std::optional<JsonValue> pairs = manifest.find("pairs");
  read.pairs = pairs && pairs->truth();
  if (const std::optional<JsonValue> thresholds = manifest.find("thresholds")) {
    for (const JsonValue& threshold : thresholds->items()) {
      read.thresholds.push_back(static_cast<float>(threshold.number()));
    }
  }
  read.labels = manifest.at("labels").texts();
  read.max_length = static_cast<std::size_t>(manifest.at("max_length").integer(1, kMaxLength));
  read.truncation = read_truncation(manifest, read.max_length);
  for (const JsonValue& target : manifest.at("targets").items()) {
    read.targets.push_back(read_target(target));
  }
  if (const std::optional<JsonValue> hashes = manifest.find("sha256")) {
    for (const auto& [path, hash] : hashes->members()) read.sha256.emplace(path, hash.text());
  }
  if (read.labels.size() > kMaxLabels) {
    manifest.at("labels").refuse("longer than " + std::to_string(kMaxLabels));
  }
  return read;
}

}  // namespace pocketbert
