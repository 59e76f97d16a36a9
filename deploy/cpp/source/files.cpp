#include "files.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <fstream>
#include <memory>
#include <string_view>
#include <vector>

#include "pocketbert.hpp"

namespace pocketbert {
namespace {

// Calls `take` with one block after the other.
template <typename Take>
void for_each_block(const std::filesystem::path& file, Take take) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> block(std::size_t{1} << 18);
  while (stream.read(block.data(), static_cast<std::streamsize>(block.size())) ||
         stream.gcount() > 0) {
    take(std::string_view(block.data(), static_cast<std::size_t>(stream.gcount())));
  }
  if (!stream.eof()) {
    throw Error(file.string() + " cannot be read, expected a readable file; check its permissions");
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& file) {
  std::string content;
  for_each_block(file, [&](std::string_view block) { content += block; });
  return content;
}

std::string hash_file(const std::filesystem::path& file) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  bool done = EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for_each_block(file, [&](std::string_view block) {
    done = done && EVP_DigestUpdate(context.get(), block.data(), block.size()) == 1;
  });
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  done = done && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1;
  if (!done) throw Error("OpenSSL refuses SHA-256, expected a build that has it; replace OpenSSL");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hexadecimal;
  for (unsigned int i = 0; i < size; ++i) {
    hexadecimal += kDigits[digest[i] >> 4U];
    hexadecimal += kDigits[digest[i] & 15U];
  }
  return hexadecimal;
}

}  // namespace pocketbert
