// Split of Hugging Face's tokenizers, for the one expression of compress/chinese_words.py: a Chinese
// character is a word, with the mark of a beginning before it if there is one.

#include <cstddef>
#include <optional>

#include "pre_tokenizer.hpp"
#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

constexpr char32_t kBeginning = 0x2581;

// Where the word ends that begins at `position`, if it is one.
std::optional<std::size_t> end_of_word(std::string_view text, std::size_t position) {
  char32_t c = utf8::next(text, position);
  if (c == kBeginning && position < text.size()) c = utf8::next(text, position);
  if (!unicode::is_han(c)) return std::nullopt;
  return position;
}

class SplitChinese : public PreTokenizer {
 public:
  bool for_each_word(std::string_view text, const Visit& visit) const override {
    std::size_t start = 0;
    for (std::size_t position = 0; position < text.size();) {
      const std::optional<std::size_t> end = end_of_word(text, position);
      if (!end) {
        utf8::next(text, position);
        continue;
      }
      if (position > start && !visit(text.substr(start, position - start))) return false;
      if (!visit(text.substr(position, *end - position))) return false;
      start = position = *end;
    }
    return start == text.size() || visit(text.substr(start));
  }
};

}  // namespace

std::unique_ptr<const PreTokenizer> read_split_chinese(const JsonValue& pre_tokenizer) {
  pre_tokenizer.at("pattern").at("Regex").one_of({"\u2581?\\p{Han}"});
  pre_tokenizer.at("behavior").one_of({"Isolated"});
  const JsonValue invert = pre_tokenizer.at("invert");
  if (invert.truth()) invert.refuse("inverted");
  return std::make_unique<SplitChinese>();
}

}  // namespace pocketbert
