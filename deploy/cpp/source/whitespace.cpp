#include "whitespace.hpp"

#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

bool is_space_to_python(char32_t c) {
  return unicode::is_whitespace(c) || (c >= 0x1C && c <= 0x1F);
}

}  // namespace

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

std::string_view stripped(std::string_view text) {
  std::size_t first = 0;
  for (std::size_t next = 0; next < text.size(); first = next) {
    if (!is_space_to_python(utf8::next(text, next))) break;
  }
  std::size_t last = text.size();
  while (last > first) {
    const std::size_t start = utf8::previous(text, last);
    std::size_t end = start;
    if (!is_space_to_python(utf8::next(text, end))) break;
    last = start;
  }
  return text.substr(first, last - first);
}

}  // namespace pocketbert
