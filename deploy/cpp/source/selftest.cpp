// Replays on the device what the bundle computed when it was built.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "engine.hpp"
#include "json_value.hpp"
#include "targets.hpp"

namespace pocketbert {
namespace {

std::vector<std::int64_t> ids_in(const JsonValue& list) {
  std::vector<std::int64_t> ids;
  for (const JsonValue& id : list.items()) ids.push_back(id.integer(0, INT64_MAX));
  return ids;
}

void check_same_size(const JsonValue& list, std::size_t expected) {
  if (list.items().size() != expected) list.refuse("not one for every text");
}

// The larger one; a NaN stays.
double larger(double so_far, double next) { return next <= so_far ? so_far : next; }

}  // namespace

SelftestResult selftest(const std::filesystem::path& folder, const std::string& target) {
  const Bundle bundle = read_bundle(folder);
  const std::string chosen = choose_target(bundle.manifest.targets, target).target.name;
  const auto engine = Engine::Parts::open(bundle, {chosen, 0});
  const JsonValue golden =
      JsonValue::read(folder / kGoldenFile, "golden texts, tokens and logits of every target",
                      "build the bundle again");
  const std::vector<std::string> texts = golden.at("texts").texts();
  const JsonValue input_ids = golden.at("input_ids");
  // Format 1 had one target, whose answers stood at the top.
  const std::optional<JsonValue> targets = golden.find("targets");
  const JsonValue answers = targets ? targets->at(chosen) : golden;
  const JsonValue logits = answers.at("logits");
  check_same_size(input_ids, texts.size());
  check_same_size(logits, texts.size());

  SelftestResult result{};
  result.engine = engine->description;
  result.texts = texts.size();
  result.tolerance = answers.at("tolerance").number();
  const std::vector<JsonValue> expected_ids = input_ids.items();
  const std::vector<JsonValue> expected_logits = logits.items();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (engine->tokenizer.encode(texts[i]).ids != ids_in(expected_ids[i])) {
      ++result.texts_with_other_tokens;
    }
    const std::vector<float> row = engine->logits({texts[i]});
    const std::vector<JsonValue> expected = expected_logits[i].items();
    check_same_size(expected_logits[i], row.size());
    for (std::size_t label = 0; label < row.size(); ++label) {
      const auto stated = static_cast<float>(expected[label].number());
      result.max_abs_difference = larger(result.max_abs_difference, std::fabs(row[label] - stated));
    }
  }
  result.passed =
      result.texts_with_other_tokens == 0 && result.max_abs_difference <= result.tolerance;
  return result;
}

}  // namespace pocketbert
