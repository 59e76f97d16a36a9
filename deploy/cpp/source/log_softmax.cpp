#include "log_softmax.hpp"

#include <algorithm>
#include <cmath>

#include "pocketbert.hpp"

namespace pocketbert {

std::vector<double> log_softmax(const std::vector<float>& logits, std::size_t row,
                                std::size_t columns) {
  const auto first = logits.begin() + static_cast<std::ptrdiff_t>(row * columns);
  std::vector<double> chances(first, first + static_cast<std::ptrdiff_t>(columns));
  const double highest = *std::max_element(chances.begin(), chances.end());
  double sum = 0;
  for (double& chance : chances) {
    chance -= highest;
    sum += std::exp(chance);
  }
  if (!std::isfinite(sum)) {
    throw Error("the model gives NaN or infinity for a logit, expected numbers; build the bundle "
                "again");
  }
  const double log_sum = std::log(sum);
  for (double& chance : chances) chance -= log_sum;
  return chances;
}

}  // namespace pocketbert
