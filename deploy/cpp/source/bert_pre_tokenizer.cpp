// BertPreTokenizer of Hugging Face's tokenizers.

#include <array>
#include <cstddef>

#include "pre_tokenizer.hpp"
#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

enum class CharacterKind : unsigned char { word, whitespace, punctuation };

CharacterKind kind_of(char32_t c) {
  if (unicode::is_whitespace(c)) return CharacterKind::whitespace;
  return unicode::is_punctuation(c) ? CharacterKind::punctuation : CharacterKind::word;
}

// Cuts at whitespace, which goes, and around punctuation, which stays.
class BertPreTokenizer : public PreTokenizer {
 public:
  BertPreTokenizer() {
    for (std::size_t c = 0; c < ascii_.size(); ++c) ascii_[c] = kind_of(static_cast<char32_t>(c));
  }

  bool for_each_word(std::string_view text, const Visit& visit) const override {
    std::size_t start = 0;
    for (std::size_t position = 0; position < text.size();) {
      const std::size_t here = position;
      const char32_t c = utf8::next(text, position);
      const CharacterKind kind = c < ascii_.size() ? ascii_[c] : kind_of(c);
      if (kind == CharacterKind::word) continue;
      if (here > start && !visit(text.substr(start, here - start))) return false;
      if (kind == CharacterKind::punctuation && !visit(text.substr(here, position - here))) {
        return false;
      }
      start = position;
    }
    return start == text.size() || visit(text.substr(start));
  }

 private:
  std::array<CharacterKind, 128> ascii_{};
};

}  // namespace

std::unique_ptr<const PreTokenizer> read_bert_pre_tokenizer(const JsonValue&) {
  return std::make_unique<BertPreTokenizer>();
}

}  // namespace pocketbert
