// What a tokenizer.json of Hugging Face's tokenizers says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "added_tokens.hpp"
#include "json_value.hpp"
#include "normalizer.hpp"
#include "pre_tokenizer.hpp"
#include "token_model.hpp"

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
  std::unique_ptr<const Normalizer> normalizer;
  std::unique_ptr<const PreTokenizer> pre_tokenizer;
  std::unique_ptr<const TokenModel> model;
  std::vector<AddedToken> added_tokens;
  Template single;
  Template pair;
  std::int64_t pad_id;
};

TokenizerFile read_tokenizer_file(const std::filesystem::path& file);
TokenizerFile parse_tokenizer_file(const JsonValue& root);

}  // namespace pocketbert
