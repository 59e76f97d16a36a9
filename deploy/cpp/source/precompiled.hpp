// Precompiled of Hugging Face's tokenizers: SentencePiece's table of normalisations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "normalizer.hpp"

namespace pocketbert {

class Precompiled : public Normalizer {
 public:
  // `trie` is a double array with the units of Darts-clone; its values are places in `texts`, where
  // a zero byte ends each text.
  Precompiled(std::vector<std::uint32_t> trie, std::string texts);

  std::string operator()(std::string_view text) const override;
  void align(AlignedText& text) const override;

 private:
  std::optional<std::string_view> replacement_of(std::string_view text) const;
  template <typename Visit>
  void for_each_part(std::string_view text, Visit visit) const;

  std::vector<std::uint32_t> trie_;
  std::string texts_;
};

}  // namespace pocketbert
