#include "softmax.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pocketbert {

std::vector<float> softmax(const std::vector<float>& logits) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  std::vector<float> probabilities;
  probabilities.reserve(logits.size());
  for (float logit : logits) probabilities.push_back(std::exp(logit - highest));
  const float sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0F);
  for (float& probability : probabilities) probability /= sum;
  return probabilities;
}

}  // namespace pocketbert
