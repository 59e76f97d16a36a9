// The language that is written, and how far.
#pragma once

#include <cstddef>
#include <filesystem>

#include "target_tokenizer.hpp"

namespace pocketbert {

constexpr const char* kTargetTokenizerFile = "target_tokenizer.json";
constexpr const char* kGenerationFile = "generation.json";

struct Language {
  TargetTokenizer tokenizer;
  std::size_t max_tokens;  // of the longest answer, its end included
  std::size_t beams;       // beginnings that are followed at once; 1: the likeliest token every time
};

// Reads it from a bundle; `beams` other than 0 stands for what that says.
Language open_language(const std::filesystem::path& bundle, int beams);

}  // namespace pocketbert
