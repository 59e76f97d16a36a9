#include <map>
#include <utility>
#include <vector>

#include "normalizer.hpp"

namespace pocketbert {
namespace {

// One after the other; none leaves the text as it is.
class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<std::unique_ptr<const Normalizer>> steps)
      : steps_(std::move(steps)) {}

  std::string operator()(std::string_view text) const override {
    std::string normalized(text);
    for (const auto& step : steps_) normalized = (*step)(normalized);
    return normalized;
  }

  void align(AlignedText& text) const override {
    for (const auto& step : steps_) step->align(text);
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> steps_;
};

std::unique_ptr<const Normalizer> read_sequence(const JsonValue& sequence) {
  std::vector<std::unique_ptr<const Normalizer>> steps;
  for (const JsonValue& step : sequence.at("normalizers").items()) {
    steps.push_back(read_normalizer(step));
  }
  return std::make_unique<NormalizerSequence>(std::move(steps));
}

using Read = std::unique_ptr<const Normalizer> (*)(const JsonValue&);

const std::map<std::string, Read> kNormalizers = {
    {"BertNormalizer", read_bert_normalizer},
    {"Precompiled", read_precompiled},
    {"Replace", read_replace},
    {"Sequence", read_sequence},
    {"Strip", read_strip},
};

}  // namespace

std::unique_ptr<const Normalizer> read_normalizer(const JsonValue& normalizer) {
  if (normalizer.is_null()) {
    return std::make_unique<NormalizerSequence>(std::vector<std::unique_ptr<const Normalizer>>());
  }
  return normalizer.at("type").choose(kNormalizers)(normalizer);
}

}  // namespace pocketbert
