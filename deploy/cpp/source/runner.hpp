// What computes logits: one file a runtime in runners/, and one line in runners.cpp.
#pragma once

#include <memory>
#include <vector>

#include "batch.hpp"
#include "bundle.hpp"

namespace pocketbert {

class Runner {
 public:
  Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  virtual ~Runner() = default;

  // Logits, row by row: (rows, labels), or (rows, length, labels) where every token is answered. May
  // be called from several threads at once.
  virtual std::vector<float> run(const Batch& batch) const = 0;
};

// Opens a target of a verified bundle.
using OpenTarget = std::unique_ptr<Runner> (*)(const Bundle& bundle, const Target& target,
                                               int threads);

// How a runtime opens targets; nullptr if this library was built without it.
OpenTarget runtime_named(const std::string& name);

std::unique_ptr<Runner> open_onnxruntime(const Bundle& bundle, const Target& target, int threads);

}  // namespace pocketbert
