#include "bundle.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <system_error>

#include "files.hpp"
#include "pocketbert.hpp"

namespace pocketbert {
namespace {

namespace fs = std::filesystem;

void check_inside(const std::string& name) {
  const fs::path path(name);
  const bool climbs = std::find(path.begin(), path.end(), "..") != path.end();
  if (name.empty() || path.is_absolute() || climbs ||
      name.find_first_of("\\:") != std::string::npos) {
    throw Error("the manifest names the file '" + name +
                "', expected a relative path inside the bundle; do not use this bundle");
  }
}

std::set<std::string> files_in(const fs::path& root) {
  std::set<std::string> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_symlink()) {
      throw Error(entry.path().string() +
                  " is a symbolic link, expected only files inside the bundle; copy the bundle "
                  "again with links resolved");
    }
    if (entry.is_directory()) continue;
    if (!entry.is_regular_file()) {
      throw Error(entry.path().string() +
                  " is no file, expected only files inside the bundle; copy the bundle again");
    }
    found.insert(entry.path().lexically_relative(root).generic_string());
  }
  return found;
}

void check_complete(const fs::path& root, const Manifest& manifest) {
  std::set<std::string> found = files_in(root);
  found.erase(kManifestFile);
  found.erase(kSignatureFile);
  for (const auto& [name, hash] : manifest.sha256) {
    if (found.erase(name) == 0) {
      throw Error(root.string() + " lacks " + name + ", expected a whole bundle; copy it again");
    }
  }
  if (!found.empty()) {
    throw Error(root.string() + " holds " + *found.begin() +
                ", which the manifest does not list, expected only listed files; remove it or copy "
                "the bundle again");
  }
  std::set<std::string> needed = {kTokenizerFile, kGoldenFile};
  for (const Target& target : manifest.targets) needed.insert(target.path);
  for (const std::string& name : needed) {
    if (manifest.sha256.count(name) == 0) {
      throw Error(root.string() + " has no hash for " + name +
                  ", expected one for every file; build the bundle again");
    }
  }
}

Bundle verified(const fs::path& root) {
  const fs::path manifest_file = root / kManifestFile;
  if (fs::is_symlink(manifest_file) || !fs::is_regular_file(manifest_file)) {
    throw Error(root.string() + " has no " + kManifestFile + ", expected the folder of a bundle");
  }
  const std::uintmax_t size = fs::file_size(manifest_file);
  if (size > kMaxManifestBytes) {
    throw Error(manifest_file.string() + " has " + std::to_string(size) +
                " bytes, expected at most " + std::to_string(kMaxManifestBytes) +
                "; do not use this bundle");
  }
  Manifest manifest = parse_manifest(read_file(manifest_file), manifest_file.string());
  for (const auto& [name, hash] : manifest.sha256) check_inside(name);
  check_complete(root, manifest);
  for (const auto& [name, hash] : manifest.sha256) {
    if (hash_file(root / name) != hash) {
      throw Error((root / name).string() +
                  " does not have the hash that the manifest states, expected an unchanged bundle; "
                  "copy it again");
    }
  }
  return {root, manifest};
}

}  // namespace

Bundle read_bundle(const fs::path& root) {
  try {
    return verified(root);
  } catch (const fs::filesystem_error& error) {
    throw Error(root.string() + " cannot be read (" + error.code().message() +
                "), expected the folder of a bundle; check its permissions");
  }
}

}  // namespace pocketbert
