// UTF-8 in and out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pocketbert::utf8 {

constexpr char32_t kReplacement = 0xFFFD;

// Reads the code point at `position` (< text.size()) and moves behind it. Bytes that are not UTF-8
// give U+FFFD, one for each longest beginning of a character (as Python and the Unicode standard).
char32_t next(std::string_view text, std::size_t& position);

// Where the code point of valid UTF-8 begins that ends at `position` (> 0).
std::size_t previous(std::string_view valid_text, std::size_t position);

void append(char32_t c, std::string& out);

bool is_valid(std::string_view text);
std::string replace_invalid(std::string_view text);
std::size_t count(std::string_view valid_text);  // code points

}  // namespace pocketbert::utf8
