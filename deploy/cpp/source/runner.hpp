// What computes logits: one file a runtime in runners/, and one line in runners.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
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

// A way to run targets of verified bundles.
struct Runtime {
  std::unique_ptr<Runner> (*open)(const Bundle& bundle, const Target& target, int threads);

  // Why a target cannot be opened on this machine; nullopt if it can.
  std::optional<std::string> (*why_not)(const Bundle& bundle, const Target& target);
};

// One of those that a manifest may name.
const Runtime& runtime_named(const std::string& name);

std::unique_ptr<Runner> open_onnxruntime(const Bundle& bundle, const Target& target, int threads);

// Not there in a library that is built without TensorRT.
std::unique_ptr<Runner> open_tensorrt(const Bundle& bundle, const Target& target, int threads);
std::optional<std::string> why_no_tensorrt(const Bundle& bundle, const Target& target);

}  // namespace pocketbert
