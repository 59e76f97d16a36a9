// What the public Engine is made of.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bundle.hpp"
#include "pocketbert.hpp"
#include "runner.hpp"
#include "task.hpp"
#include "writer.hpp"

namespace pocketbert {

// What a model says of a text, and what it read of it.
struct Computed {
  Reading reading;
  Logits logits;
};

// Refuses a model that gives other than so many logits for each of some texts.
void check_count(std::size_t logits, std::size_t texts, std::size_t expected_each);

struct Engine::Parts {
  Tokenizer tokenizer;
  std::unique_ptr<Runner> runner;        // one of both, by the task
  std::unique_ptr<const Writer> writer;  // of texts
  std::unique_ptr<const Task> task;
  std::string kind;
  bool pairs;
  std::vector<std::string> labels;
  std::string description;
  std::vector<std::string> passed_over;

  // Of a bundle that is already verified.
  static std::shared_ptr<const Parts> open(const Bundle& bundle, const Options& options);

  // Of a text that is answered as a whole; what a single classification costs.
  std::vector<float> logits(std::string_view text) const;

  // Of texts of any kind, in their order; `batch_size` inputs go into one inference.
  std::vector<Computed> compute(const std::vector<Text>& texts, std::size_t batch_size) const;

 private:
  std::vector<Logits> run(const std::vector<Encoding>& rows, std::size_t batch_size) const;
};

}  // namespace pocketbert
