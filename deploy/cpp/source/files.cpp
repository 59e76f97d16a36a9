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

class Sha256 {
 public:
  Sha256() { check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr)); }

  void add(std::string_view block) {
    check(EVP_DigestUpdate(context_.get(), block.data(), block.size()));
  }

  std::string hexadecimal() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += kDigits[digest[i] >> 4U];
      text += kDigits[digest[i] & 15U];
    }
    return text;
  }

 private:
  static void check(int status) {
    if (status == 1) return;
    throw Error("OpenSSL refuses SHA-256, expected a build that has it; replace OpenSSL");
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(),
                                                                   &EVP_MD_CTX_free};
};

}  // namespace

std::string read_file(const std::filesystem::path& file) {
  std::string content;
  for_each_block(file, [&](std::string_view block) { content += block; });
  return content;
}

std::string hash_file(const std::filesystem::path& file) {
  Sha256 hash;
  for_each_block(file, [&](std::string_view block) { hash.add(block); });
  return hash.hexadecimal();
}

std::string hash_text(std::string_view text) {
  Sha256 hash;
  hash.add(text);
  return hash.hexadecimal();
}

}  // namespace pocketbert
