// From texts to logits, whatever the task.

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "engine.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

std::size_t characters_of(const Text& text) {
  return utf8::count(text.first) + (text.second ? utf8::count(*text.second) : 0);
}

void check_pair(const Text& text, bool pairs) {
  if (text.second.has_value() == pairs) return;
  throw Error(std::string("a text is ") + (pairs ? "one" : "two") + ", expected " +
              (pairs ? "two, which are read together" : "one") + "; the bundle says so");
}

}  // namespace

void check_count(std::size_t logits, std::size_t texts, std::size_t expected_each) {
  if (logits == texts * expected_each) return;
  throw Error("the model gives " + std::to_string(logits) + " logits for " +
              std::to_string(texts) + " texts, expected " + std::to_string(expected_each) +
              " for each; build the bundle again");
}

std::vector<Computed> Engine::Parts::compute(const std::vector<Text>& texts,
                                             std::size_t batch_size) const {
  if (batch_size == 0) throw Error("batch_size is 0, expected 1 or more");
  for (const Text& text : texts) check_pair(text, pairs);
  std::vector<std::size_t> order(texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (batch_size > 1) {  // neighbours in length waste the least on padding
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return characters_of(texts[a]) < characters_of(texts[b]);
    });
  }
  std::vector<Computed> computed(texts.size());
  for (std::size_t start = 0; start < order.size(); start += batch_size) {
    const std::size_t end = std::min(start + batch_size, order.size());
    std::vector<Encoding> rows;
    for (std::size_t i = start; i < end; ++i) {
      Reading& reading = computed[order[i]].reading;
      reading = task->read(tokenizer.parts(), texts[order[i]]);
      rows.insert(rows.end(), reading.rows.begin(), reading.rows.end());
    }
    const std::vector<Logits> found = run(rows, batch_size);
    auto next = found.begin();
    for (std::size_t i = start; i < end; ++i) {
      Computed& of_text = computed[order[i]];
      const auto first = next;
      next += static_cast<std::ptrdiff_t>(of_text.reading.rows.size());
      of_text.logits = task->gather({first, next}, of_text.reading);
    }
  }
  return computed;
}

// Of each row its logits, or one row of them for each of its tokens.
std::vector<Logits> Engine::Parts::run(const std::vector<Encoding>& rows,
                                       std::size_t batch_size) const {
  std::vector<Logits> found;
  for (std::size_t start = 0; start < rows.size(); start += batch_size) {
    const std::size_t size = std::min(batch_size, rows.size() - start);
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(start);
    const Batch batch = padded({first, first + static_cast<std::ptrdiff_t>(size)},
                               tokenizer.pad_id());
    if (writer) {
      std::vector<Logits> texts = writer->write(batch);
      std::move(texts.begin(), texts.end(), std::back_inserter(found));
      continue;
    }
    const std::vector<float> values = runner->run(batch);
    const std::size_t places = task->per_word() ? batch.length : 1;
    const std::size_t columns = labels.empty() ? values.size() / (size * places) : labels.size();
    check_count(values.size(), size, places * columns);
    for (std::size_t row = 0; row < size; ++row) {
      const std::size_t taken = task->per_word() ? rows[start + row].ids.size() : 1;
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * places * columns);
      found.push_back({columns, {begin, begin + static_cast<std::ptrdiff_t>(taken * columns)}});
    }
  }
  return found;
}

}  // namespace pocketbert
