// Fuzzes what reads JSON: a document is a manifest, a tokenizer that then encodes, one that decodes,
// or an Error.

#include <cstddef>
#include <cstdint>
#include <string>

#include "json_value.hpp"
#include "manifest.hpp"
#include "pocketbert.hpp"
#include "target_tokenizer.hpp"
#include "tokenizer.hpp"
#include "tokenizer_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string document(reinterpret_cast<const char*>(data), size);
  try {
    pocketbert::parse_manifest(document, "manifest.json");
  } catch (const pocketbert::Error&) {
  }
  try {
    const auto root = pocketbert::JsonValue::parse(document, "tokenizer.json", "one", "try again");
    const pocketbert::Tokenizer::Parts parts(pocketbert::parse_tokenizer_file(root), 8, {});
    const std::string_view second = "[SEP] b";
    parts.encode(document, nullptr);
    parts.encode("a [SEP]  \xC3\x89tude", &second);
  } catch (const pocketbert::Error&) {
  }
  try {
    const auto root = pocketbert::JsonValue::parse(document, "tokenizer.json", "one", "try again");
    pocketbert::TargetTokenizer(root).decode({0, 1, 2, 3, 4, 5, 6, 7, 4, -1});
  } catch (const pocketbert::Error&) {
  }
  return 0;
}
