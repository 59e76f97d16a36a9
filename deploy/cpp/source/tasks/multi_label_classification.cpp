// Any number of labels a text: a sigmoid and a threshold for each.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "task.hpp"

namespace pocketbert {
namespace {

class MultiLabelClassification : public Task {
 public:
  using Task::Task;

  AnyAnswer answer(const Logits& logits, const Reading&) const override {
    const std::vector<float>& values = logits.values;
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
    Labels given;
    for (const std::size_t label : order) {
      if (values[label] >= thresholds_[label]) given.labels.push_back(labels_[label]);
    }
    for (const float logit : values) {
      given.probabilities.push_back(1 / (1 + std::exp(-logit)));
    }
    return given;
  }
};

}  // namespace

std::unique_ptr<const Task> make_multi_label_classification(const Manifest& manifest) {
  return std::make_unique<MultiLabelClassification>(manifest);
}

}  // namespace pocketbert
