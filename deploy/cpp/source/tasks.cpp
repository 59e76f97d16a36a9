#include <map>
#include <string>

#include "pooling.hpp"
#include "task.hpp"
#include "tokenizer.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

using Make = std::unique_ptr<const Task> (*)(const Manifest&);

const std::map<std::string, Make> kTasks = {
    {"multi-label-classification", make_multi_label_classification},
    {"question-answering", make_question_answering},
    {"sentence-similarity", make_embeddings},
    {"text-classification", make_text_classification},
    {"text-regression", make_text_regression},
    {"text-retrieval", make_embeddings},
    {"token-classification", make_token_classification},
    {"translation", make_translations},
};

}  // namespace

std::string known_tasks() {
  std::string names;
  for (const auto& [name, make] : kTasks) names += (names.empty() ? "" : ", ") + name;
  return names;
}

bool is_known_task(const std::string& name) { return kTasks.count(name) > 0; }

std::unique_ptr<const Task> make_task(const Manifest& manifest) {
  return kTasks.at(manifest.task)(manifest);
}

Task::Task(const Manifest& manifest, bool named)
    : labels_(manifest.labels), thresholds_(manifest.thresholds), truncation_(manifest.truncation) {
  if (named && labels_.empty()) {
    throw Error("the manifest has no labels, expected some where the task is '" + manifest.task +
                "'; build the bundle again");
  }
  if (thresholds_.empty()) thresholds_.resize(labels_.size(), 0);  // a probability of one half
  if (thresholds_.size() != labels_.size()) {
    throw Error("the manifest has " + std::to_string(thresholds_.size()) + " thresholds, expected " +
                std::to_string(labels_.size()) + ", one for each label; build the bundle again");
  }
}

Reading Task::read(const Tokenizer::Parts& tokenizer, const Text& text) const {
  if (!text.second) return {tokenizer.windows(text.first), {}, {}};
  const std::string_view second = *text.second;
  return {{tokenizer.encode(text.first, &second)}, {}, {}};
}

Logits Task::gather(const std::vector<Logits>& found, const Reading&) const {
  if (found.size() == 1) return found[0];
  Logits windows{found[0].columns, {}};
  for (const Logits& window : found) {
    windows.values.insert(windows.values.end(), window.values.begin(), window.values.end());
  }
  return {windows.columns,
          pooled(windows.values, {found.size()}, windows.columns, truncation_.window_pooling)};
}

Logits rows_of_words(const std::vector<Logits>& found, const std::vector<Word>& words,
                     std::size_t columns) {
  Logits chosen{columns, {}};
  for (const Word& word : words) {
    const std::vector<float> row = found[word.row].row(word.position);
    chosen.values.insert(chosen.values.end(), row.begin(), row.end());
  }
  return chosen;
}

Span span_of(const std::string& text, ByteRange bytes) {
  const std::string_view whole = text;
  const std::string_view part = whole.substr(bytes.start, bytes.end - bytes.start);
  const std::size_t start = utf8::count(whole.substr(0, bytes.start));
  return {std::string(part), start, start + utf8::count(part), bytes.start, bytes.end};
}

}  // namespace pocketbert
