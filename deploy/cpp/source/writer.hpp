// What writes the texts that a batch asks for: a model in a language.
#pragma once

#include <memory>
#include <vector>

#include "bundle.hpp"
#include "language.hpp"
#include "steps.hpp"
#include "task.hpp"

namespace pocketbert {

class Writer {
 public:
  // Of a verified bundle; `beams` other than 0 stands for what that says.
  Writer(const Bundle& bundle, const Target& target, int threads, int beams);

  // Of each row what is written, as tasks/translation.hpp lays it out.
  std::vector<Logits> write(const Batch& batch) const;

 private:
  Language language_;
  std::unique_ptr<const Steps> steps_;
};

}  // namespace pocketbert
