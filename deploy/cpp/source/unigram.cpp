#include "unigram.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "decimal.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

// How much worse an unknown character is than the worst piece.
constexpr double kUnknownPenalty = 10;

}  // namespace

Unigram::Unigram(std::vector<std::pair<std::string, double>> vocabulary, std::int64_t unknown_id,
                 bool byte_fallback)
    : unknown_id_(unknown_id) {
  double lowest = std::numeric_limits<double>::infinity();
  entries_.reserve(vocabulary.size());
  for (auto& [text, score] : vocabulary) {
    lowest = std::min(lowest, score);
    entries_.push_back({std::move(text), score, static_cast<std::int64_t>(entries_.size())});
  }
  unknown_score_ = lowest - kUnknownPenalty;
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.text != b.text ? a.text < b.text : a.id > b.id;
  });
  const auto repeated =
      std::unique(entries_.begin(), entries_.end(),
                  [](const Entry& a, const Entry& b) { return a.text == b.text; });
  entries_.erase(repeated, entries_.end());
  if (!byte_fallback) return;
  std::array<std::int64_t, 256> bytes{};
  for (unsigned byte = 0; byte < bytes.size(); ++byte) {
    std::array<char, 7> name{};
    std::snprintf(name.data(), name.size(), "<0x%02X>", byte);
    bytes[byte] = id_of(name.data()).value_or(-1);
  }
  bytes_ = bytes;
}

// Calls `visit` with the pieces that the text begins with, the shortest first.
template <typename Visit>
void Unigram::for_each_prefix(std::string_view text, Visit visit) const {
  auto first = entries_.begin();
  auto last = entries_.end();
  for (std::size_t depth = 0; depth < text.size(); ++depth) {
    const auto at_depth = [depth](const Entry& piece) {
      return static_cast<unsigned char>(piece.text[depth]);
    };
    const auto byte = static_cast<unsigned char>(text[depth]);
    first = std::lower_bound(first, last, byte, [&](const Entry& piece, unsigned char value) {
      return piece.text.size() <= depth || at_depth(piece) < value;
    });
    last = std::upper_bound(first, last, byte, [&](unsigned char value, const Entry& piece) {
      return value < at_depth(piece);
    });
    if (first == last) return;
    if (first->text.size() == depth + 1) visit(*first);
  }
}

const Unigram::Entry* Unigram::find(std::string_view text) const {
  const auto found =
      std::lower_bound(entries_.begin(), entries_.end(), text,
                       [](const Entry& piece, std::string_view value) { return piece.text < value; });
  return found != entries_.end() && found->text == text ? &*found : nullptr;
}

// Of equally good ways to a place, the one whose last piece is longest.
std::vector<Unigram::Step> Unigram::best_steps(std::string_view word) const {
  std::vector<Step> steps(word.size() + 1);
  for (std::size_t start = 0, next = 0; start < word.size(); start = next) {
    utf8::next(word, next);
    const double score = steps[start].score;
    const auto offer = [&](std::size_t end, double more, std::int64_t id) {
      if (steps[end].id < 0 || more + score > steps[end].score) {
        steps[end] = {start, more + score, id};
      }
    };
    bool has_character = false;
    for_each_prefix(word.substr(start), [&](const Entry& piece) {
      offer(start + piece.text.size(), piece.score, piece.id);
      has_character = has_character || start + piece.text.size() == next;
    });
    if (!has_character) offer(next, unknown_score_, unknown_id_);
  }
  return steps;
}

// The word cut in the best way; neighbouring unknown parts are one.
std::vector<std::string_view> Unigram::best_parts(std::string_view word) const {
  const std::vector<Step> steps = best_steps(word);
  std::vector<std::string_view> parts;  // from the last to the first
  bool unknown_before = false;
  for (std::size_t end = word.size(); end > 0; end = steps[end].start) {
    const bool unknown = steps[end].id == unknown_id_;
    const std::string_view part = word.substr(steps[end].start, end - steps[end].start);
    if (unknown && unknown_before) {
      parts.back() = {part.data(), part.size() + parts.back().size()};
    } else {
      parts.push_back(part);
    }
    unknown_before = unknown;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

void Unigram::append(std::string_view word, std::vector<std::int64_t>& ids) const {
  for (const std::string_view part : best_parts(word)) append_part(part, ids);
}

std::vector<Piece> Unigram::pieces(std::string_view word) const {
  std::vector<Piece> found;
  std::size_t start = 0;
  for (const std::string_view part : best_parts(word)) {
    std::vector<std::int64_t> ids;
    append_part(part, ids);
    for (const std::int64_t id : ids) found.push_back({id, {start, start + part.size()}});
    start += part.size();
  }
  return found;
}

void Unigram::append_part(std::string_view text, std::vector<std::int64_t>& ids) const {
  if (const Entry* piece = find(text)) {
    ids.push_back(piece->id);
    return;
  }
  const auto id_of_byte = [&](char byte) { return (*bytes_)[static_cast<unsigned char>(byte)]; };
  const bool by_bytes = bytes_ && std::all_of(text.begin(), text.end(),
                                              [&](char byte) { return id_of_byte(byte) >= 0; });
  if (by_bytes) {
    for (const char byte : text) ids.push_back(id_of_byte(byte));
  } else {
    ids.push_back(unknown_id_);
  }
}

std::optional<std::int64_t> Unigram::id_of(const std::string& token) const {
  const Entry* piece = find(token);
  if (piece == nullptr) return std::nullopt;
  return piece->id;
}

std::unique_ptr<const TokenModel> read_unigram(const JsonValue& model) {
  std::vector<std::pair<std::string, double>> vocabulary;
  for (const JsonValue& entry : model.at("vocab").items()) {
    const std::vector<JsonValue> piece = entry.items();
    if (piece.size() != 2) entry.refuse("no piece and its score");
    vocabulary.emplace_back(piece[0].text(), decimal::as_serde_reads(piece[1].number()));
  }
  if (vocabulary.empty()) model.at("vocab").refuse("no pieces");
  const std::int64_t unknown_id =
      model.at("unk_id").integer(0, static_cast<std::int64_t>(vocabulary.size()) - 1);
  const std::optional<JsonValue> fallback = model.find("byte_fallback");
  return std::make_unique<Unigram>(std::move(vocabulary), unknown_id,
                                   fallback && fallback->truth());
}

}  // namespace pocketbert
