// What a reader takes for one character: extended grapheme clusters (Unicode standard annex 29).
#pragma once

#include <string_view>
#include <vector>

namespace pocketbert {

// Cuts valid UTF-8. Flags, two regional indicators, are cut in two.
std::vector<std::string_view> graphemes_of(std::string_view text);

}  // namespace pocketbert
