// A bundle on disk, verified: a file more, a file less or a byte changed is refused.
#pragma once

#include <filesystem>

#include "manifest.hpp"

namespace pocketbert {

struct Bundle {
  std::filesystem::path root;
  Manifest manifest;
};

Bundle read_bundle(const std::filesystem::path& root);

}  // namespace pocketbert
