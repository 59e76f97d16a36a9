// One label a text.
#pragma once

#include <string>
#include <vector>

#include "pocketbert.hpp"

namespace pocketbert {

// The label with the largest logit; probabilities by softmax.
Classification classification(const std::vector<float>& logits,
                              const std::vector<std::string>& labels);

}  // namespace pocketbert
