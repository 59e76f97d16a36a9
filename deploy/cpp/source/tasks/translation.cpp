#include "translation.hpp"

#include <cstddef>

#include "tokenizer.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

class Translations : public Task {
 public:
  explicit Translations(const Manifest& manifest) : Task(manifest, /*named=*/false) {
    if (manifest.pairs || truncation_.keep == Truncation::Keep::windows) {
      throw Error("the manifest reads pairs or windows, expected single texts and their head where "
                  "the task is 'translation'; build the bundle again");
    }
  }

  bool generates() const override { return true; }

  AnyAnswer answer(const Logits& logits, const Reading&) const override {
    Translation found{"", logits.values[0]};
    for (std::size_t i = 1; i < logits.values.size(); ++i) {
      utf8::append(static_cast<char32_t>(logits.values[i]), found.text);
    }
    return found;
  }
};

}  // namespace

Logits as_numbers(const std::string& text, double score) {
  Logits numbers{1, {static_cast<float>(score)}};
  for (std::size_t position = 0; position < text.size();) {
    numbers.values.push_back(static_cast<float>(utf8::next(text, position)));
  }
  return numbers;
}

std::unique_ptr<const Task> make_translations(const Manifest& manifest) {
  return std::make_unique<Translations>(manifest);
}

}  // namespace pocketbert
