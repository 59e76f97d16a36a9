// What normalizers and pre-tokenizers ask about a code point.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

// Parts of extended grapheme clusters. Of Hangul: jamo, and syllables without and with a tail.
enum class GraphemeClass : std::uint8_t {
  other,
  control,
  extend,
  linker,  // extends too
  spacing_mark,
  prepended,
  consonant,
  pictograph,
  lead,
  vowel,
  tail,
  open_syllable,
  closed_syllable,
};

struct GraphemeRange {
  char32_t first;
  char32_t last;
  GraphemeClass grapheme_class;
};

bool is_removed_by_cleaning(char32_t c);
bool is_space_to_cleaning(char32_t c);
bool is_chinese(char32_t c);
bool is_han(char32_t c);  // of that script, which has a few more
bool is_whitespace(char32_t c);
bool is_punctuation(char32_t c);
bool is_nonspacing_mark(char32_t c);
GraphemeClass grapheme_class(char32_t c);

// Canonical decomposition (NFD) without nonspacing marks.
std::u32string without_marks(std::u32string_view text);

struct Decomposed {
  char32_t character;
  bool is_first;  // of what one character became
};

// The same, where it matters what comes from where: marks that stood alone stay.
std::vector<Decomposed> decomposed(std::u32string_view text);

std::u32string lowercase(std::u32string_view text);

}  // namespace pocketbert::unicode
