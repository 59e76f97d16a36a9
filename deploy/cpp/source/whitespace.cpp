#include "whitespace.hpp"

#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {

std::size_t before_whitespace(std::string_view text, std::size_t position) {
  while (position > 0) {
    const std::size_t start = utf8::previous(text, position);
    std::size_t end = start;
    if (!unicode::is_whitespace(utf8::next(text, end))) break;
    position = start;
  }
  return position;
}

std::size_t behind_whitespace(std::string_view text, std::size_t position) {
  while (position < text.size()) {
    std::size_t end = position;
    if (!unicode::is_whitespace(utf8::next(text, end))) break;
    position = end;
  }
  return position;
}

}  // namespace pocketbert
