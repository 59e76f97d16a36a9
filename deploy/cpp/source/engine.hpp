// What the public Engine is made of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "pocketbert.hpp"
#include "runner.hpp"

namespace pocketbert {

struct Engine::Parts {
  Tokenizer tokenizer;
  std::unique_ptr<Runner> runner;
  std::vector<std::string> labels;
  std::string description;

  // Of a bundle that is already verified.
  static std::shared_ptr<const Parts> open(const Bundle& bundle, const Options& options);

  // Logits (rows, labels), row by row.
  std::vector<float> logits(const std::vector<std::string_view>& texts) const;
};

}  // namespace pocketbert
