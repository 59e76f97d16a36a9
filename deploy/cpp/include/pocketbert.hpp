// Runs a pocketbert bundle: texts in, typed answers out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pocketbert {

// The one exception of this library; what() is a sentence: found, expected, what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What is read as one example: a text, or two that are read together, such as a question and what it
// is about. UTF-8.
struct Text {
  Text(const char* only) : first(only) {}  // these three convert, so that a text may be written
  Text(std::string_view only) : first(only) {}
  Text(std::string only) : first(std::move(only)) {}
  Text(std::string one, std::string other) : first(std::move(one)), second(std::move(other)) {}

  std::string first;
  std::optional<std::string> second;
};

// A text, or a pair of texts, as the model reads it; both vectors have one entry per token.
struct Encoding {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> type_ids;
};

// What is read of a text that is longer than the longest input.
struct Truncation {
  enum class Keep { head, tail, head_and_tail, windows, context };  // context: of questions
  enum class Pooling { mean, max };  // of the logits of a text's windows

  Keep keep = Keep::head;
  std::size_t window_overlap = 0;  // tokens that a window shares with the one before it
  Pooling window_pooling = Pooling::mean;
};

// The tokens of Hugging Face's fast tokenizer for BERT's WordPiece. Texts are UTF-8; what is not
// becomes U+FFFD, as Python's errors="replace" does. May be used from several threads at once.
class Tokenizer {
 public:
  // `file` is a tokenizer.json. `max_length` counts special tokens too.
  Tokenizer(const std::filesystem::path& file, std::size_t max_length, Truncation truncation = {});

  // Of a text that is read in windows the first one.
  Encoding encode(std::string_view text) const;
  Encoding encode(std::string_view text, std::string_view second) const;

  // More than one only where a long text is read in windows.
  std::vector<Encoding> windows(std::string_view text) const;

  const Truncation& truncation() const;
  std::int64_t pad_id() const;

  struct Parts;  // not installed
  const Parts& parts() const;

 private:
  std::shared_ptr<const Parts> parts_;
};

struct Classification {
  std::string label;                 // the most probable
  float score;                       // its probability, 0..1
  std::vector<float> probabilities;  // in the order of Engine::labels()
};

// Any number of labels.
struct Labels {
  std::vector<std::string> labels;   // those from their thresholds on, the most probable first
  std::vector<float> probabilities;  // in the order of Engine::labels()
};

struct Number {
  float value;  // on the scale of the labels that were learned from
};

struct Embedding {
  std::vector<float> vector;  // of length 1

  float similarity(const Embedding& other) const;  // the cosine, -1..1
};

// A part of a text. What is not UTF-8 counts as the U+FFFD that stands for it.
struct Span {
  std::string text;
  std::size_t start;       // its first character (code point), as Python counts
  std::size_t end;         // behind its last one
  std::size_t start_byte;  // the same in bytes of UTF-8
  std::size_t end_byte;
};

struct Entity {
  Span span;
  std::string label;
  float score;  // mean probability of its words' tags, 0..1
};

struct Entities {
  std::vector<Entity> entities;  // in the order of the text
};

struct Candidate {
  Span span;    // of the context
  float score;  // probability that an answer starts there times that one ends there, 0..1
};

struct Answer {
  Span span;                          // empty where the context does not tell
  float score;                        // as a candidate's; or that of "no answer"
  bool answerable;                    // whether the context tells
  std::vector<Candidate> candidates;  // the best parts of the context, the best first
};

struct Translation {
  std::string text;  // in the other language
  float score;       // mean log-probability of its tokens, the end included; 0 is certain
};

using AnyAnswer =
    std::variant<Classification, Labels, Number, Embedding, Entities, Answer, Translation>;

struct Options {
  std::string target;  // a target's name; empty: the first that this machine can run
  int threads = 0;     // of one inference; 0: what the bundle was built for
  int beams = 0;       // followed at once where a text is written; 0: what the recipe said
};

// A verified bundle, opened on this machine. Copies share one model; all members may be called
// from several threads at once.
class Engine {
 public:
  // Verifies every byte of the bundle first.
  static Engine open(const std::filesystem::path& bundle, const Options& options = {});

  // What a bundle of any kind answers: `answer(text)` as a variant, `run<Entities>(text)` as that.
  AnyAnswer answer(const Text& text) const;
  std::vector<AnyAnswer> answers(const std::vector<Text>& texts, std::size_t batch_size = 1) const;
  template <typename Kind>
  Kind run(const Text& text) const {
    AnyAnswer any = answer(text);
    if (Kind* found = std::get_if<Kind>(&any)) return std::move(*found);
    refuse_kind();
  }

  // The same for the classification of single texts, which are refused where a bundle does other.
  Classification run(std::string_view text) const;

  // `batch_size` texts go into one inference; more is faster only where threads are free.
  std::vector<Classification> run(const std::vector<std::string>& texts,
                                  std::size_t batch_size = 1) const;

  // One row of logits per text, where a bundle answers single texts as a whole; of a text that is
  // written its score and its code points.
  std::vector<std::vector<float>> logits(const std::vector<std::string>& texts,
                                         std::size_t batch_size = 1) const;

  const std::string& kind() const;                 // of the task, such as "token-classification"
  bool pairs() const;                              // whether a text is two
  const std::vector<std::string>& labels() const;  // of logits; those of vectors have none
  const std::string& describe() const;             // what runs, and why

  // Targets that the bundle puts before the one that runs, each with why it cannot run here.
  const std::vector<std::string>& passed_over() const;

  struct Parts;  // not installed

 private:
  explicit Engine(std::shared_ptr<const Parts> parts);
  [[noreturn]] void refuse_kind() const;
  std::shared_ptr<const Parts> parts_;
};

struct SelftestResult {
  bool passed;                          // same tokens, and logits within the tolerance
  std::string engine;                   // what ran, and why
  std::size_t texts;                    // golden texts
  std::size_t texts_with_other_tokens;  // that this tokenizer cuts differently
  double max_abs_difference;            // of a logit
  double tolerance;                     // largest difference allowed
};

// Verifies a bundle and replays what it computed when it was built.
SelftestResult selftest(const std::filesystem::path& bundle, const std::string& target = {});

}  // namespace pocketbert
