#include "tokens.hpp"

#include <utility>

namespace pocketbert {
namespace {

// Appends the tokens of one text after the other.
class Tokens {
 public:
  explicit Tokens(const TokenModel& model) : model_(model) {}

  void append_added(std::int64_t id, const AlignedText& text) {
    tokens_.push_back({id, text.origin(0, text.text().size()), words_++});
  }

  void append_word(const AlignedText& word) {
    for (const Piece& piece : model_.pieces(word.text())) {
      tokens_.push_back({piece.id, word.origin(piece.bytes.start, piece.bytes.end), words_});
    }
    ++words_;
  }

  std::vector<Token> take() { return std::move(tokens_); }

 private:
  const TokenModel& model_;
  std::vector<Token> tokens_;
  std::size_t words_ = 0;
};

}  // namespace

std::vector<Token> tokens_of(const Tokenizer::Parts& tokenizer, std::string_view text) {
  Tokens tokens(*tokenizer.model);
  const AlignedText original(text);
  for (const AddedTokens::Piece& raw : tokenizer.raw_tokens.split(original.text())) {
    AlignedText part = original.slice(raw.text);
    if (raw.token != nullptr) {
      tokens.append_added(raw.token->id, part);
      continue;
    }
    tokenizer.normalizer->align(part);
    for (const AddedTokens::Piece& piece : tokenizer.normalized_tokens.split(part.text())) {
      const AlignedText stretch = part.slice(piece.text);
      if (piece.token != nullptr) {
        tokens.append_added(piece.token->id, stretch);
        continue;
      }
      for (const AlignedText& word : tokenizer.pre_tokenizer->words(stretch)) {
        tokens.append_word(word);
      }
    }
  }
  return tokens.take();
}

}  // namespace pocketbert
