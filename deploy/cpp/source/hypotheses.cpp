#include "hypotheses.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace pocketbert {
namespace {

constexpr double kNever = -1e9;  // the sum of a beginning that is not followed

void keep_best(Written text, std::size_t count, std::vector<Written>& ended) {
  const auto behind_better = std::find_if(
      ended.begin(), ended.end(), [&](const Written& one) { return one.score < text.score; });
  ended.insert(behind_better, std::move(text));
  if (ended.size() > count) ended.pop_back();
}

std::vector<std::int64_t> longer(std::vector<std::int64_t> ids, std::int64_t token) {
  ids.push_back(token);
  return ids;
}

}  // namespace

Hypotheses::Hypotheses(std::size_t beams, std::int64_t end_id)
    : beams_(beams), end_id_(end_id), going_(beams, Beginning{{}, kNever}) {
  going_[0].sum = 0;  // all begin alike: one is enough
}

std::vector<std::size_t> Hypotheses::follow(const std::vector<double>* chances,
                                            std::size_t length) {
  std::vector<std::size_t> rows(beams_);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (done_) return rows;
  rows.clear();
  std::vector<Beginning> going;
  const std::vector<Candidate> candidates = likeliest(chances);
  for (std::size_t rank = 0; rank < candidates.size(); ++rank) {
    const auto& [row, token, sum] = candidates[rank];
    if (token == end_id_) {
      if (rank >= beams_) continue;
      const double score = sum / static_cast<double>(length);
      keep_best({longer(going_[row].ids, token), score}, beams_, ended_);
    } else if (going.size() < beams_) {
      rows.push_back(row);
      going.push_back({longer(going_[row].ids, token), sum});
    }
  }
  going_ = std::move(going);
  // The likeliest of them is the first.
  done_ = ended_.size() == beams_ &&
          ended_.back().score >= going_[0].sum / static_cast<double>(length);
  return rows;
}

// Of all beginnings with all next tokens twice as many as beams, so that enough are left where all
// others end; of equals the first.
std::vector<Hypotheses::Candidate> Hypotheses::likeliest(const std::vector<double>* chances) const {
  std::vector<Candidate> all;
  all.reserve(beams_ * chances[0].size());
  for (std::size_t row = 0; row < beams_; ++row) {
    for (const double chance : chances[row]) {
      const auto token = static_cast<std::int64_t>(all.size() % chances[0].size());
      all.push_back({row, token, going_[row].sum + chance});
    }
  }
  const std::size_t count = std::min(2 * beams_, all.size());
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(all.begin(), middle, all.end(), [](const Candidate& a, const Candidate& b) {
    if (a.sum != b.sum) return a.sum > b.sum;
    return std::pair(a.row, a.token) < std::pair(b.row, b.token);
  });
  all.resize(count);
  return all;
}

std::vector<std::int64_t> Hypotheses::last() const {
  std::vector<std::int64_t> tokens;
  for (const Beginning& one : going_) tokens.push_back(one.ids.back());
  return tokens;
}

Written Hypotheses::best() const {
  std::vector<Written> texts = ended_;
  if (!done_) {
    for (const Beginning& one : going_) {
      keep_best({one.ids, one.sum / static_cast<double>(one.ids.size())}, beams_, texts);
    }
  }
  return texts[0];
}

}  // namespace pocketbert
