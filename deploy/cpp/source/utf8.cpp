#include "utf8.hpp"

#include <algorithm>

namespace pocketbert::utf8 {
namespace {

// Bytes that follow a first byte, and the range of the second (Unicode standard, table 3-7).
struct Form {
  int following;
  unsigned char lowest_second;
  unsigned char highest_second;
};

Form form_of(unsigned char first) {
  if (first >= 0xC2 && first <= 0xDF) return {1, 0x80, 0xBF};
  if (first == 0xE0) return {2, 0xA0, 0xBF};
  if (first == 0xED) return {2, 0x80, 0x9F};
  if (first >= 0xE1 && first <= 0xEF) return {2, 0x80, 0xBF};
  if (first == 0xF0) return {3, 0x90, 0xBF};
  if (first >= 0xF1 && first <= 0xF3) return {3, 0x80, 0xBF};
  if (first == 0xF4) return {3, 0x80, 0x8F};
  return {0, 0, 0};
}

struct Character {
  char32_t value;
  bool valid;
};

Character read(std::string_view text, std::size_t& position) {
  const auto first = static_cast<unsigned char>(text[position++]);
  if (first < 0x80) return {first, true};
  Form form = form_of(first);
  if (form.following == 0) return {kReplacement, false};
  char32_t value = first & (0x3FU >> form.following);
  for (int i = 0; i < form.following; ++i) {
    if (position == text.size()) return {kReplacement, false};
    const auto byte = static_cast<unsigned char>(text[position]);
    if (byte < form.lowest_second || byte > form.highest_second) return {kReplacement, false};
    form.lowest_second = 0x80;
    form.highest_second = 0xBF;
    value = value << 6 | (byte & 0x3FU);
    ++position;
  }
  return {value, true};
}

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

}  // namespace

char32_t next(std::string_view text, std::size_t& position) { return read(text, position).value; }

std::size_t previous(std::string_view text, std::size_t position) {
  do {
    --position;
  } while (position > 0 && continues(text[position]));
  return position;
}

void append(char32_t c, std::string& out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80U | (c >> shift & 0x3FU)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0U | c >> 6);
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0U | c >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0U | c >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

bool is_valid(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    if (!read(text, position).valid) return false;
  }
  return true;
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  for (std::size_t position = 0; position < text.size();) append(next(text, position), out);
  return out;
}

std::size_t count(std::string_view valid_text) {
  return valid_text.size() -
         static_cast<std::size_t>(std::count_if(valid_text.begin(), valid_text.end(), continues));
}

}  // namespace pocketbert::utf8
