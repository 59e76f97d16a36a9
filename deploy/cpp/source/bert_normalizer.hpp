// BertNormalizer of Hugging Face's tokenizers.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "normalizer.hpp"

namespace pocketbert {

struct NormalizerOptions {
  bool clean_text = false;
  bool handle_chinese_chars = false;
  bool strip_accents = false;
  bool lowercase = false;
};

class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(NormalizerOptions options);

  std::string operator()(std::string_view text) const override;
  void align(AlignedText& text) const override;

 private:
  std::string by_steps(std::string_view text) const;

  NormalizerOptions options_;
  std::array<char, 128> ascii_{};  // what each ASCII character becomes; see kRemoved
};

}  // namespace pocketbert
