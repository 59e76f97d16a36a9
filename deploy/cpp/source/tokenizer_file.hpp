// What a tokenizer.json of Hugging Face's tokenizers says, as far as BERT's WordPiece goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "added_tokens.hpp"
#include "bert_normalizer.hpp"
#include "json_value.hpp"
#include "word_piece.hpp"

namespace pocketbert {

// One part of the template that the model reads: a text, or special tokens.
struct TemplatePart {
  enum class Kind { first_text, second_text, special_tokens };
  Kind kind;
  std::int64_t type_id;
  std::vector<std::int64_t> ids;  // of the special tokens
};

using Template = std::vector<TemplatePart>;

struct TokenizerFile {
  NormalizerOptions normalizer;
  std::vector<AddedToken> added_tokens;
  Vocabulary vocabulary;
  std::int64_t unknown_id;
  std::string continuing_prefix;
  std::size_t max_characters_of_word;
  Template single;
  Template pair;
  std::int64_t pad_id;
};

TokenizerFile read_tokenizer_file(const std::filesystem::path& file);
TokenizerFile parse_tokenizer_file(const JsonValue& root);

}  // namespace pocketbert
