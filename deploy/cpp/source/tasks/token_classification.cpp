// Entities in a text: the most probable tag of every word, read from the logits of its first token.
// Tags are numbers: O is 0, label k has B at 2k + 1 and I at 2k + 2.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "softmax.hpp"
#include "task.hpp"
#include "tokens.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

constexpr std::size_t kOutside = 0;

// The first or the last tokens, as many as there is room for.
std::vector<Token> kept_of(std::vector<Token> tokens, std::size_t room, Truncation::Keep keep) {
  if (tokens.size() <= room) return tokens;
  if (keep == Truncation::Keep::tail) {
    tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(room));
  } else {
    tokens.resize(room);
  }
  return tokens;
}

std::vector<Word> words_of(const std::vector<Token>& tokens, std::size_t before) {
  std::vector<Word> words;
  std::optional<std::size_t> last;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].word == last) {
      words.back().bytes.end = tokens[i].bytes.end;
    } else {
      words.push_back({0, before + i, tokens[i].bytes});
    }
    last = tokens[i].word;
  }
  return words;
}

// Special tokens before the text.
std::size_t tokens_before(const Template& parts) {
  std::size_t count = 0;
  for (const TemplatePart& part : parts) {
    if (part.kind == TemplatePart::Kind::first_text) break;
    count += part.ids.size();
  }
  return count;
}

// Words from `first` to before `end` that are one entity.
struct Tagged {
  std::size_t first;
  std::size_t end;
  std::size_t label;
};

// As seqeval and conlleval read tags: an I that goes on with nothing begins an entity.
std::vector<Tagged> entities_of(const std::vector<std::size_t>& tags) {
  std::vector<Tagged> found;
  for (std::size_t word = 0; word < tags.size(); ++word) {
    if (tags[word] == kOutside) continue;
    const std::size_t label = (tags[word] - 1) / 2;
    const bool goes_on = tags[word] % 2 == 0;
    if (goes_on && !found.empty() && found.back().end == word && found.back().label == label) {
      ++found.back().end;
    } else {
      found.push_back({word, word + 1, label});
    }
  }
  return found;
}

class TokenClassification : public Task {
 public:
  explicit TokenClassification(const Manifest& manifest) : Task(manifest) {
    const Truncation::Keep keep = manifest.truncation.keep;
    if (manifest.pairs || (keep != Truncation::Keep::head && keep != Truncation::Keep::tail)) {
      throw Error(
          "the manifest is of pairs, or keeps more than one end of a long text, expected single "
          "texts and their head or tail where words are labelled; build the bundle again");
    }
  }

  bool per_word() const override { return true; }

  Reading read(const Tokenizer::Parts& tokenizer, const Text& text) const override {
    Reading reading;
    reading.text = utf8::replace_invalid(text.first);
    const std::size_t room = tokenizer.max_length - special_tokens_in(tokenizer.single);
    const std::vector<Token> tokens =
        kept_of(tokens_of(tokenizer, reading.text), room, truncation_.keep);
    std::vector<std::int64_t> ids;
    for (const Token& token : tokens) ids.push_back(token.id);
    reading.rows = {assembled(tokenizer.single, ids, {})};
    reading.words = words_of(tokens, tokens_before(tokenizer.single));
    return reading;
  }

  Logits gather(const std::vector<Logits>& found, const Reading& reading) const override {
    return rows_of_words(found, reading.words, labels_.size());
  }

  AnyAnswer answer(const Logits& logits, const Reading& reading) const override {
    std::vector<std::size_t> tags;
    std::vector<float> scores;
    for (std::size_t word = 0; word < logits.rows(); ++word) {
      const std::vector<float> probabilities = softmax(logits.row(word));
      const auto best = std::max_element(probabilities.begin(), probabilities.end());
      tags.push_back(static_cast<std::size_t>(best - probabilities.begin()));
      scores.push_back(*best);
    }
    Entities answer;
    for (const Tagged& entity : entities_of(tags)) {
      float sum = 0;
      for (std::size_t word = entity.first; word < entity.end; ++word) sum += scores[word];
      const ByteRange bytes{reading.words[entity.first].bytes.start,
                            reading.words[entity.end - 1].bytes.end};
      answer.entities.push_back({span_of(reading.text, bytes), name_of(entity.label),
                                 sum / static_cast<float>(entity.end - entity.first)});
    }
    return answer;
  }

 private:
  // Of the tag that begins it, without B-.
  std::string name_of(std::size_t label) const {
    const std::string& tag = labels_[2 * label + 1];
    return tag.rfind("B-", 0) == 0 ? tag.substr(2) : tag;
  }
};

}  // namespace

std::unique_ptr<const Task> make_token_classification(const Manifest& manifest) {
  return std::make_unique<TokenClassification>(manifest);
}

}  // namespace pocketbert
