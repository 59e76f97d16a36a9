#include "precompiled.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include "graphemes.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

constexpr std::size_t kLongestReplacedWhole = 5;  // bytes of a grapheme

std::size_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & 1U << 9) >> 6); }
bool has_value(std::uint32_t unit) { return (unit >> 8 & 1U) != 0; }
std::size_t value_of(std::uint32_t unit) { return unit & ~(1U << 31); }
std::uint32_t label_of(std::uint32_t unit) { return unit & (1U << 31 | 0xFFU); }

int digit_of(char c) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t found = kDigits.find(c);
  return found == std::string_view::npos ? -1 : static_cast<int>(found);
}

// Base64 with padding.
std::string bytes_of(const JsonValue& value) {
  std::string text = value.text();
  if (text.size() % 4 != 0) value.refuse("no base64");
  for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding) {
    text.pop_back();
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int digit = digit_of(c);
    if (digit < 0) value.refuse("no base64");
    bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFFU;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xFFU);
  }
  return bytes;
}

std::uint32_t number_at(std::string_view bytes, std::size_t place) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;) {
    number = number << 8 | static_cast<unsigned char>(bytes[place + i]);
  }
  return number;
}

}  // namespace

Precompiled::Precompiled(std::vector<std::uint32_t> trie, std::string texts)
    : trie_(std::move(trie)), texts_(std::move(texts)) {}

// Calls `visit` with each part and what it becomes, if it changes. As the library: a grapheme that is
// short and begins with anything in the table becomes what that becomes, and the rest of it is
// lost; of another grapheme each code point is replaced by itself.
template <typename Visit>
void Precompiled::for_each_part(std::string_view text, Visit visit) const {
  for (const std::string_view grapheme : graphemes_of(text)) {
    if (grapheme.size() <= kLongestReplacedWhole) {
      if (const std::optional<std::string_view> becomes = replacement_of(grapheme)) {
        visit(grapheme, becomes);
        continue;
      }
    }
    for (std::size_t position = 0; position < grapheme.size();) {
      const std::size_t start = position;
      utf8::next(grapheme, position);
      const std::string_view character = grapheme.substr(start, position - start);
      visit(character, replacement_of(character));
    }
  }
}

std::string Precompiled::operator()(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for_each_part(text, [&](std::string_view part, std::optional<std::string_view> becomes) {
    out += becomes.value_or(part);
  });
  return out;
}

// As the library counts: further characters come from where the one before them comes from, and
// what is lost goes with the last character, wherever that came from.
void Precompiled::align(AlignedText& text) const {
  std::vector<AlignedText::Change> changes;
  for_each_part(text.text(), [&](std::string_view part, std::optional<std::string_view> becomes) {
    const std::string_view now = becomes.value_or(part);
    const auto more = static_cast<int>(utf8::count(now)) - static_cast<int>(utf8::count(part));
    for (std::size_t position = 0; position < now.size();) {
      changes.push_back({utf8::next(now, position), 0});
    }
    for (int i = 1; i <= more; ++i) (changes.end() - i)->characters = 1;
    if (more < 0 && !changes.empty()) changes.back().characters += more;
  });
  text.transform(changes);
}

// What the shortest beginning of the text that is in the table becomes.
std::optional<std::string_view> Precompiled::replacement_of(std::string_view text) const {
  std::size_t place = offset_of(trie_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    place ^= byte;
    if (byte == 0 || place >= trie_.size() || label_of(trie_[place]) != byte) return std::nullopt;
    const std::uint32_t unit = trie_[place];
    place ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (place >= trie_.size() || value_of(trie_[place]) > texts_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(texts_).substr(value_of(trie_[place]));
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

std::unique_ptr<const Normalizer> read_precompiled(const JsonValue& normalizer) {
  const JsonValue value = normalizer.at("precompiled_charsmap");
  const std::string bytes = bytes_of(value);
  constexpr std::size_t kNumber = sizeof(std::uint32_t);
  const std::size_t size = bytes.size() < kNumber ? 0 : number_at(bytes, 0) / kNumber;
  if (size == 0 || size > (bytes.size() - kNumber) / kNumber) value.refuse("a table that is cut off");
  std::vector<std::uint32_t> trie(size);
  for (std::size_t i = 0; i < size; ++i) trie[i] = number_at(bytes, kNumber * (i + 1));
  std::string texts = bytes.substr(kNumber * (size + 1));
  if (!utf8::is_valid(texts)) value.refuse("a table that is not UTF-8");
  return std::make_unique<Precompiled>(std::move(trie), std::move(texts));
}

}  // namespace pocketbert
