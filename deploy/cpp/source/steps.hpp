// Both halves of a model that writes texts, an encoder and a decoder with a cache: one file a
// runtime in runners/, and one line in steps.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "batch.hpp"
#include "bundle.hpp"

namespace pocketbert {

// What a step goes on from: texts that are read, a row each, and the beginnings of their answers.
struct Beginnings {
  std::size_t rows;
  std::size_t length;              // tokens of a text that is read
  std::vector<std::int64_t> mask;  // 1 for each of them, 0 for padding: (rows, length)
  std::vector<float> read;         // their keys and values, as Steps::read gives them
  std::vector<std::int64_t> last;  // token of each beginning
  std::size_t written = 0;         // tokens in the cache
  std::vector<float> cache{};      // their keys and values: (rows, layers, 2, heads, written, size)

  // Goes on with some rows, in this order; a row may be taken several times.
  void keep(const std::vector<std::size_t>& chosen);

  // The same for the cache alone, where the rows still read the same texts.
  void keep_cache(const std::vector<std::size_t>& chosen);
};

class Steps {
 public:
  Steps() = default;
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;
  virtual ~Steps() = default;

  // Keys and values of texts that are read: (rows, layers, 2, heads, length, size). May be called
  // from several threads at once, as may be `step`.
  virtual std::vector<float> read(const Batch& batch) const = 0;

  // Logits of the next token, (rows, vocabulary); the cache becomes one token longer.
  virtual std::vector<float> step(Beginnings& beginnings) const = 0;
};

// Opens a target of a verified bundle.
using OpenSteps = std::unique_ptr<const Steps> (*)(const Bundle& bundle, const Target& target,
                                                   int threads);

// How a runtime opens targets that write; nullptr if it cannot, or this library was built without it.
OpenSteps steps_named(const std::string& runtime);

std::unique_ptr<const Steps> open_onnxruntime_steps(const Bundle& bundle, const Target& target,
                                                    int threads);

}  // namespace pocketbert
