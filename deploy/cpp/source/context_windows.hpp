// A question and its context as a model reads them: windows of the context, the question in each. The
// Python side is compress/context_windows.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer.hpp"

namespace pocketbert {

struct Window {
  Encoding encoding;
  std::size_t position;  // where the first token of the context stands
  std::size_t first;     // which token of the context that is
  std::size_t tokens;    // how many tokens of the context there are
};

// Of a long question the rest is not read; `tokenizer`'s truncation says what windows share.
std::vector<Window> windows_of(const Tokenizer::Parts& tokenizer,
                               std::vector<std::int64_t> question,
                               const std::vector<std::int64_t>& context);

// Tokens that a token of the context has on its poorer side; -1 outside.
std::ptrdiff_t room_around(const Window& window, std::size_t token);

}  // namespace pocketbert
