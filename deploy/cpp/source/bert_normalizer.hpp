// BertNormalizer of Hugging Face's tokenizers.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace pocketbert {

struct NormalizerOptions {
  bool clean_text = false;
  bool handle_chinese_chars = false;
  bool strip_accents = false;
  bool lowercase = false;
};

class BertNormalizer {
 public:
  explicit BertNormalizer(NormalizerOptions options);

  // Of valid UTF-8.
  std::string operator()(std::string_view text) const;

 private:
  std::string by_steps(std::string_view text) const;

  NormalizerOptions options_;
  std::array<char, 128> ascii_{};  // what each ASCII character becomes; see kRemoved
};

}  // namespace pocketbert
