// What computes logits: one file a runtime in runners/, and one line in runners.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bundle.hpp"

namespace pocketbert {

// Texts as a model reads them, each row padded to the longest; all three are (rows, length).
struct Batch {
  std::size_t rows;
  std::size_t length;
  std::vector<std::int64_t> input_ids;
  std::vector<std::int64_t> attention_mask;
  std::vector<std::int64_t> token_type_ids;
};

class Runner {
 public:
  Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  virtual ~Runner() = default;

  // Logits (rows, labels), row by row. May be called from several threads at once.
  virtual std::vector<float> run(const Batch& batch) const = 0;
};

// Opens a target of a verified bundle.
using OpenTarget = std::unique_ptr<Runner> (*)(const Bundle& bundle, const Target& target,
                                               int threads);

// How a runtime opens targets; nullptr if this library was built without it.
OpenTarget runtime_named(const std::string& name);

std::unique_ptr<Runner> open_onnxruntime(const Bundle& bundle, const Target& target, int threads);

}  // namespace pocketbert
