#include "language.hpp"

#include <cstdint>
#include <optional>
#include <string>

#include "json_value.hpp"
#include "manifest.hpp"
#include "pocketbert.hpp"

namespace pocketbert {
namespace {

constexpr const char* kRemedy = "build the bundle again";

}  // namespace

Language open_language(const std::filesystem::path& bundle, int beams) {
  const JsonValue tokenizer =
      JsonValue::read(bundle / kTargetTokenizerFile,
                      "the tokenizer of the language that is translated into: byte-pair encoding "
                      "and Metaspace",
                      kRemedy);
  const JsonValue generation =
      JsonValue::read(bundle / kGenerationFile, "max_tokens and beams", kRemedy);
  generation.allow_only({"max_tokens", "beams"});
  Language language{TargetTokenizer(tokenizer), 0, 1};
  language.max_tokens =
      static_cast<std::size_t>(generation.at("max_tokens").integer(1, kMaxLength));
  const auto most = static_cast<std::int64_t>(language.tokenizer.size());
  if (const std::optional<JsonValue> said = generation.find("beams")) {
    language.beams = static_cast<std::size_t>(said->integer(1, most));
  }
  if (beams < 0 || beams > most) {
    throw Error("beams is " + std::to_string(beams) + ", expected 1 to " + std::to_string(most));
  }
  if (beams > 0) language.beams = static_cast<std::size_t>(beams);
  return language;
}

}  // namespace pocketbert
