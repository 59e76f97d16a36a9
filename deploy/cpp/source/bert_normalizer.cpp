#include "bert_normalizer.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

constexpr char kRemoved = '\x80';  // no ASCII character

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

std::u32string characters_of(std::string_view text) {
  std::u32string characters;
  for (std::size_t position = 0; position < text.size();) {
    characters += utf8::next(text, position);
  }
  return characters;
}

std::u32string cleaned(std::u32string_view text) {
  std::u32string out;
  for (char32_t c : text) {
    if (!unicode::is_removed_by_cleaning(c)) out += unicode::is_space_to_cleaning(c) ? U' ' : c;
  }
  return out;
}

std::u32string with_chinese_apart(std::u32string_view text) {
  std::u32string out;
  for (char32_t c : text) {
    const bool chinese = unicode::is_chinese(c);
    if (chinese) out += U' ';
    out += c;
    if (chinese) out += U' ';
  }
  return out;
}

std::u32string without_nonspacing_marks(std::u32string_view text) {
  std::u32string out;
  for (char32_t c : text) {
    if (!unicode::is_nonspacing_mark(c)) out += c;
  }
  return out;
}

}  // namespace

BertNormalizer::BertNormalizer(NormalizerOptions options) : options_(options) {
  for (std::size_t c = 0; c < ascii_.size(); ++c) {
    const std::string becomes = by_steps(std::string(1, static_cast<char>(c)));
    ascii_[c] = becomes.empty() ? kRemoved : becomes[0];
  }
}

std::string BertNormalizer::operator()(std::string_view text) const {
  if (!std::all_of(text.begin(), text.end(), is_ascii)) return by_steps(text);
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    const char becomes = ascii_[static_cast<std::size_t>(c)];
    if (becomes != kRemoved) out += becomes;
  }
  return out;
}

void BertNormalizer::align(AlignedText& text) const {
  using Step = std::u32string (*)(std::u32string_view);
  const auto map = [&](Step step) {
    text.map([step](char32_t c) { return step(std::u32string_view(&c, 1)); });
  };
  if (options_.clean_text) map(cleaned);
  if (options_.handle_chinese_chars) map(with_chinese_apart);
  if (options_.strip_accents) {
    std::vector<AlignedText::Change> changes;
    for (const unicode::Decomposed& piece : unicode::decomposed(characters_of(text.text()))) {
      changes.push_back({piece.character, piece.is_first ? 0 : 1});
    }
    text.transform(changes);
    map(without_nonspacing_marks);
  }
  if (options_.lowercase) map(unicode::lowercase);
}

std::string BertNormalizer::by_steps(std::string_view text) const {
  std::u32string characters = characters_of(text);
  if (options_.clean_text) characters = cleaned(characters);
  if (options_.handle_chinese_chars) characters = with_chinese_apart(characters);
  if (options_.strip_accents) characters = unicode::without_marks(characters);
  if (options_.lowercase) characters = unicode::lowercase(characters);
  std::string out;
  for (char32_t c : characters) utf8::append(c, out);
  return out;
}

std::unique_ptr<const Normalizer> read_bert_normalizer(const JsonValue& normalizer) {
  NormalizerOptions options;
  options.clean_text = normalizer.at("clean_text").truth();
  options.handle_chinese_chars = normalizer.at("handle_chinese_chars").truth();
  options.lowercase = normalizer.at("lowercase").truth();
  const JsonValue strip_accents = normalizer.at("strip_accents");
  options.strip_accents = strip_accents.is_null() ? options.lowercase : strip_accents.truth();
  return std::make_unique<BertNormalizer>(options);
}

}  // namespace pocketbert
