// Whitespace in valid UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace pocketbert {

// Where the whitespace that ends at `position` begins.
std::size_t before_whitespace(std::string_view text, std::size_t position);

// Where the whitespace that begins at `position` ends.
std::size_t behind_whitespace(std::string_view text, std::size_t position);

// Without whitespace at both ends, as Python's str.strip: four separators count as well.
std::string_view stripped(std::string_view text);

}  // namespace pocketbert
