// BertPreTokenizer of Hugging Face's tokenizers.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {

enum class CharacterKind : unsigned char { word, whitespace, punctuation };

inline CharacterKind kind_of(char32_t c) {
  if (unicode::is_whitespace(c)) return CharacterKind::whitespace;
  return unicode::is_punctuation(c) ? CharacterKind::punctuation : CharacterKind::word;
}

// Cuts valid UTF-8 at whitespace, which goes, and around punctuation, which stays.
class BertPreTokenizer {
 public:
  BertPreTokenizer() {
    for (std::size_t c = 0; c < ascii_.size(); ++c) ascii_[c] = kind_of(static_cast<char32_t>(c));
  }

  // Calls `visit` with each word in turn, until it returns false.
  template <typename Visit>
  void for_each_word(std::string_view text, Visit visit) const {
    std::size_t start = 0;
    for (std::size_t position = 0; position < text.size();) {
      const std::size_t here = position;
      const char32_t c = utf8::next(text, position);
      const CharacterKind kind = c < ascii_.size() ? ascii_[c] : kind_of(c);
      if (kind == CharacterKind::word) continue;
      if (here > start && !visit(text.substr(start, here - start))) return;
      if (kind == CharacterKind::punctuation && !visit(text.substr(here, position - here))) return;
      start = position;
    }
    if (start < text.size()) visit(text.substr(start));
  }

 private:
  std::array<CharacterKind, 128> ascii_{};
};

}  // namespace pocketbert
