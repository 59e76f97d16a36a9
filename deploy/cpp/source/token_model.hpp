// How a word becomes ids, by tokenizer.json's `model`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aligned_text.hpp"
#include "json_value.hpp"

namespace pocketbert {

// A token and the bytes of its word that it covers.
struct Piece {
  std::int64_t id;
  ByteRange bytes;
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the ids of a word of valid UTF-8.
  virtual void append(std::string_view word, std::vector<std::int64_t>& ids) const = 0;

  // The same with what each token covers.
  virtual std::vector<Piece> pieces(std::string_view word) const = 0;

  virtual std::optional<std::int64_t> id_of(const std::string& token) const = 0;
};

std::unique_ptr<const TokenModel> read_token_model(const JsonValue& model);

// One a type; see token_models.cpp.
std::unique_ptr<const TokenModel> read_unigram(const JsonValue& model);
std::unique_ptr<const TokenModel> read_word_piece(const JsonValue& model);

}  // namespace pocketbert
