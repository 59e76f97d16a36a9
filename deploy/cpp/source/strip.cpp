// Strip of Hugging Face's tokenizers: no whitespace at the ends.

#include <algorithm>
#include <cstddef>

#include "normalizer.hpp"
#include "whitespace.hpp"

namespace pocketbert {
namespace {

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  std::string operator()(std::string_view text) const override {
    return std::string(kept_of(text));
  }

  void align(AlignedText& text) const override {
    text = text.slice(kept_of(text.text()));
  }

 private:
  std::string_view kept_of(std::string_view text) const {
    const std::size_t start = left_ ? behind_whitespace(text, 0) : 0;
    const std::size_t end = right_ ? before_whitespace(text, text.size()) : text.size();
    return text.substr(start, std::max(start, end) - start);
  }

  bool left_;
  bool right_;
};

}  // namespace

std::unique_ptr<const Normalizer> read_strip(const JsonValue& normalizer) {
  return std::make_unique<Strip>(normalizer.at("strip_left").truth(),
                                 normalizer.at("strip_right").truth());
}

}  // namespace pocketbert
