// Probabilities from logits.
#pragma once

#include <vector>

namespace pocketbert {

// Of at least one.
std::vector<float> softmax(const std::vector<float>& logits);

}  // namespace pocketbert
