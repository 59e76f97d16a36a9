// The part of a context that answers a question: the tokens with the largest sum of start and end
// logits, or none. A text has a row of logits for "no answer" and one for every token.

#include <algorithm>
#include <cstddef>
#include <utility>

#include "context_windows.hpp"
#include "softmax.hpp"
#include "task.hpp"
#include "tokens.hpp"
#include "utf8.hpp"
#include "whitespace.hpp"

namespace pocketbert {
namespace {

constexpr std::size_t kCandidates = 5;
constexpr std::size_t kLongestAnswer = 30;  // tokens, as in BERT's run_squad.py

struct TokenSpan {
  std::size_t first;
  std::size_t last;
  double score;  // sum of the logits that it begins and ends there
};

// The spans with the largest sums, the best first.
std::vector<TokenSpan> best_spans(const Logits& logits, std::size_t count) {
  std::vector<TokenSpan> spans;
  const std::size_t tokens = logits.rows() - 1;
  const auto at = [&](std::size_t token, std::size_t column) {
    return double{logits.values[(1 + token) * logits.columns + column]};
  };
  for (std::size_t first = 0; first < tokens; ++first) {
    for (std::size_t last = first; last < std::min(tokens, first + kLongestAnswer); ++last) {
      spans.push_back({first, last, at(first, 0) + at(last, 1)});
    }
  }
  count = std::min(count, spans.size());
  const auto middle = spans.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(spans.begin(), middle, spans.end(), [](const auto& a, const auto& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::pair(a.first, a.last) < std::pair(b.first, b.last);
  });
  spans.resize(count);
  return spans;
}

void check_not_blank(const std::string& text, const char* name) {
  if (!stripped(text).empty()) return;
  throw Error(std::string("the ") + name +
              " is empty, expected a question and the text that it is about");
}

std::vector<std::int64_t> ids_of(const std::vector<Token>& tokens) {
  std::vector<std::int64_t> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

float sum_of(const std::vector<float>& both) { return both[0] + both[1]; }

class QuestionAnswering : public Task {
 public:
  explicit QuestionAnswering(const Manifest& manifest) : Task(manifest) {
    if (labels_.size() != 2 || !manifest.pairs) {
      throw Error("the manifest has " + std::to_string(labels_.size()) +
                  " labels, expected 'start' and 'end' on pairs of texts; build the bundle again");
    }
  }

  bool per_word() const override { return true; }

  Reading read(const Tokenizer::Parts& tokenizer, const Text& text) const override {
    const std::string question = utf8::replace_invalid(text.first);
    Reading reading;
    reading.text = utf8::replace_invalid(text.second.value());
    check_not_blank(question, "question");
    check_not_blank(reading.text, "context");
    const std::vector<Token> context = tokens_of(tokenizer, reading.text);
    std::vector<Window> windows =
        windows_of(tokenizer, ids_of(tokens_of(tokenizer, question)), ids_of(context));
    for (std::size_t token = 0; token < context.size(); ++token) {
      const auto best = std::max_element(
          windows.begin(), windows.end(), [&](const Window& a, const Window& b) {
            return room_around(a, token) < room_around(b, token);
          });
      reading.words.push_back({static_cast<std::size_t>(best - windows.begin()),
                               best->position + token - best->first, context[token].bytes});
    }
    for (Window& window : windows) reading.rows.push_back(std::move(window.encoding));
    return reading;
  }

  // "No answer" counts as in the window where it is least likely: one answer is enough.
  Logits gather(const std::vector<Logits>& found, const Reading& reading) const override {
    const auto silent =
        std::min_element(found.begin(), found.end(), [](const Logits& a, const Logits& b) {
          return sum_of(a.row(0)) < sum_of(b.row(0));
        });
    Logits logits{labels_.size(), silent->row(0)};
    const Logits of_words = rows_of_words(found, reading.words, labels_.size());
    logits.values.insert(logits.values.end(), of_words.values.begin(), of_words.values.end());
    return logits;
  }

  AnyAnswer answer(const Logits& logits, const Reading& reading) const override {
    const std::vector<float> starts = softmax(column(logits, 0));
    const std::vector<float> ends = softmax(column(logits, 1));
    const std::vector<TokenSpan> best = best_spans(logits, kCandidates);
    Answer answer{{"", 0, 0, 0, 0}, starts[0] * ends[0], false, {}};
    for (const TokenSpan& span : best) {
      const ByteRange bytes{reading.words[span.first].bytes.start,
                            reading.words[span.last].bytes.end};
      answer.candidates.push_back(
          {span_of(reading.text, bytes), starts[1 + span.first] * ends[1 + span.last]});
    }
    if (best.empty() || lead_of_silence(logits) > best[0].score) return answer;
    answer.span = answer.candidates[0].span;
    answer.score = answer.candidates[0].score;
    answer.answerable = true;
    return answer;
  }

 private:
  static std::vector<float> column(const Logits& logits, std::size_t number) {
    std::vector<float> values;
    for (std::size_t row = 0; row < logits.rows(); ++row) {
      values.push_back(logits.values[row * logits.columns + number]);
    }
    return values;
  }

  // The logits of "no answer" less its thresholds.
  double lead_of_silence(const Logits& logits) const {
    return double{sum_of({logits.values[0] - thresholds_[0], logits.values[1] - thresholds_[1]})};
  }
};

}  // namespace

std::unique_ptr<const Task> make_question_answering(const Manifest& manifest) {
  return std::make_unique<QuestionAnswering>(manifest);
}

}  // namespace pocketbert
