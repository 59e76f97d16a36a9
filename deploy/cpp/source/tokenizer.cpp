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
                                      const Normalizer& normalize) {
  std::vector<AddedToken> normalized;
  for (AddedToken token : tokens) {
    if (!token.normalized) continue;
    token.content = normalize(token.content);
    normalized.push_back(std::move(token));
  }
  return normalized;
}

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

void check_room(const Template& parts, std::size_t max_length) {
  const std::size_t special = special_tokens_in(parts);
  if (max_length < special) {
    throw Error("the longest input is " + std::to_string(max_length) + " tokens, expected " +
                std::to_string(special) +
                " or more for the special tokens alone; raise max_length");
  }
}

// What is left of a text's ids.
void cut(std::vector<std::int64_t>& ids, std::size_t size, Truncation::Keep keep) {
  if (ids.size() <= size) return;
  if (keep == Truncation::Keep::tail) {
    ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(size));
  } else {
    ids.resize(size);
  }
}

// Cuts the longer text first, as the strategy LongestFirst does.
void truncate(std::vector<std::int64_t>& first, std::vector<std::int64_t>& second,
              std::size_t limit, Truncation::Keep keep) {
  if (first.size() + second.size() <= limit) return;
  const bool first_is_longer = first.size() > second.size();
  std::size_t shorter = std::min(first.size(), second.size());
  std::size_t longer = shorter > limit ? shorter : std::max(shorter, limit - shorter);
  if (shorter + longer > limit) {
    shorter = limit / 2;
    longer = shorter + limit % 2;
  }
  cut(first, first_is_longer ? longer : shorter, keep);
  cut(second, first_is_longer ? shorter : longer, keep);
}

// The first and the last half of what the model may read, special tokens included.
void keep_halves(std::vector<std::int64_t>& ids, std::size_t max_length) {
  if (ids.size() <= max_length) return;
  const auto last = static_cast<std::ptrdiff_t>(max_length / 2);
  const auto first = static_cast<std::ptrdiff_t>(max_length) - last;
  ids.erase(ids.begin() + first, ids.end() - last);
}

}  // namespace

std::size_t special_tokens_in(const Template& parts) {
  std::size_t count = 0;
  for (const TemplatePart& part : parts) count += part.ids.size();
  return count;
}

Encoding assembled(const Template& parts, const std::vector<std::int64_t>& first_ids,
                   const std::vector<std::int64_t>& second_ids) {
  Encoding encoding;
  encoding.ids.reserve(special_tokens_in(parts) + first_ids.size() + second_ids.size());
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

Tokenizer::Parts::Parts(TokenizerFile file, std::size_t longest, Truncation cut_by)
    : raw_tokens(raw_of(file.added_tokens)),
      normalizer(std::move(file.normalizer)),
      normalized_tokens(normalized_of(file.added_tokens, *normalizer)),
      pre_tokenizer(std::move(file.pre_tokenizer)),
      model(std::move(file.model)),
      single(std::move(file.single)),
      pair(std::move(file.pair)),
      pad_id(file.pad_id),
      max_length(longest),
      truncation(cut_by) {
  check_room(single, max_length);
  const std::size_t room = max_length - special_tokens_in(single);
  const bool windows = truncation.keep == Truncation::Keep::windows;
  if ((windows || truncation.window_overlap > 0) && truncation.window_overlap >= room) {
    throw Error("windows share " + std::to_string(truncation.window_overlap) +
                " tokens, expected less than " + std::to_string(room) +
                ", which is all that a window reads of the text; build the bundle again");
  }
}

Encoding Tokenizer::Parts::encode(std::string_view text, const std::string_view* second) const {
  const Template& parts = second != nullptr ? pair : single;
  check_room(parts, max_length);
  const std::size_t limit = max_length - special_tokens_in(parts);
  // Where the head is kept, the rest of a long text need not be cut into tokens.
  const bool head_only = truncation.keep == Truncation::Keep::head ||
                         truncation.keep == Truncation::Keep::windows;
  std::vector<std::int64_t> first_ids =
      ids_of(text, second == nullptr && head_only ? limit : kAll);
  std::vector<std::int64_t> second_ids;
  if (second != nullptr) second_ids = ids_of(*second, kAll);
  if (truncation.keep != Truncation::Keep::head_and_tail) {
    if (second == nullptr) {
      cut(first_ids, limit, truncation.keep);
    } else {
      truncate(first_ids, second_ids, limit, truncation.keep);
    }
    return assembled(parts, first_ids, second_ids);
  }
  Encoding encoding = assembled(parts, first_ids, second_ids);
  keep_halves(encoding.ids, max_length);
  keep_halves(encoding.type_ids, max_length);
  return encoding;
}

std::vector<Encoding> Tokenizer::Parts::windows(std::string_view text) const {
  std::vector<Encoding> found;
  if (truncation.keep != Truncation::Keep::windows) {
    found.push_back(encode(text, nullptr));  // braces would copy it
    return found;
  }
  const std::size_t limit = max_length - special_tokens_in(single);
  const std::vector<std::int64_t> ids = ids_of(text, kAll);
  for (std::size_t start = 0;; start += limit - truncation.window_overlap) {
    const std::size_t end = std::min(start + limit, ids.size());
    const auto at = [&](std::size_t place) {
      return ids.begin() + static_cast<std::ptrdiff_t>(place);
    };
    found.push_back(assembled(single, {at(start), at(end)}, {}));
    if (end == ids.size()) return found;
  }
}

std::vector<std::int64_t> Tokenizer::Parts::ids_of(std::string_view text, std::size_t limit) const {
  if (!utf8::is_valid(text)) return ids_of(utf8::replace_invalid(text), limit);
  std::vector<std::int64_t> ids;
  const PreTokenizer::Visit append_word = [&](std::string_view word) {
    model->append(word, ids);
    return ids.size() < limit;
  };
  for (const AddedTokens::Piece& raw : raw_tokens.split(text)) {
    if (ids.size() >= limit) break;
    if (raw.token != nullptr) {
      ids.push_back(raw.token->id);
      continue;
    }
    const std::string normalized = (*normalizer)(raw.text);
    for (const AddedTokens::Piece& piece : normalized_tokens.split(normalized)) {
      if (piece.token != nullptr) {
        ids.push_back(piece.token->id);
      } else {
        pre_tokenizer->for_each_word(piece.text, append_word);
      }
    }
  }
  ids.resize(std::min(ids.size(), limit));
  return ids;
}

Tokenizer::Tokenizer(const std::filesystem::path& file, std::size_t max_length,
                     Truncation truncation)
    : parts_(std::make_shared<Parts>(read_tokenizer_file(file), max_length, truncation)) {}

Encoding Tokenizer::encode(std::string_view text) const { return parts_->encode(text, nullptr); }

Encoding Tokenizer::encode(std::string_view text, std::string_view second) const {
  return parts_->encode(text, &second);
}

std::vector<Encoding> Tokenizer::windows(std::string_view text) const {
  return parts_->windows(text);
}

const Tokenizer::Parts& Tokenizer::parts() const { return *parts_; }

const Truncation& Tokenizer::truncation() const { return parts_->truncation; }

std::int64_t Tokenizer::pad_id() const { return parts_->pad_id; }

}  // namespace pocketbert
