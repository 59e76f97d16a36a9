#include "added_tokens.hpp"

#include <algorithm>
#include <utility>

#include "unicode.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

// Where the whitespace at the end of text[from, to) begins.
std::size_t trailing_whitespace(std::string_view text, std::size_t from, std::size_t to) {
  std::size_t start = from;
  for (std::size_t position = from; position < to;) {
    if (!unicode::is_whitespace(utf8::next(text, position))) start = position;
  }
  return start;
}

// Where the whitespace that begins at `from` ends.
std::size_t leading_whitespace(std::string_view text, std::size_t from) {
  std::size_t end = from;
  for (std::size_t position = from; position < text.size(); end = position) {
    if (!unicode::is_whitespace(utf8::next(text, position))) break;
  }
  return end;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.content.size() > b.content.size();
  });
  while (!tokens_.empty() && tokens_.back().content.empty()) tokens_.pop_back();
  for (const AddedToken& token : tokens_) {
    first_byte_[static_cast<unsigned char>(token.content[0])] = true;
  }
}

std::vector<AddedTokens::Piece> AddedTokens::split(std::string_view text) const {
  std::vector<Piece> pieces;
  std::size_t done = 0;
  for (std::size_t position = 0; position < text.size();) {
    const AddedToken* token = at(text, position);
    if (token == nullptr) {
      ++position;
      continue;
    }
    std::size_t start = position;
    std::size_t end = start + token->content.size();
    if (token->lstrip) start = trailing_whitespace(text, done, start);
    if (token->rstrip) end = leading_whitespace(text, end);
    if (start > done) pieces.push_back({text.substr(done, start - done), nullptr});
    pieces.push_back({text.substr(start, end - start), token});
    done = position = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done), nullptr});
  return pieces;
}

const AddedToken* AddedTokens::at(std::string_view text, std::size_t position) const {
  if (!first_byte_[static_cast<unsigned char>(text[position])]) return nullptr;
  for (const AddedToken& token : tokens_) {
    if (text.compare(position, token.content.size(), token.content) == 0) return &token;
  }
  return nullptr;
}

}  // namespace pocketbert
