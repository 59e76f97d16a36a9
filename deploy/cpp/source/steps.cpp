#include "steps.hpp"

#include <map>

namespace pocketbert {
namespace {

template <typename Number>
std::vector<Number> chosen_rows(const std::vector<Number>& numbers, std::size_t rows,
                                const std::vector<std::size_t>& chosen) {
  const auto width = static_cast<std::ptrdiff_t>(numbers.size() / rows);
  std::vector<Number> kept;
  kept.reserve(chosen.size() * static_cast<std::size_t>(width));
  for (const std::size_t row : chosen) {
    const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(row) * width;
    kept.insert(kept.end(), first, first + width);
  }
  return kept;
}

}  // namespace

void Beginnings::keep(const std::vector<std::size_t>& chosen) {
  mask = chosen_rows(mask, rows, chosen);
  read = chosen_rows(read, rows, chosen);
  last = chosen_rows(last, rows, chosen);
  keep_cache(chosen);
  rows = chosen.size();
}

void Beginnings::keep_cache(const std::vector<std::size_t>& chosen) {
  cache = chosen_rows(cache, rows, chosen);
}

OpenSteps steps_named(const std::string& runtime) {
  static const std::map<std::string, OpenSteps> kRuntimes = {
      {"onnxruntime", &open_onnxruntime_steps},
  };
  const auto found = kRuntimes.find(runtime);
  return found == kRuntimes.end() ? nullptr : found->second;
}

}  // namespace pocketbert
