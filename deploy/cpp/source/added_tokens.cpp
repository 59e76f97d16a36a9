#include "added_tokens.hpp"

#include <algorithm>
#include <utility>

#include "whitespace.hpp"

namespace pocketbert {

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
    const std::size_t end = position + token->content.size();
    const std::size_t start =
        token->lstrip ? std::max(done, before_whitespace(text, position)) : position;
    if (start > done) pieces.push_back({text.substr(done, start - done), nullptr});
    done = token->rstrip ? behind_whitespace(text, end) : end;
    pieces.push_back({text.substr(start, done - start), token});
    position = end;
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
