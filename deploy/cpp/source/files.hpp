// Files of a bundle.
#pragma once

#include <filesystem>
#include <string>

namespace pocketbert {

std::string read_file(const std::filesystem::path& file);

// SHA-256 in hexadecimal.
std::string hash_file(const std::filesystem::path& file);

}  // namespace pocketbert
