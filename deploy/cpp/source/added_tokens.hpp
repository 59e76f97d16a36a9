// Tokens such as [SEP] that are found in a text before it is cut into words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pocketbert {

struct AddedToken {
  std::string content;
  std::int64_t id = 0;
  bool normalized = false;  // is looked for in the normalised text
  bool lstrip = false;      // takes the whitespace before it along
  bool rstrip = false;      // and behind it
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // A stretch of the text, with the whitespace that a token takes along; `token` is nullptr where
  // it is none.
  struct Piece {
    std::string_view text;
    const AddedToken* token;
  };

  // Cuts valid UTF-8 at the leftmost, then longest, tokens.
  std::vector<Piece> split(std::string_view text) const;

 private:
  const AddedToken* at(std::string_view text, std::size_t position) const;

  std::vector<AddedToken> tokens_;      // the longest first
  std::array<bool, 256> first_byte_{};  // of any token
};

}  // namespace pocketbert
