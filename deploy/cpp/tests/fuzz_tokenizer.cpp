// Fuzzes a tokenizer: text, invalid UTF-8 included, and pairs.
//
// FUZZ_TOKENIZER names the tokenizer.json. Whatever the text is, there are no more tokens than
// asked for, and every id is one of the vocabulary's. With offsets there are the same ids, and every
// token lies within the text.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "pocketbert.hpp"
#include "tokenizer.hpp"
#include "tokens.hpp"
#include "utf8.hpp"

namespace {

constexpr std::size_t kMaxLength = 24;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_encoding(const pocketbert::Encoding& encoding) {
  check(encoding.ids.size() <= kMaxLength);
  check(encoding.ids.size() == encoding.type_ids.size());
}

void check_tokens(const pocketbert::Tokenizer::Parts& tokenizer, std::string_view bytes) {
  const std::string text = pocketbert::utf8::replace_invalid(bytes);
  std::vector<std::int64_t> ids;
  for (const pocketbert::Token& token : pocketbert::tokens_of(tokenizer, text)) {
    check(token.bytes.start <= token.bytes.end && token.bytes.end <= text.size());
    ids.push_back(token.id);
  }
  check(ids == tokenizer.ids_of(text, std::numeric_limits<std::size_t>::max()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const pocketbert::Tokenizer tokenizer(std::getenv("FUZZ_TOKENIZER"), kMaxLength);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_encoding(tokenizer.encode(text));
  check_tokens(tokenizer.parts(), text);
  check_encoding(tokenizer.encode(text.substr(0, size / 2), text.substr(size / 2)));
  return 0;
}
