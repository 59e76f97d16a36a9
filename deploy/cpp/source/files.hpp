// Files of a bundle.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace pocketbert {

std::string read_file(const std::filesystem::path& file);

// SHA-256 in hexadecimal.
std::string hash_file(const std::filesystem::path& file);
std::string hash_text(std::string_view text);

}  // namespace pocketbert
