// Writes texts token by token; the Python side is deploy/writing.py.
#pragma once

#include <cstdint>
#include <vector>

#include "batch.hpp"
#include "language.hpp"
#include "steps.hpp"

namespace pocketbert {

// A text as a decoder wrote it.
struct Written {
  std::vector<std::int64_t> ids;  // the end is the last one, if it came
  double score;                   // mean log-probability of its tokens; 0 is certain
};

// Writes a text for each row of a batch.
std::vector<Written> write(const Steps& steps, const Batch& batch, const Language& language);

}  // namespace pocketbert
