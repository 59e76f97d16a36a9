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

// The larger one; a NaN stays.
double larger(double so_far, double next) { return next <= so_far ? so_far : next; }

// A text, or a list of two.
Text text_in(const JsonValue& value) {
  if (!value.is_list()) return value.text();
  const std::vector<std::string> both = value.texts();
  if (both.size() != 2) value.refuse("no text and no pair");
  return {both[0], both[1]};
}

std::vector<float> numbers_in(const JsonValue& list) {
  std::vector<float> numbers;
  for (const JsonValue& item : list.items()) {
    if (item.is_list()) {  // of every word
      for (const JsonValue& number : item.items()) {
        numbers.push_back(static_cast<float>(number.number()));
      }
    } else {
      numbers.push_back(static_cast<float>(item.number()));
    }
  }
  return numbers;
}

// The largest difference of a number; infinite where there are other words.
double largest_difference(const std::vector<float>& ours, const std::vector<float>& theirs) {
  if (ours.size() != theirs.size()) return std::numeric_limits<double>::infinity();
  double difference = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    difference = larger(difference, std::fabs(ours[i] - theirs[i]));
  }
  return difference;
}

void check_same_size(const JsonValue& list, std::size_t expected) {
  if (list.items().size() != expected) list.refuse("not one for every text");
}

}  // namespace

SelftestResult selftest(const std::filesystem::path& folder, const std::string& target) {
  const Bundle bundle = read_bundle(folder);
  const std::string chosen = choose_target(bundle, target).target.name;
  const auto engine = Engine::Parts::open(bundle, {chosen, 0});
  const JsonValue golden =
      JsonValue::read(folder / kGoldenFile, "golden texts, tokens and logits of every target",
                      "build the bundle again");
  const std::vector<JsonValue> texts = golden.at("texts").items();
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
    const Computed computed = engine->compute({text_in(texts[i])}, 1)[0];
    if (computed.reading.rows[0].ids != ids_in(expected_ids[i])) ++result.texts_with_other_tokens;
    result.max_abs_difference =
        larger(result.max_abs_difference,
               largest_difference(computed.logits.values, numbers_in(expected_logits[i])));
  }
  result.passed =
      result.texts_with_other_tokens == 0 && result.max_abs_difference <= result.tolerance;
  return result;
}

}  // namespace pocketbert
