// A number for a text, or for two: the logit.

#include "task.hpp"

namespace pocketbert {
namespace {

class TextRegression : public Task {
 public:
  using Task::Task;

  AnyAnswer answer(const Logits& logits, const Reading&) const override {
    return Number{logits.values[0]};
  }
};

}  // namespace

std::unique_ptr<const Task> make_text_regression(const Manifest& manifest) {
  return std::make_unique<TextRegression>(manifest);
}

}  // namespace pocketbert
