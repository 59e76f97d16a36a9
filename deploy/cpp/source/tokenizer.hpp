// What the public Tokenizer is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "added_tokens.hpp"
#include "pocketbert.hpp"
#include "tokenizer_file.hpp"

namespace pocketbert {

std::size_t special_tokens_in(const Template& parts);

// The ids of both texts, of which the second may be none, within their special tokens.
Encoding assembled(const Template& parts, const std::vector<std::int64_t>& first_ids,
                   const std::vector<std::int64_t>& second_ids);

struct Tokenizer::Parts {
  Parts(TokenizerFile file, std::size_t max_length, Truncation truncation);

  Encoding encode(std::string_view text, const std::string_view* second) const;

  std::vector<Encoding> windows(std::string_view text) const;

  // Ids of valid UTF-8 without special tokens, no more than `limit`.
  std::vector<std::int64_t> ids_of(std::string_view text, std::size_t limit) const;

  AddedTokens raw_tokens;
  std::unique_ptr<const Normalizer> normalizer;
  AddedTokens normalized_tokens;
  std::unique_ptr<const PreTokenizer> pre_tokenizer;
  std::unique_ptr<const TokenModel> model;
  Template single;
  Template pair;
  std::int64_t pad_id;
  std::size_t max_length;
  Truncation truncation;
};

}  // namespace pocketbert
