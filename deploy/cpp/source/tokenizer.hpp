// What the public Tokenizer is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "added_tokens.hpp"
#include "bert_normalizer.hpp"
#include "bert_pre_tokenizer.hpp"
#include "pocketbert.hpp"
#include "tokenizer_file.hpp"
#include "word_piece.hpp"

namespace pocketbert {

struct Tokenizer::Parts {
  Parts(TokenizerFile file, std::size_t max_length, Truncation truncation);

  Encoding encode(std::string_view text, const std::string_view* second) const;

  std::vector<Encoding> windows(std::string_view text) const;

  // Ids of valid UTF-8 without special tokens, no more than `limit`.
  std::vector<std::int64_t> ids_of(std::string_view text, std::size_t limit) const;

  AddedTokens raw_tokens;
  BertNormalizer normalize;
  AddedTokens normalized_tokens;
  BertPreTokenizer pre_tokenizer;
  WordPiece word_piece;
  Template single;
  Template pair;
  std::int64_t pad_id;
  std::size_t max_length;
  Truncation truncation;
};

}  // namespace pocketbert
