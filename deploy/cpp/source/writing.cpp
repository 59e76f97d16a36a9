#include "writing.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

#include "hypotheses.hpp"
#include "log_softmax.hpp"
#include "pocketbert.hpp"

namespace pocketbert {
namespace {

// Of each row the log-probabilities of its next token.
std::vector<std::vector<double>> next_chances(const Steps& steps, Beginnings& now,
                                              std::size_t vocabulary) {
  const std::vector<float> logits = steps.step(now);
  if (logits.size() != now.rows * vocabulary) {
    throw Error("the decoder gives " + std::to_string(logits.size()) + " logits for " +
                std::to_string(now.rows) + " texts, expected " + std::to_string(vocabulary) +
                " for each, one a token; build the bundle again");
  }
  std::vector<std::vector<double>> chances;
  for (std::size_t row = 0; row < now.rows; ++row) {
    chances.push_back(log_softmax(logits, row, vocabulary));
  }
  return chances;
}

std::vector<Written> take_the_likeliest(const Steps& steps, Beginnings now,
                                        const Language& language) {
  std::vector<Written> texts(now.rows);
  std::vector<std::size_t> going(now.rows);  // those that have not ended; others are not computed
  std::iota(going.begin(), going.end(), std::size_t{0});
  while (!going.empty() && now.written < language.max_tokens) {
    const auto chances = next_chances(steps, now, language.tokenizer.size());
    std::vector<std::size_t> staying;
    std::vector<std::size_t> texts_of_staying;
    for (std::size_t row = 0; row < now.rows; ++row) {
      const auto best = std::max_element(chances[row].begin(), chances[row].end());
      now.last[row] = best - chances[row].begin();
      Written& text = texts[going[row]];
      text.ids.push_back(now.last[row]);
      text.score += *best;
      if (now.last[row] == language.tokenizer.end_id()) continue;
      staying.push_back(row);
      texts_of_staying.push_back(going[row]);
    }
    if (!staying.empty() && staying.size() < now.rows) now.keep(staying);
    going = texts_of_staying;
  }
  for (Written& text : texts) text.score /= static_cast<double>(text.ids.size());
  return texts;
}

std::vector<Written> follow_several(const Steps& steps, Beginnings now, const Language& language) {
  const std::size_t beams = language.beams;
  std::vector<Hypotheses> texts(now.rows, Hypotheses(beams, language.tokenizer.end_id()));
  std::vector<std::size_t> repeated;
  for (std::size_t row = 0; row < now.rows; ++row) repeated.insert(repeated.end(), beams, row);
  now.keep(repeated);
  while (now.written < language.max_tokens) {
    const auto chances = next_chances(steps, now, language.tokenizer.size());
    std::vector<std::size_t> rows;  // that the beginnings go on from
    std::vector<std::int64_t> last;
    bool all_done = true;
    for (std::size_t text = 0; text < texts.size(); ++text) {
      const std::size_t first = text * beams;
      for (const std::size_t row : texts[text].follow(&chances[first], now.written)) {
        rows.push_back(first + row);
      }
      for (const std::int64_t token : texts[text].last()) last.push_back(token);
      all_done = all_done && texts[text].done();
    }
    if (all_done) break;
    now.keep_cache(rows);
    now.last = last;
  }
  std::vector<Written> best;
  for (const Hypotheses& text : texts) best.push_back(text.best());
  return best;
}

}  // namespace

std::vector<Written> write(const Steps& steps, const Batch& batch, const Language& language) {
  Beginnings start{batch.rows, batch.length, batch.attention_mask, steps.read(batch),
                         std::vector<std::int64_t>(batch.rows, language.tokenizer.start_id())};
  const auto search = language.beams == 1 ? take_the_likeliest : follow_several;
  return search(steps, std::move(start), language);
}

}  // namespace pocketbert
