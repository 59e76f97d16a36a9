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
  pieces_.reserve(vocabulary.size());
  for (auto& [text, score] : vocabulary) {
    lowest = std::min(lowest, score);
    pieces_.push_back({std::move(text), score, static_cast<std::int64_t>(pieces_.size())});
  }
  unknown_score_ = lowest - kUnknownPenalty;
  std::sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) {
    return a.text != b.text ? a.text < b.text : a.id > b.id;
  });
  const auto repeated =
      std::unique(pieces_.begin(), pieces_.end(),
                  [](const Piece& a, const Piece& b) { return a.text == b.text; });
  pieces_.erase(repeated, pieces_.end());
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
  auto first = pieces_.begin();
  auto last = pieces_.end();
  for (std::size_t depth = 0; depth < text.size(); ++depth) {
    const auto at_depth = [depth](const Piece& piece) {
      return static_cast<unsigned char>(piece.text[depth]);
    };
    const auto byte = static_cast<unsigned char>(text[depth]);
    first = std::lower_bound(first, last, byte, [&](const Piece& piece, unsigned char value) {
      return piece.text.size() <= depth || at_depth(piece) < value;
    });
    last = std::upper_bound(first, last, byte, [&](unsigned char value, const Piece& piece) {
      return value < at_depth(piece);
    });
    if (first == last) return;
    if (first->text.size() == depth + 1) visit(*first);
  }
}

const Unigram::Piece* Unigram::find(std::string_view text) const {
  const auto found =
      std::lower_bound(pieces_.begin(), pieces_.end(), text,
                       [](const Piece& piece, std::string_view value) { return piece.text < value; });
  return found != pieces_.end() && found->text == text ? &*found : nullptr;
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
    for_each_prefix(word.substr(start), [&](const Piece& piece) {
      offer(start + piece.text.size(), piece.score, piece.id);
      has_character = has_character || start + piece.text.size() == next;
    });
    if (!has_character) offer(next, unknown_score_, unknown_id_);
  }
  return steps;
}

void Unigram::append(std::string_view word, std::vector<std::int64_t>& ids) const {
  const std::vector<Step> steps = best_steps(word);
  std::vector<std::size_t> ends;  // from the last to the first
  bool unknown_before = false;
  for (std::size_t end = word.size(); end > 0; end = steps[end].start) {
    const bool unknown = steps[end].id == unknown_id_;
    // Neighbouring unknown pieces are one.
    if (!unknown || !unknown_before) ends.push_back(end);
    unknown_before = unknown;
  }
  std::size_t start = 0;
  for (auto end = ends.rbegin(); end != ends.rend(); start = *end++) {
    append_piece(word.substr(start, *end - start), ids);
  }
}

void Unigram::append_piece(std::string_view text, std::vector<std::int64_t>& ids) const {
  if (const Piece* piece = find(text)) {
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
  const Piece* piece = find(token);
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
