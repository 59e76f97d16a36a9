// Replace of Hugging Face's tokenizers, for a text, and for the one expression that SentencePiece's
// tokenizers have: two spaces or more.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "normalizer.hpp"

namespace pocketbert {
namespace {

class Replace : public Normalizer {
 public:
  explicit Replace(std::string becomes) : becomes_(std::move(becomes)) {}

  std::string operator()(std::string_view text) const override {
    std::string out;
    std::size_t done = 0;
    for (const ByteRange& place : places_in(text)) {
      out += text.substr(done, place.start - done);
      out += becomes_;
      done = place.end;
    }
    out += text.substr(done);
    return out;
  }

  void align(AlignedText& text) const override { text.replace(places_in(text.text()), becomes_); }

 private:
  virtual std::vector<ByteRange> places_in(std::string_view text) const = 0;

  std::string becomes_;
};

class ReplaceText : public Replace {
 public:
  ReplaceText(std::string found, std::string becomes)
      : Replace(std::move(becomes)), found_(std::move(found)) {}

 private:
  std::vector<ByteRange> places_in(std::string_view text) const override {
    std::vector<ByteRange> places;
    for (std::size_t end = 0;;) {
      const std::size_t start = text.find(found_, end);
      if (start == std::string_view::npos) return places;
      end = start + found_.size();
      places.push_back({start, end});
    }
  }

  std::string found_;
};

class ReplaceSpaces : public Replace {
 public:
  using Replace::Replace;

 private:
  std::vector<ByteRange> places_in(std::string_view text) const override {
    std::vector<ByteRange> places;
    for (std::size_t end = 0;;) {
      const std::size_t start = text.find("  ", end);
      if (start == std::string_view::npos) return places;
      end = std::min(text.find_first_not_of(' ', start), text.size());
      places.push_back({start, end});
    }
  }
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
