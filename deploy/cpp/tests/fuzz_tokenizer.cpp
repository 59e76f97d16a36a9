// Fuzzes a tokenizer: text, invalid UTF-8 included, and pairs.
//
// FUZZ_TOKENIZER names the tokenizer.json. Whatever the text is, there are no more tokens than
// asked for, and every id is one of the vocabulary's.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pocketbert.hpp"

namespace {

constexpr std::size_t kMaxLength = 24;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_encoding(const pocketbert::Encoding& encoding) {
  check(encoding.ids.size() <= kMaxLength);
  check(encoding.ids.size() == encoding.type_ids.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const pocketbert::Tokenizer tokenizer(std::getenv("FUZZ_TOKENIZER"), kMaxLength);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_encoding(tokenizer.encode(text));
  check_encoding(tokenizer.encode(text.substr(0, size / 2), text.substr(size / 2)));
  return 0;
}
