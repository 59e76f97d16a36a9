// WhitespaceSplit of Hugging Face's tokenizers: cuts at whitespace, which goes.

#include <cstddef>

#include "pre_tokenizer.hpp"
#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

class WhitespaceSplit : public PreTokenizer {
 public:
  bool for_each_word(std::string_view text, const Visit& visit) const override {
    std::size_t start = 0;
    for (std::size_t position = 0; position < text.size();) {
      const std::size_t here = position;
      if (!unicode::is_whitespace(utf8::next(text, position))) continue;
      if (here > start && !visit(text.substr(start, here - start))) return false;
      start = position;
    }
    return start == text.size() || visit(text.substr(start));
  }
};

}  // namespace

std::unique_ptr<const PreTokenizer> read_whitespace_split(const JsonValue&) {
  return std::make_unique<WhitespaceSplit>();
}

}  // namespace pocketbert
