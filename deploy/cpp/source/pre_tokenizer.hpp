// How a text is cut into words, by tokenizer.json's `pre_tokenizer`.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "aligned_text.hpp"
#include "json_value.hpp"

namespace pocketbert {

class PreTokenizer {
 public:
  // Takes a word, and says whether it wants another.
  using Visit = std::function<bool(std::string_view word)>;

  virtual ~PreTokenizer() = default;

  // Calls `visit` with each word of valid UTF-8 in turn, until it returns false, which is returned.
  virtual bool for_each_word(std::string_view text, const Visit& visit) const = 0;

  // The same words where it has to be known what comes from where.
  virtual std::vector<AlignedText> words(const AlignedText& text) const;
};

std::unique_ptr<const PreTokenizer> read_pre_tokenizer(const JsonValue& pre_tokenizer);

// One a type; see pre_tokenizers.cpp.
std::unique_ptr<const PreTokenizer> read_bert_pre_tokenizer(const JsonValue& pre_tokenizer);
std::unique_ptr<const PreTokenizer> read_metaspace(const JsonValue& pre_tokenizer);
std::unique_ptr<const PreTokenizer> read_split_chinese(const JsonValue& pre_tokenizer);
std::unique_ptr<const PreTokenizer> read_whitespace_split(const JsonValue& pre_tokenizer);

}  // namespace pocketbert
