// What BertNormalizer and BertPreTokenizer ask about a code point.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pocketbert::unicode {

struct Range {
  char32_t first;
  char32_t last;
};

struct ClassRange {
  char32_t first;
  char32_t last;
  std::uint8_t combining_class;
};

// Neighbouring code points and what each becomes; in a table of `Several`, one code point and all
// that it becomes.
struct Run {
  char32_t first;
  std::u32string_view becomes;
};

bool is_removed_by_cleaning(char32_t c);
bool is_space_to_cleaning(char32_t c);
bool is_chinese(char32_t c);
bool is_whitespace(char32_t c);
bool is_punctuation(char32_t c);

// Canonical decomposition (NFD) without nonspacing marks.
std::u32string without_marks(std::u32string_view text);

std::u32string lowercase(std::u32string_view text);

}  // namespace pocketbert::unicode
