// Unigram: of all ways to cut a word into pieces, the one with the highest sum of scores (Kudo
// 2018).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "token_model.hpp"

namespace pocketbert {

class Unigram : public TokenModel {
 public:
  // A piece's id is its place in the vocabulary; of two equal ones the last counts.
  Unigram(std::vector<std::pair<std::string, double>> vocabulary, std::int64_t unknown_id,
          bool byte_fallback);

  void append(std::string_view word, std::vector<std::int64_t>& ids) const override;
  std::vector<Piece> pieces(std::string_view word) const override;

  std::optional<std::int64_t> id_of(const std::string& token) const override;

 private:
  struct Entry {
    std::string text;
    double score;
    std::int64_t id;
  };

  // The best way to the end of a piece, by that piece.
  struct Step {
    std::size_t start = 0;
    double score = 0;
    std::int64_t id = -1;  // none ends here
  };

  template <typename Visit>
  void for_each_prefix(std::string_view text, Visit visit) const;
  const Entry* find(std::string_view text) const;
  std::vector<Step> best_steps(std::string_view word) const;
  std::vector<std::string_view> best_parts(std::string_view word) const;
  void append_part(std::string_view text, std::vector<std::int64_t>& ids) const;

  std::vector<Entry> entries_;  // in the order of their bytes
  std::int64_t unknown_id_;
  double unknown_score_;
  std::optional<std::array<std::int64_t, 256>> bytes_;  // their ids, where bytes stand for unknowns
};

}  // namespace pocketbert
