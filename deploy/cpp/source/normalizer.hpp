// What is done to a text before it is cut, by tokenizer.json's `normalizer`.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "aligned_text.hpp"
#include "json_value.hpp"

namespace pocketbert {

class Normalizer {
 public:
  virtual ~Normalizer() = default;

  // Of valid UTF-8.
  virtual std::string operator()(std::string_view text) const = 0;

  // The same where it has to be known what comes from where.
  virtual void align(AlignedText& text) const = 0;
};

std::unique_ptr<const Normalizer> read_normalizer(const JsonValue& normalizer);

// One a type; see normalizers.cpp.
std::unique_ptr<const Normalizer> read_bert_normalizer(const JsonValue& normalizer);
std::unique_ptr<const Normalizer> read_precompiled(const JsonValue& normalizer);
std::unique_ptr<const Normalizer> read_replace(const JsonValue& normalizer);
std::unique_ptr<const Normalizer> read_strip(const JsonValue& normalizer);

}  // namespace pocketbert
