// The beginnings of one text that are followed, and those that have ended.
//
// Candidates, ends and when a text is done are as in transformers' beam search without early
// stopping and with a length penalty of 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "writing.hpp"

namespace pocketbert {

class Hypotheses {
 public:
  Hypotheses(std::size_t beams, std::int64_t end_id);

  // Takes the likeliest next tokens; returns which beginning each goes on from. `chances` has the
  // log-probabilities of every beginning's next token, `length` counts tokens with that one.
  std::vector<std::size_t> follow(const std::vector<double>* chances, std::size_t length);

  // The last token of each beginning.
  std::vector<std::int64_t> last() const;

  bool done() const { return done_; }

  // The best text; one that has not ended counts where the search had to stop.
  Written best() const;

 private:
  struct Beginning {
    std::vector<std::int64_t> ids;
    double sum;  // of the log-probabilities of its tokens
  };

  struct Candidate {
    std::size_t row;
    std::int64_t token;
    double sum;
  };

  std::vector<Candidate> likeliest(const std::vector<double>* chances) const;

  std::size_t beams_;
  std::int64_t end_id_;
  std::vector<Beginning> going_;
  std::vector<Written> ended_;  // the best first, as many as there are beams at most
  bool done_ = false;
};

}  // namespace pocketbert
