#include "pooling.hpp"

#include <algorithm>

namespace pocketbert {

std::vector<float> pooled(const std::vector<float>& logits, const std::vector<std::size_t>& ends,
                          std::size_t labels, Truncation::Pooling pooling) {
  std::vector<float> answers;
  std::size_t start = 0;
  for (std::size_t end : ends) {
    for (std::size_t label = 0; label < labels; ++label) {
      float pool = logits[start * labels + label];
      for (std::size_t row = start + 1; row < end; ++row) {
        const float next = logits[row * labels + label];
        pool = pooling == Truncation::Pooling::max ? std::max(pool, next) : pool + next;
      }
      const auto count = static_cast<float>(end - start);
      answers.push_back(pooling == Truncation::Pooling::mean ? pool / count : pool);
    }
    start = end;
  }
  return answers;
}

}  // namespace pocketbert
