#include "text_classification.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "softmax.hpp"
#include "task.hpp"

namespace pocketbert {
namespace {

class TextClassification : public Task {
 public:
  using Task::Task;

  AnyAnswer answer(const Logits& logits, const Reading&) const override {
    return classification(logits.values, labels_);
  }
};

}  // namespace

Classification classification(const std::vector<float>& logits,
                              const std::vector<std::string>& labels) {
  std::vector<float> probabilities = softmax(logits);
  const auto best = std::max_element(probabilities.begin(), probabilities.end());
  const auto index = static_cast<std::size_t>(best - probabilities.begin());
  return {labels[index], *best, std::move(probabilities)};
}

std::unique_ptr<const Task> make_text_classification(const Manifest& manifest) {
  return std::make_unique<TextClassification>(manifest);
}

}  // namespace pocketbert
