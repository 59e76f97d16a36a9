// A text's tokens with the characters and the words that they belong to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "aligned_text.hpp"
#include "tokenizer.hpp"

namespace pocketbert {

struct Token {
  std::int64_t id;
  ByteRange bytes;   // of the text
  std::size_t word;  // tokens of the same word have the same number
};

// Of valid UTF-8, without special tokens and not cut. Slower than Tokenizer::Parts::ids_of, which
// gives the same ids.
std::vector<Token> tokens_of(const Tokenizer::Parts& tokenizer, std::string_view text);

}  // namespace pocketbert
