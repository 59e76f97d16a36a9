// What a text gets that is read in several windows.
#pragma once

#include <cstddef>
#include <vector>

#include "pocketbert.hpp"

namespace pocketbert {

// Makes one row of logits of those of a text's windows, whose rows end at `ends`.
std::vector<float> pooled(const std::vector<float>& logits, const std::vector<std::size_t>& ends,
                          std::size_t labels, Truncation::Pooling pooling);

}  // namespace pocketbert
