// WordPiece: the longest piece of the vocabulary first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "piece_table.hpp"
#include "token_model.hpp"

namespace pocketbert {

class WordPiece : public TokenModel {
 public:
  using Vocabulary = std::map<std::string, std::uint32_t>;

  // `continuing_prefix` marks the pieces that do not begin a word.
  WordPiece(const Vocabulary& vocabulary, std::int64_t unknown_id,
            const std::string& continuing_prefix, std::size_t max_characters);

  // Appends the pieces of a word, or the unknown token if no pieces make it up.
  void append(std::string_view word, std::vector<std::int64_t>& ids) const override;
  std::vector<Piece> pieces(std::string_view word) const override;

  std::optional<std::int64_t> id_of(const std::string& token) const override;

 private:
  template <typename Take>
  bool cut(std::string_view word, Take take) const;

  PieceTable beginnings_;
  PieceTable continuations_;  // without their prefix
  std::size_t longest_bytes_ = 0;
  std::int64_t unknown_id_;
  std::size_t max_characters_;
};

}  // namespace pocketbert
