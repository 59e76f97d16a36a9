// Metaspace of Hugging Face's tokenizers: spaces become a visible character, and begin words.

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pre_tokenizer.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string replacement, bool prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  bool for_each_word(std::string_view text, const Visit& visit) const override {
    const std::string marked = marked_of(text);
    return cut(marked, visit);
  }

  std::vector<AlignedText> words(const AlignedText& text) const override {
    AlignedText marked = text;
    std::vector<ByteRange> spaces;
    for (std::size_t place = 0; place < text.text().size(); ++place) {
      if (text.text()[place] == ' ') spaces.push_back({place, place + 1});
    }
    marked.replace(spaces, replacement_);
    if (prepend_ && !begins(marked.text())) marked.prepend(replacement_);
    std::vector<AlignedText> found;
    cut(marked.text(), [&](std::string_view word) {
      found.push_back(marked.slice(word));
      return true;
    });
    return found;
  }

 private:
  bool cut(std::string_view whole, const Visit& visit) const {
    if (!split_) return visit(whole);
    for (std::size_t start = 0; start < whole.size();) {
      const std::size_t end = whole.find(replacement_, start == 0 && !begins(whole)
                                                           ? 0
                                                           : start + replacement_.size());
      if (!visit(whole.substr(start, end - start))) return false;
      if (end == std::string_view::npos) break;
      start = end;
    }
    return true;
  }

  bool begins(std::string_view text) const {
    return text.substr(0, replacement_.size()) == replacement_;
  }

  std::string marked_of(std::string_view text) const {
    std::string marked;
    for (const char c : text) {
      if (c == ' ') {
        marked += replacement_;
      } else {
        marked += c;
      }
    }
    return prepend_ && !begins(marked) ? replacement_ + marked : marked;
  }

  std::string replacement_;
  bool prepend_;
  bool split_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> read_metaspace(const JsonValue& pre_tokenizer) {
  const JsonValue replacement = pre_tokenizer.at("replacement");
  std::string character = replacement.text();
  if (utf8::count(character) != 1) replacement.refuse("not one character");
  bool prepend = true;
  if (const std::optional<JsonValue> scheme = pre_tokenizer.find("prepend_scheme")) {
    prepend = scheme->one_of({"always", "never"}) == "always";
  }
  // Older files say the same with another key.
  const std::optional<JsonValue> add = pre_tokenizer.find("add_prefix_space");
  if (add && add->truth() != prepend) add->refuse("contradicts prepend_scheme");
  const std::optional<JsonValue> split = pre_tokenizer.find("split");
  return std::make_unique<Metaspace>(std::move(character), prepend, !split || split->truth());
}

}  // namespace pocketbert
