// Runs a pocketbert bundle: texts in, typed classifications out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pocketbert {

// The one exception of this library; what() is a sentence: found, expected, what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A text, or a pair of texts, as the model reads it; both vectors have one entry per token.
struct Encoding {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> type_ids;
};

// What is read of a text that is longer than the longest input.
struct Truncation {
  enum class Keep { head, tail, head_and_tail, windows };
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

 private:
  std::shared_ptr<const Parts> parts_;
};

struct Classification {
  std::string label;                 // the most probable
  float score;                       // its probability, 0..1
  std::vector<float> probabilities;  // in the order of Engine::labels()
};

struct Options {
  std::string target;  // a target's name; empty: the first that this machine can run
  int threads = 0;     // of one inference; 0: what the bundle was built for
};

// A verified bundle, opened on this machine. Copies share one model; all members may be called
// from several threads at once.
class Engine {
 public:
  // Verifies every byte of the bundle first.
  static Engine open(const std::filesystem::path& bundle, const Options& options = {});

  Classification run(std::string_view text) const;

  // `batch_size` texts go into one inference; more is faster only where threads are free.
  std::vector<Classification> run(const std::vector<std::string>& texts,
                                  std::size_t batch_size = 1) const;

  // One row of logits per text.
  std::vector<std::vector<float>> logits(const std::vector<std::string>& texts,
                                         std::size_t batch_size = 1) const;

  const std::vector<std::string>& labels() const;
  const std::string& describe() const;  // what runs, and why

  struct Parts;  // not installed

 private:
  explicit Engine(std::shared_ptr<const Parts> parts);
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
