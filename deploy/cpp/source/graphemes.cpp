#include "graphemes.hpp"

#include <cstddef>

#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

using unicode::GraphemeClass;

// Says of each code point in turn whether it goes on with the grapheme of the one before.
class Joiner {
 public:
  bool joins(char32_t c) {
    const GraphemeClass now = unicode::grapheme_class(c);
    const bool joined = !is_first_ && joins(c, now);
    is_first_ = false;
    remember(c, now);
    return joined;
  }

 private:
  bool joins(char32_t c, GraphemeClass now) const {
    using Class = GraphemeClass;
    if (last_ == U'\r' && c == U'\n') return true;                              // GB3
    if (before_ == Class::control || now == Class::control) return false;       // GB4, GB5
    if (before_ == Class::lead && (now == Class::lead || now == Class::vowel || is_syllable(now)))
      return true;                                                              // GB6
    if ((before_ == Class::vowel || before_ == Class::open_syllable) &&
        (now == Class::vowel || now == Class::tail))
      return true;                                                              // GB7
    if ((before_ == Class::tail || before_ == Class::closed_syllable) && now == Class::tail)
      return true;                                                              // GB8
    if (extends(now) || now == Class::spacing_mark) return true;                // GB9, GB9a
    if (before_ == Class::prepended) return true;                               // GB9b
    if (conjunct_ == Conjunct::linked && now == Class::consonant) return true;  // GB9c
    return pictograph_ == Pictograph::joined && now == Class::pictograph;       // GB11
  }

  void remember(char32_t c, GraphemeClass now) {
    if (now == GraphemeClass::consonant) {
      conjunct_ = Conjunct::begun;
    } else if (!extends(now) || c == kNonJoiner) {
      conjunct_ = Conjunct::none;
    } else if (now == GraphemeClass::linker && conjunct_ != Conjunct::none) {
      conjunct_ = Conjunct::linked;
    }
    if (now == GraphemeClass::pictograph) {
      pictograph_ = Pictograph::begun;
    } else if (!extends(now) || pictograph_ == Pictograph::none) {
      pictograph_ = Pictograph::none;
    } else {
      pictograph_ = c == kJoiner ? Pictograph::joined : Pictograph::begun;
    }
    before_ = now;
    last_ = c;
  }

  static bool extends(GraphemeClass c) {
    return c == GraphemeClass::extend || c == GraphemeClass::linker;
  }

  static bool is_syllable(GraphemeClass c) {
    return c == GraphemeClass::open_syllable || c == GraphemeClass::closed_syllable;
  }

  static constexpr char32_t kNonJoiner = 0x200C;
  static constexpr char32_t kJoiner = 0x200D;

  // How much of "consonant, linker, consonant" and of "pictograph, joiner, pictograph" was there.
  enum class Conjunct { none, begun, linked };
  enum class Pictograph { none, begun, joined };

  bool is_first_ = true;
  char32_t last_ = 0;
  GraphemeClass before_ = GraphemeClass::other;
  Conjunct conjunct_ = Conjunct::none;
  Pictograph pictograph_ = Pictograph::none;
};

}  // namespace

std::vector<std::string_view> graphemes_of(std::string_view text) {
  std::vector<std::string_view> graphemes;
  Joiner joiner;
  std::size_t start = 0;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t here = position;
    if (!joiner.joins(utf8::next(text, position)) && here > start) {
      graphemes.push_back(text.substr(start, here - start));
      start = here;
    }
  }
  if (start < text.size()) graphemes.push_back(text.substr(start));
  return graphemes;
}

}  // namespace pocketbert
