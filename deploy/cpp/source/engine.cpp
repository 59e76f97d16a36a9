#include "engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <utility>

#include "targets.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

// Padded at the end to the longest text.
Batch padded(const std::vector<Encoding>& encodings, std::int64_t pad_id) {
  Batch batch{};
  batch.rows = encodings.size();
  for (const Encoding& encoding : encodings) {
    batch.length = std::max(batch.length, encoding.ids.size());
  }
  const std::size_t size = batch.rows * batch.length;
  batch.input_ids.reserve(size);
  batch.attention_mask.reserve(size);
  batch.token_type_ids.reserve(size);
  for (const Encoding& encoding : encodings) {
    const auto append = [](std::vector<std::int64_t>& column,
                           const std::vector<std::int64_t>& row) {
      column.insert(column.end(), row.begin(), row.end());
    };
    const std::size_t padding = batch.length - encoding.ids.size();
    append(batch.input_ids, encoding.ids);
    append(batch.token_type_ids, encoding.type_ids);
    batch.attention_mask.insert(batch.attention_mask.end(), encoding.ids.size(), 1);
    batch.input_ids.insert(batch.input_ids.end(), padding, pad_id);
    batch.token_type_ids.insert(batch.token_type_ids.end(), padding, 0);
    batch.attention_mask.insert(batch.attention_mask.end(), padding, 0);
  }
  return batch;
}

// Makes one row of logits of those of a text's windows, whose rows end at `ends`.
std::vector<float> pooled(const std::vector<float>& logits, const std::vector<std::size_t>& ends,
                          std::size_t labels, Truncation::Pooling pooling) {
  std::vector<float> answers;
  std::size_t start = 0;
  for (std::size_t end : ends) {
    for (std::size_t label = 0; label < labels; ++label) {
      float pool = logits[start * labels + label];
      for (std::size_t row = start + 1; row < end; ++row) {
        const float next = logits[row * labels + label];
        pool = pooling == Truncation::Pooling::max ? std::max(pool, next) : pool + next;
      }
      const auto count = static_cast<float>(end - start);
      answers.push_back(pooling == Truncation::Pooling::mean ? pool / count : pool);
    }
    start = end;
  }
  return answers;
}

std::vector<float> softmax(const std::vector<float>& logits) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  std::vector<float> probabilities;
  for (float logit : logits) probabilities.push_back(std::exp(logit - highest));
  const float sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0F);
  for (float& probability : probabilities) probability /= sum;
  return probabilities;
}

Classification classification(const std::vector<float>& logits,
                              const std::vector<std::string>& labels) {
  std::vector<float> probabilities = softmax(logits);
  const auto best = std::max_element(probabilities.begin(), probabilities.end());
  const auto index = static_cast<std::size_t>(best - probabilities.begin());
  return {labels[index], *best, std::move(probabilities)};
}

}  // namespace

std::shared_ptr<const Engine::Parts> Engine::Parts::open(const Bundle& bundle,
                                                         const Options& options) {
  if (options.threads < 0) {
    throw Error("threads is " + std::to_string(options.threads) +
                ", expected 0 (what the bundle was built for) or more");
  }
  const Choice choice = choose_target(bundle.manifest.targets, options.target);
  const Target& target = choice.target;
  const int threads = options.threads > 0 ? options.threads : target.threads;
  Tokenizer tokenizer(bundle.root / kTokenizerFile, bundle.manifest.max_length,
                      bundle.manifest.truncation);
  const std::string description = target.name + ": " + target.runtime + ", " + target.precision +
                                  " for " + target.isa + ", " + std::to_string(threads) +
                                  (threads == 1 ? " thread; " : " threads; ") + choice.reason;
  return std::make_shared<Parts>(Parts{std::move(tokenizer),
                                       runtime_named(target.runtime)(bundle, target, threads),
                                       bundle.manifest.labels, description});
}

std::vector<float> Engine::Parts::logits(const std::vector<std::string_view>& texts) const {
  std::vector<Encoding> rows;
  std::vector<std::size_t> ends;  // of the rows of each text
  for (std::string_view text : texts) {
    std::vector<Encoding> windows = tokenizer.windows(text);
    std::move(windows.begin(), windows.end(), std::back_inserter(rows));
    ends.push_back(rows.size());
  }
  std::vector<float> computed;
  for (std::size_t start = 0; start < rows.size(); start += texts.size()) {
    const std::size_t size = std::min(texts.size(), rows.size() - start);
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(start);
    const std::vector<float> some =
        runner->run(padded({first, first + static_cast<std::ptrdiff_t>(size)}, tokenizer.pad_id()));
    if (some.size() != size * labels.size()) {
      throw Error("the model gives " + std::to_string(some.size()) + " logits for " +
                  std::to_string(size) + " texts, expected " + std::to_string(labels.size()) +
                  " for each; build the bundle again");
    }
    computed.insert(computed.end(), some.begin(), some.end());
  }
  if (rows.size() == texts.size()) return computed;
  return pooled(computed, ends, labels.size(), tokenizer.truncation().window_pooling);
}

Engine::Engine(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}

Engine Engine::open(const std::filesystem::path& bundle, const Options& options) {
  return Engine(Parts::open(read_bundle(bundle), options));
}

Classification Engine::run(std::string_view text) const {
  return classification(parts_->logits({text}), parts_->labels);
}

std::vector<Classification> Engine::run(const std::vector<std::string>& texts,
                                        std::size_t batch_size) const {
  std::vector<Classification> answers;
  answers.reserve(texts.size());
  for (const std::vector<float>& row : logits(texts, batch_size)) {
    answers.push_back(classification(row, parts_->labels));
  }
  return answers;
}

std::vector<std::vector<float>> Engine::logits(const std::vector<std::string>& texts,
                                               std::size_t batch_size) const {
  if (batch_size == 0) throw Error("batch_size is 0, expected 1 or more");
  std::vector<std::size_t> order(texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (batch_size > 1) {  // neighbours in length waste the least on padding
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return utf8::count(texts[a]) < utf8::count(texts[b]);
    });
  }
  const std::size_t labels = parts_->labels.size();
  std::vector<std::vector<float>> rows(texts.size());
  for (std::size_t start = 0; start < order.size(); start += batch_size) {
    const std::size_t size = std::min(batch_size, order.size() - start);
    std::vector<std::string_view> batch;
    for (std::size_t i = 0; i < size; ++i) batch.emplace_back(texts[order[start + i]]);
    const std::vector<float> computed = parts_->logits(batch);
    for (std::size_t i = 0; i < size; ++i) {
      const float* row = computed.data() + i * labels;
      rows[order[start + i]].assign(row, row + labels);
    }
  }
  return rows;
}

const std::vector<std::string>& Engine::labels() const { return parts_->labels; }
const std::string& Engine::describe() const { return parts_->description; }

}  // namespace pocketbert
