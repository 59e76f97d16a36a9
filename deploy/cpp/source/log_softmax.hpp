// Logarithms of probabilities from logits.
#pragma once

#include <cstddef>
#include <vector>

namespace pocketbert {

// Of one row of `columns` logits, at least one; refuses those that are no numbers.
std::vector<double> log_softmax(const std::vector<float>& logits, std::size_t row,
                                std::size_t columns);

}  // namespace pocketbert
