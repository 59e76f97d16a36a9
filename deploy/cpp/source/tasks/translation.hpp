// A text in another language. What stands for logits is a column of numbers: its score, then the
// code points of its characters.
#pragma once

#include <string>

#include "task.hpp"

namespace pocketbert {

// Of valid UTF-8.
Logits as_numbers(const std::string& text, double score);

}  // namespace pocketbert
