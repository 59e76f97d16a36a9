// Replace of Hugging Face's tokenizers, for a text, and for the one expression that SentencePiece's
// tokenizers have: two spaces or more.

#include <cstddef>
#include <optional>
#include <utility>

#include "normalizer.hpp"

namespace pocketbert {
namespace {

class ReplaceText : public Normalizer {
 public:
  ReplaceText(std::string found, std::string becomes)
      : found_(std::move(found)), becomes_(std::move(becomes)) {}

  std::string operator()(std::string_view text) const override {
    std::string out;
    for (std::size_t start = 0;;) {
      const std::size_t end = text.find(found_, start);
      out += text.substr(start, end - start);
      if (end == std::string_view::npos) return out;
      out += becomes_;
      start = end + found_.size();
    }
  }

 private:
  std::string found_;
  std::string becomes_;
};

class ReplaceSpaces : public Normalizer {
 public:
  explicit ReplaceSpaces(std::string becomes) : becomes_(std::move(becomes)) {}

  std::string operator()(std::string_view text) const override {
    std::string out;
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t spaces = text.find("  ", start);
      out += text.substr(start, spaces - start);
      if (spaces == std::string_view::npos) return out;
      out += becomes_;
      start = text.find_first_not_of(' ', spaces);
      if (start == std::string_view::npos) return out;
    }
    return out;
  }

 private:
  std::string becomes_;
};

}  // namespace

std::unique_ptr<const Normalizer> read_replace(const JsonValue& normalizer) {
  const JsonValue pattern = normalizer.at("pattern");
  std::string becomes = normalizer.at("content").text();
  if (pattern.find("Regex")) {
    pattern.at("Regex").one_of({" {2,}"});
    return std::make_unique<ReplaceSpaces>(std::move(becomes));
  }
  std::string found = pattern.at("String").text();
  if (found.empty()) pattern.refuse("an empty text");
  return std::make_unique<ReplaceText>(std::move(found), std::move(becomes));
}

}  // namespace pocketbert
