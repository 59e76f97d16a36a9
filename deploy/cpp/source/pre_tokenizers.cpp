#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "pre_tokenizer.hpp"

namespace pocketbert {
namespace {

// Each cuts the words of the one before it; none leaves the text whole.
class PreTokenizerSequence : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(std::vector<std::unique_ptr<const PreTokenizer>> steps)
      : steps_(std::move(steps)) {}

  bool for_each_word(std::string_view text, const Visit& visit) const override {
    return cut(0, text, visit);
  }

  std::vector<AlignedText> words(const AlignedText& text) const override {
    std::vector<AlignedText> cut_so_far = {text};
    for (const auto& step : steps_) {
      std::vector<AlignedText> cut_further;
      for (const AlignedText& part : cut_so_far) {
        for (AlignedText& word : step->words(part)) cut_further.push_back(std::move(word));
      }
      cut_so_far = std::move(cut_further);
    }
    return cut_so_far;
  }

 private:
  bool cut(std::size_t step, std::string_view text, const Visit& visit) const {
    if (step == steps_.size()) return visit(text);
    return steps_[step]->for_each_word(
        text, [&](std::string_view word) { return cut(step + 1, word, visit); });
  }

  std::vector<std::unique_ptr<const PreTokenizer>> steps_;
};

std::unique_ptr<const PreTokenizer> read_sequence(const JsonValue& sequence) {
  std::vector<std::unique_ptr<const PreTokenizer>> steps;
  for (const JsonValue& step : sequence.at("pretokenizers").items()) {
    steps.push_back(read_pre_tokenizer(step));
  }
  return std::make_unique<PreTokenizerSequence>(std::move(steps));
}

using Read = std::unique_ptr<const PreTokenizer> (*)(const JsonValue&);

const std::map<std::string, Read> kPreTokenizers = {
    {"BertPreTokenizer", read_bert_pre_tokenizer},
    {"Metaspace", read_metaspace},
    {"Sequence", read_sequence},
    {"Split", read_split_chinese},
    {"WhitespaceSplit", read_whitespace_split},
};

}  // namespace

// Of pre-tokenizers that change nothing: their words are parts of the text.
std::vector<AlignedText> PreTokenizer::words(const AlignedText& text) const {
  std::vector<AlignedText> found;
  for_each_word(text.text(), [&](std::string_view word) {
    found.push_back(text.slice(word));
    return true;
  });
  return found;
}

std::unique_ptr<const PreTokenizer> read_pre_tokenizer(const JsonValue& pre_tokenizer) {
  return pre_tokenizer.at("type").choose(kPreTokenizers)(pre_tokenizer);
}

}  // namespace pocketbert
