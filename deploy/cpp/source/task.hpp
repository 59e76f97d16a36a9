// What a kind of task makes of logits: one file a kind in tasks/, and one line in tasks.cpp. The
// Python side is deploy/tasks/.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "aligned_text.hpp"
#include "manifest.hpp"
#include "pocketbert.hpp"

namespace pocketbert {

// Where in a text's inputs a word is answered, and what of the text it covers.
struct Word {
  std::size_t row;
  std::size_t position;  // of its first token in that row
  ByteRange bytes;
};

// A text as a model reads it.
struct Reading {
  std::vector<Encoding> rows;  // one, or one for each window
  std::vector<Word> words;     // what is answered, where that is not the text as a whole
  std::string text;            // that the words are of, valid UTF-8
};

// Rows of numbers, one behind the other.
struct Logits {
  std::size_t columns;
  std::vector<float> values;

  std::size_t rows() const { return columns == 0 ? 0 : values.size() / columns; }
  std::vector<float> row(std::size_t number) const {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(number * columns);
    return {first, first + static_cast<std::ptrdiff_t>(columns)};
  }
};

class Task {
 public:
  // `named`: logits have names, which `labels` gives.
  explicit Task(const Manifest& manifest, bool named = true);
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // A model answers for every token, not for the text.
  virtual bool per_word() const { return false; }

  // A model writes the answer token by token; what stands for logits is of its own size.
  virtual bool generates() const { return false; }

  virtual Reading read(const Tokenizer::Parts& tokenizer, const Text& text) const;

  // Makes those of a text of those of each of its inputs: a row, or a row for every token.
  virtual Logits gather(const std::vector<Logits>& found, const Reading& reading) const;

  virtual AnyAnswer answer(const Logits& logits, const Reading& reading) const = 0;

 protected:
  std::vector<std::string> labels_;
  std::vector<float> thresholds_;  // one for each label
  Truncation truncation_;
};

// The rows that words are answered by, in the order of the words.
Logits rows_of_words(const std::vector<Logits>& found, const std::vector<Word>& words,
                     std::size_t columns);

// A part of valid UTF-8.
Span span_of(const std::string& text, ByteRange bytes);

std::string known_tasks();
bool is_known_task(const std::string& name);
std::unique_ptr<const Task> make_task(const Manifest& manifest);

// One a kind; see tasks.cpp.
std::unique_ptr<const Task> make_embeddings(const Manifest& manifest);
std::unique_ptr<const Task> make_multi_label_classification(const Manifest& manifest);
std::unique_ptr<const Task> make_question_answering(const Manifest& manifest);
std::unique_ptr<const Task> make_text_classification(const Manifest& manifest);
std::unique_ptr<const Task> make_text_regression(const Manifest& manifest);
std::unique_ptr<const Task> make_token_classification(const Manifest& manifest);
std::unique_ptr<const Task> make_translations(const Manifest& manifest);

}  // namespace pocketbert
