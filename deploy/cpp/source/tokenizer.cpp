#include "tokenizer.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "utf8.hpp"

namespace pocketbert {
namespace {

std::vector<AddedToken> raw_of(const std::vector<AddedToken>& tokens) {
  std::vector<AddedToken> raw;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(raw),
               [](const AddedToken& token) { return !token.normalized; });
  return raw;
}

// Tokens that are looked for in the normalised text are normalised themselves.
std::vector<AddedToken> normalized_of(const std::vector<AddedToken>& tokens,
                                      const BertNormalizer& normalize) {
  std::vector<AddedToken> normalized;
  for (AddedToken token : tokens) {
    if (!token.normalized) continue;
    token.content = normalize(token.content);
    normalized.push_back(std::move(token));
  }
  return normalized;
}

std::size_t special_tokens_in(const Template& parts) {
  std::size_t count = 0;
  for (const TemplatePart& part : parts) count += part.ids.size();
  return count;
}

void check_room(const Template& parts, std::size_t max_length) {
  const std::size_t special = special_tokens_in(parts);
  if (max_length < special) {
    throw Error("the longest input is " + std::to_string(max_length) + " tokens, expected " +
                std::to_string(special) +
                " or more for the special tokens alone; raise max_length");
  }
}

// Cuts the longer text first, as the strategy LongestFirst does.
void truncate(std::vector<std::int64_t>& first, std::vector<std::int64_t>& second,
              std::size_t limit) {
  if (first.size() + second.size() <= limit) return;
  const bool first_is_longer = first.size() > second.size();
  std::size_t shorter = std::min(first.size(), second.size());
  std::size_t longer = shorter > limit ? shorter : std::max(shorter, limit - shorter);
  if (shorter + longer > limit) {
    shorter = limit / 2;
    longer = shorter + limit % 2;
  }
  const auto cut = [](std::vector<std::int64_t>& ids, std::size_t size) {
    ids.resize(std::min(ids.size(), size));
  };
  cut(first, first_is_longer ? longer : shorter);
  cut(second, first_is_longer ? shorter : longer);
}

}  // namespace

Tokenizer::Parts::Parts(TokenizerFile file, std::size_t longest)
    : raw_tokens(raw_of(file.added_tokens)),
      normalize(file.normalizer),
      normalized_tokens(normalized_of(file.added_tokens, normalize)),
      word_piece(std::move(file.vocabulary), file.unknown_id, file.continuing_prefix,
                 file.max_characters_of_word),
      single(std::move(file.single)),
      pair(std::move(file.pair)),
      pad_id(file.pad_id),
      max_length(longest) {
  check_room(single, max_length);
}

Encoding Tokenizer::Parts::encode(std::string_view text, const std::string_view* second) const {
  const Template& parts = second != nullptr ? pair : single;
  check_room(parts, max_length);
  const std::size_t limit = max_length - special_tokens_in(parts);
  std::vector<std::int64_t> first_ids;
  std::vector<std::int64_t> second_ids;
  if (second == nullptr) {
    first_ids = ids_of(text, limit);  // the rest of a long text need not be cut into tokens
  } else {
    constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
    first_ids = ids_of(text, kAll);
    second_ids = ids_of(*second, kAll);
    truncate(first_ids, second_ids, limit);
  }

  Encoding encoding;
  encoding.ids.reserve(max_length - limit + first_ids.size() + second_ids.size());
  for (const TemplatePart& part : parts) {
    const std::vector<std::int64_t>& ids = part.kind == TemplatePart::Kind::first_text ? first_ids
                                           : part.kind == TemplatePart::Kind::second_text
                                               ? second_ids
                                               : part.ids;
    encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
    encoding.type_ids.resize(encoding.ids.size(), part.type_id);
  }
  return encoding;
}

std::vector<std::int64_t> Tokenizer::Parts::ids_of(std::string_view text, std::size_t limit) const {
  if (!utf8::is_valid(text)) return ids_of(utf8::replace_invalid(text), limit);
  std::vector<std::int64_t> ids;
  const auto append_words = [&](std::string_view normalized) {
    pre_tokenizer.for_each_word(normalized, [&](std::string_view word) {
      word_piece.append(word, ids);
      return ids.size() < limit;
    });
  };
  for (const AddedTokens::Piece& raw : raw_tokens.split(text)) {
    if (ids.size() >= limit) break;
    if (raw.token != nullptr) {
      ids.push_back(raw.token->id);
      continue;
    }
    const std::string normalized = normalize(raw.text);
    for (const AddedTokens::Piece& piece : normalized_tokens.split(normalized)) {
      if (piece.token != nullptr) {
        ids.push_back(piece.token->id);
      } else {
        append_words(piece.text);
      }
    }
  }
  ids.resize(std::min(ids.size(), limit));
  return ids;
}

Tokenizer::Tokenizer(const std::filesystem::path& file, std::size_t max_length)
    : parts_(std::make_shared<Parts>(read_tokenizer_file(file), max_length)) {}

Encoding Tokenizer::encode(std::string_view text) const { return parts_->encode(text, nullptr); }

Encoding Tokenizer::encode(std::string_view text, std::string_view second) const {
  return parts_->encode(text, &second);
}

std::int64_t Tokenizer::pad_id() const { return parts_->pad_id; }

}  // namespace pocketbert
