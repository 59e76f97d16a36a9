#include "word_piece.hpp"

#include <algorithm>
#include <limits>

#include "utf8.hpp"

namespace pocketbert {
namespace {

// The pieces that have a prefix, without it.
std::vector<PieceTable::Entry> entries_of(const WordPiece::Vocabulary& vocabulary,
                                          std::string_view prefix) {
  std::vector<PieceTable::Entry> entries;
  for (const auto& [token, id] : vocabulary) {
    const std::string_view piece = token;
    if (piece.substr(0, prefix.size()) == prefix) {
      entries.push_back({piece.substr(prefix.size()), id});
    }
  }
  return entries;
}

}  // namespace

WordPiece::WordPiece(const Vocabulary& vocabulary, std::int64_t unknown_id,
                     const std::string& continuing_prefix, std::size_t max_characters)
    : beginnings_(entries_of(vocabulary, "")),
      continuations_(entries_of(vocabulary, continuing_prefix)),
      unknown_id_(unknown_id),
      max_characters_(max_characters) {
  for (const auto& [token, id] : vocabulary) longest_bytes_ = std::max(longest_bytes_, token.size());
}

// Calls `take` with the id and the bytes of each piece; false where the word is not known.
template <typename Take>
bool WordPiece::cut(std::string_view word, Take take) const {
  if (utf8::count(word) > max_characters_) return false;
  const PieceTable* pieces = &beginnings_;
  while (!word.empty()) {
    std::size_t size = std::min(word.size(), longest_bytes_);
    std::optional<std::uint32_t> found;
    for (; size > 0; --size) {
      found = pieces->find(word.substr(0, size));
      if (found) break;
    }
    if (!found) return false;
    take(std::int64_t{*found}, size);
    word.remove_prefix(size);
    pieces = &continuations_;
  }
  return true;
}

void WordPiece::append(std::string_view word, std::vector<std::int64_t>& ids) const {
  const std::size_t before = ids.size();
  if (cut(word, [&](std::int64_t id, std::size_t) { ids.push_back(id); })) return;
  ids.resize(before);
  ids.push_back(unknown_id_);
}

std::vector<Piece> WordPiece::pieces(std::string_view word) const {
  std::vector<Piece> found;
  std::size_t start = 0;
  const auto take = [&](std::int64_t id, std::size_t size) {
    found.push_back({id, {start, start + size}});
    start += size;
  };
  if (!cut(word, take)) return {{unknown_id_, {0, word.size()}}};
  return found;
}

std::optional<std::int64_t> WordPiece::id_of(const std::string& token) const {
  return beginnings_.find(token);
}

std::unique_ptr<const TokenModel> read_word_piece(const JsonValue& model) {
  WordPiece::Vocabulary vocabulary;
  for (const auto& [token, id] : model.at("vocab").members()) {
    const std::int64_t number = id.integer(0, std::numeric_limits<std::uint32_t>::max());
    vocabulary.emplace(token, static_cast<std::uint32_t>(number));
  }
  const JsonValue unknown = model.at("unk_token");
  const auto found = vocabulary.find(unknown.text());
  if (found == vocabulary.end()) unknown.refuse("not in the vocabulary");
  const std::int64_t unknown_id = found->second;
  const std::int64_t max_characters =
      model.at("max_input_chars_per_word").integer(0, std::numeric_limits<std::int32_t>::max());
  return std::make_unique<WordPiece>(vocabulary, unknown_id,
                                     model.at("continuing_subword_prefix").text(),
                                     static_cast<std::size_t>(max_characters));
}

}  // namespace pocketbert
