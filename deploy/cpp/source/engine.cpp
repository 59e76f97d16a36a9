#include "engine.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "pooling.hpp"
#include "targets.hpp"
#include "tasks/text_classification.hpp"

namespace pocketbert {
namespace {

constexpr const char* kClassification = "text-classification";

}  // namespace

std::shared_ptr<const Engine::Parts> Engine::Parts::open(const Bundle& bundle,
                                                         const Options& options) {
  if (options.threads < 0) {
    throw Error("threads is " + std::to_string(options.threads) +
                ", expected 0 (what the bundle was built for) or more");
  }
  const Choice choice = choose_target(bundle, options.target);
  const Target& target = choice.target;
  const int threads = options.threads > 0 ? options.threads : target.threads;
  Tokenizer tokenizer(bundle.root / kTokenizerFile, bundle.manifest.max_length,
                      bundle.manifest.truncation);
  const std::string description = target.name + ": " + target.runtime + ", " + target.precision +
                                  " for " + target.isa + ", " + std::to_string(threads) +
                                  (threads == 1 ? " thread; " : " threads; ") + choice.reason;
  const Manifest& manifest = bundle.manifest;
  const bool pooled_pairs =
      manifest.pairs && manifest.truncation.keep == Truncation::Keep::windows;
  if (pooled_pairs) {
    throw Error("the manifest reads pairs in windows, expected their head or their tail; build the "
                "bundle again");
  }
  std::unique_ptr<const Task> task = make_task(manifest);
  std::unique_ptr<Runner> runner;
  std::unique_ptr<const Writer> writer;
  if (task->generates()) {
    writer = std::make_unique<const Writer>(bundle, target, threads, options.beams);
  } else if (options.beams != 0) {
    throw Error("beams is " + std::to_string(options.beams) + ", expected none: the task '" +
                manifest.task + "' writes no texts");
  } else {
    runner = runtime_named(target.runtime).open(bundle, target, threads);
  }
  return std::make_shared<Parts>(Parts{std::move(tokenizer), std::move(runner), std::move(writer),
                                       std::move(task), manifest.task, manifest.pairs,
                                       manifest.labels, description,
                                       choice.passed_over});
}

// Of each of a text's windows alone, and pooled.
std::vector<float> Engine::Parts::logits(std::string_view text) const {
  std::vector<float> computed;
  std::vector<Encoding> windows = tokenizer.windows(text);
  for (Encoding& window : windows) {
    const std::vector<float> some = runner->run(batch_of(std::move(window)));
    check_count(some.size(), 1, labels.size());
    computed.insert(computed.end(), some.begin(), some.end());
  }
  if (windows.size() == 1) return computed;
  return pooled(computed, {windows.size()}, labels.size(), tokenizer.truncation().window_pooling);
}

Engine::Engine(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}

Engine Engine::open(const std::filesystem::path& bundle, const Options& options) {
  return Engine(Parts::open(read_bundle(bundle), options));
}

Classification Engine::run(std::string_view text) const {
  if (parts_->kind != kClassification || parts_->pairs) refuse_kind();
  return classification(parts_->logits(text), parts_->labels);
}

std::vector<Classification> Engine::run(const std::vector<std::string>& texts,
                                        std::size_t batch_size) const {
  if (parts_->kind != kClassification || parts_->pairs) refuse_kind();
  std::vector<Classification> answers;
  answers.reserve(texts.size());
  for (const std::vector<float>& row : logits(texts, batch_size)) {
    answers.push_back(classification(row, parts_->labels));
  }
  return answers;
}

AnyAnswer Engine::answer(const Text& text) const { return answers({text})[0]; }

std::vector<AnyAnswer> Engine::answers(const std::vector<Text>& texts,
                                       std::size_t batch_size) const {
  std::vector<AnyAnswer> answers;
  answers.reserve(texts.size());
  for (const Computed& text : parts_->compute(texts, batch_size)) {
    answers.push_back(parts_->task->answer(text.logits, text.reading));
  }
  return answers;
}

std::vector<std::vector<float>> Engine::logits(const std::vector<std::string>& texts,
                                               std::size_t batch_size) const {
  if (parts_->task->per_word()) refuse_kind();
  std::vector<std::vector<float>> rows;
  rows.reserve(texts.size());
  for (Computed& text : parts_->compute({texts.begin(), texts.end()}, batch_size)) {
    rows.push_back(std::move(text.logits.values));
  }
  return rows;
}

void Engine::refuse_kind() const {
  throw Error("the bundle is of the task '" + parts_->kind + "'" +
              (parts_->pairs ? " on pairs of texts" : "") +
              ", expected one whose answers are asked for; call answer(), which takes any");
}

const std::string& Engine::kind() const { return parts_->kind; }
bool Engine::pairs() const { return parts_->pairs; }
const std::vector<std::string>& Engine::labels() const { return parts_->labels; }
const std::string& Engine::describe() const { return parts_->description; }
const std::vector<std::string>& Engine::passed_over() const { return parts_->passed_over; }

}  // namespace pocketbert
