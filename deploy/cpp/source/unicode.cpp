#include "unicode.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "unicode_tables.hpp"

namespace pocketbert::unicode {
namespace {

// Hangul, by the arithmetic of the Unicode standard.
constexpr char32_t kFirstSyllable = 0xAC00, kLastSyllable = 0xD7A3, kVowels = 21, kTails = 28;

// The last row that begins at or before a code point; nullptr if none does.
template <typename Row, std::size_t size>
const Row* row_before(const Row (&rows)[size], char32_t c) {
  const Row* after =
      std::upper_bound(std::begin(rows), std::end(rows), c,
                       [](char32_t value, const Row& row) { return value < row.first; });
  return after == std::begin(rows) ? nullptr : after - 1;
}

template <typename Row, std::size_t size>
const Row* row_of(const Row (&rows)[size], char32_t c) {
  const Row* row = row_before(rows, c);
  return row != nullptr && c <= row->last ? row : nullptr;
}

template <std::size_t runs, std::size_t several>
void append_mapped(char32_t c, const Run (&runs_table)[runs], const Run (&several_table)[several],
                   std::u32string& out) {
  if (const Run* row = row_before(several_table, c); row != nullptr && row->first == c) {
    out += row->becomes;
    return;
  }
  const Run* run = row_before(runs_table, c);
  const bool inside = run != nullptr && c - run->first < run->becomes.size();
  out += inside ? run->becomes[c - run->first] : c;
}

void append_decomposed(char32_t c, std::u32string& out) {
  if (c < kFirstSyllable || c > kLastSyllable) {
    append_mapped(c, kWithoutMarksRuns, kWithoutMarksSeveral, out);
    return;
  }
  const char32_t syllable = c - kFirstSyllable;
  out += 0x1100 + syllable / (kVowels * kTails);
  out += 0x1161 + syllable / kTails % kVowels;
  if (syllable % kTails != 0) out += 0x11A7 + syllable % kTails;
}

// Puts a run of characters that combine with the one before it into canonical order.
void flush(std::vector<std::pair<int, char32_t>>& combining, std::u32string& out) {
  std::stable_sort(combining.begin(), combining.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [combining_class, c] : combining) out += c;
  combining.clear();
}

}  // namespace

bool is_removed_by_cleaning(char32_t c) { return row_of(kRemovedByCleaning, c) != nullptr; }
bool is_space_to_cleaning(char32_t c) { return row_of(kSpacesOfCleaning, c) != nullptr; }
bool is_chinese(char32_t c) { return row_of(kChineseCharacters, c) != nullptr; }
bool is_han(char32_t c) { return row_of(kHan, c) != nullptr; }
bool is_whitespace(char32_t c) { return row_of(kWhitespace, c) != nullptr; }
bool is_punctuation(char32_t c) { return row_of(kPunctuation, c) != nullptr; }
bool is_nonspacing_mark(char32_t c) { return row_of(kNonspacingMarks, c) != nullptr; }

GraphemeClass grapheme_class(char32_t c) {
  constexpr char32_t kLastLetter = 0x7E;
  if (c >= U' ' && c <= kLastLetter) return GraphemeClass::other;
  if (c >= kFirstSyllable && c <= kLastSyllable) {
    return (c - kFirstSyllable) % kTails == 0 ? GraphemeClass::open_syllable
                                              : GraphemeClass::closed_syllable;
  }
  const GraphemeRange* row = row_of(kGraphemeClasses, c);
  return row == nullptr ? GraphemeClass::other : row->grapheme_class;
}

std::u32string without_marks(std::u32string_view text) {
  std::u32string decomposed;
  for (char32_t c : text) append_decomposed(c, decomposed);
  std::u32string out;
  std::vector<std::pair<int, char32_t>> combining;
  for (char32_t c : decomposed) {
    const ClassRange* row = row_of(kCombiningClasses, c);
    if (row == nullptr) flush(combining, out);
    if (row_of(kNonspacingMarks, c) != nullptr) continue;
    if (row == nullptr) {
      out += c;
    } else {
      combining.emplace_back(row->combining_class, c);
    }
  }
  flush(combining, out);
  return out;
}

std::vector<Decomposed> decomposed(std::u32string_view text) {
  std::vector<Decomposed> out;
  std::vector<std::pair<int, Decomposed>> combining;
  const auto flush_pieces = [&] {
    std::stable_sort(combining.begin(), combining.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [combining_class, piece] : combining) out.push_back(piece);
    combining.clear();
  };
  for (char32_t c : text) {
    std::u32string pieces;
    append_decomposed(c, pieces);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const ClassRange* row = row_of(kCombiningClasses, pieces[i]);
      if (row == nullptr) flush_pieces();
      combining.emplace_back(row == nullptr ? 0 : row->combining_class, Decomposed{pieces[i], i == 0});
    }
  }
  flush_pieces();
  return out;
}

std::u32string lowercase(std::u32string_view text) {
  std::u32string out;
  for (char32_t c : text) append_mapped(c, kLowercaseRuns, kLowercaseSeveral, out);
  return out;
}

}  // namespace pocketbert::unicode
