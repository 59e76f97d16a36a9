#include "word_piece.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "utf8.hpp"

namespace pocketbert {

WordPiece::WordPiece(Vocabulary vocabulary, std::int64_t unknown_id,
                     const std::string& continuing_prefix, std::size_t max_characters)
    : vocabulary_(std::move(vocabulary)), unknown_id_(unknown_id), max_characters_(max_characters) {
  beginnings_.reserve(vocabulary_.size());
  continuations_.reserve(vocabulary_.size());
  for (const auto& [token, id] : vocabulary_) {
    const std::string_view piece = token;
    beginnings_.emplace(piece, id);
    if (piece.substr(0, continuing_prefix.size()) == continuing_prefix) {
      continuations_.emplace(piece.substr(continuing_prefix.size()), id);
    }
    longest_bytes_ = std::max(longest_bytes_, piece.size());
  }
}

void WordPiece::append(std::string_view word, std::vector<std::int64_t>& ids) const {
  const std::size_t before = ids.size();
  const auto give_up = [&] {
    ids.resize(before);
    ids.push_back(unknown_id_);
  };
  if (utf8::count(word) > max_characters_) return give_up();
  const Pieces* pieces = &beginnings_;
  while (!word.empty()) {
    std::size_t size = std::min(word.size(), longest_bytes_);
    auto found = pieces->end();
    for (; size > 0 && found == pieces->end(); --size) found = pieces->find(word.substr(0, size));
    if (found == pieces->end()) return give_up();
    ids.push_back(found->second);
    word.remove_prefix(found->first.size());
    pieces = &continuations_;
  }
}

std::optional<std::int64_t> WordPiece::id_of(const std::string& token) const {
  const auto found = vocabulary_.find(token);
  if (found == vocabulary_.end()) return std::nullopt;
  return found->second;
}

std::unique_ptr<const TokenModel> read_word_piece(const JsonValue& model) {
  WordPiece::Vocabulary vocabulary;
  for (const auto& [token, id] : model.at("vocab").members()) {
    vocabulary.emplace(token, id.integer(0, std::numeric_limits<std::uint32_t>::max()));
  }
  const JsonValue unknown = model.at("unk_token");
  const auto found = vocabulary.find(unknown.text());
  if (found == vocabulary.end()) unknown.refuse("not in the vocabulary");
  const std::int64_t unknown_id = found->second;
  const std::int64_t max_characters =
      model.at("max_input_chars_per_word").integer(0, std::numeric_limits<std::int32_t>::max());
  return std::make_unique<WordPiece>(std::move(vocabulary), unknown_id,
                                     model.at("continuing_subword_prefix").text(),
                                     static_cast<std::size_t>(max_characters));
}

}  // namespace pocketbert
