#include "plans.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "files.hpp"
#include "json_value.hpp"
#include "pocketbert.hpp"

namespace pocketbert {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKitFile = "kit.json";
constexpr const char* kPlanFile = "engine.plan";
constexpr const char* kRecordFile = "record.json";
constexpr std::size_t kNameDigits = 16;  // of a hash

// What was built, from what and where.
struct Record {
  std::string model_sha256;
  std::vector<Profile> profiles;
  Place place;
  std::string built_at;
  std::optional<std::string> plan_sha256;  // nullopt if none was built
  std::optional<std::string> failure;      // why none was built, or why it was not kept
  std::optional<std::string> fallback;     // what was announced to run instead
};

std::optional<std::string> text_or_null(const JsonValue& object, const char* key) {
  const std::optional<JsonValue> value = object.find(key);
  if (!value || value->is_null()) return std::nullopt;
  return value->text();
}

Profile::Shape shape_in(const JsonValue& value) {
  const std::vector<JsonValue> sizes = value.items();
  if (sizes.size() != 2) value.refuse("no two sizes");
  return {sizes[0].integer(1, kMaxLength), sizes[1].integer(1, kMaxLength)};
}

std::vector<Profile> profiles_in(const JsonValue& list) {
  std::vector<Profile> profiles;
  for (const JsonValue& profile : list.items()) {
    profile.allow_only({"min", "opt", "max"});
    profiles.push_back(
        {shape_in(profile.at("min")), shape_in(profile.at("opt")), shape_in(profile.at("max"))});
  }
  if (profiles.empty()) list.refuse("no profile");
  return profiles;
}

Place place_in(const JsonValue& value) {
  value.allow_only({"device", "capability", "tensorrt", "jetpack"});
  return {value.at("device").text(), value.at("capability").text(), value.at("tensorrt").text(),
          text_or_null(value, "jetpack").value_or("")};
}

Record read_record(const fs::path& folder) {
  const JsonValue record = JsonValue::read(folder / kRecordFile, "an unchanged file",
                                           "run `pocketbert build` with --rebuild");
  record.allow_only({"key", "bundle", "target", "precision", "workspace_mib", "seconds", "built_at",
                     "plan_sha256", "failure", "fallback"});
  for (const char* key : {"bundle", "target", "precision"}) record.at(key).text();
  for (const char* key : {"workspace_mib", "seconds"}) record.at(key).number();
  const JsonValue key = record.at("key");
  key.allow_only({"model_sha256", "profiles", "place"});
  return {key.at("model_sha256").text(),       profiles_in(key.at("profiles")),
          place_in(key.at("place")),           record.at("built_at").text(),
          text_or_null(record, "plan_sha256"), text_or_null(record, "failure"),
          text_or_null(record, "fallback")};
}

std::string json_of(const Profile::Shape& shape) {
  return "[" + std::to_string(shape[0]) + ", " + std::to_string(shape[1]) + "]";
}

// The folder of a model's plans is named by the hash of its file and shapes, as Python writes them
// in JSON.
std::string folder_name(const std::string& model_sha256, const std::vector<Profile>& profiles) {
  std::string json = "[\"" + model_sha256 + "\"";
  for (const Profile& profile : profiles) {
    json += ", {\"max\": " + json_of(profile.max) + ", \"min\": " + json_of(profile.min) +
            ", \"opt\": " + json_of(profile.opt) + "}";
  }
  return hash_text(json + "]").substr(0, kNameDigits);
}

fs::path plans_folder() {
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  std::string cache = variable("XDG_CACHE_HOME");
  if (cache.empty()) {
    const std::string home = variable("HOME");
    if (home.empty()) {
      throw Error(
          "neither XDG_CACHE_HOME nor HOME is set, expected the one under which `pocketbert "
          "build` kept its engines; set it");
    }
    cache = home + "/.cache";
  }
  return fs::path(cache) / "pocketbert" / "tensorrt";
}

// Its folders of plans, in a fixed order; one that is being built has a name with a dot.
std::vector<fs::path> recorded_in(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::is_directory(folder)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const bool unfinished = entry.path().filename().string().front() == '.';
    if (!unfinished && fs::is_regular_file(entry.path() / kRecordFile)) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// A Python package says "10.3.0", "10.7.0.post1" or "10.13.3.9" of itself; the library knows four
// numbers, and nothing of a package that was made again.
bool same_version(const std::string& recorded, const std::string& here) {
  const std::string released = recorded.substr(0, recorded.find(".post"));
  return released == here || here.rfind(released + ".", 0) == 0;
}

// Python adds the name of the JetPack that an L4T belongs to.
bool same_system(const std::string& recorded, const std::string& here) {
  return recorded == here || (!here.empty() && recorded.rfind(here + " (JetPack ", 0) == 0);
}

bool same_place(const Place& recorded, const Place& here) {
  return recorded.device == here.device && recorded.capability == here.capability &&
         same_version(recorded.tensorrt, here.tensorrt) &&
         same_system(recorded.system, here.system);
}

bool same_profiles(const std::vector<Profile>& some, const std::vector<Profile>& others) {
  return std::equal(some.begin(), some.end(), others.begin(), others.end(),
                    [](const Profile& one, const Profile& other) {
                      return one.min == other.min && one.opt == other.opt && one.max == other.max;
                    });
}

std::string described(const Place& place) {
  return place.device + " (" + place.capability + ") with TensorRT " + place.tensorrt +
         (place.system.empty() ? "" : ", " + place.system);
}

// Of a model's records.
struct Found {
  std::optional<Record> record;    // that of this place
  fs::path folder;                 // where it lies
  std::optional<Place> elsewhere;  // if there is none: another place that has a plan
};

Found record_for(const fs::path& model_folder, const Place& here) {
  Found found;
  std::optional<Error> unreadable;
  for (const fs::path& folder : recorded_in(model_folder)) {
    try {
      const Record record = read_record(folder);
      if (same_place(record.place, here)) return {record, folder, std::nullopt};
      if (record.plan_sha256 && !found.elsewhere) found.elsewhere = record.place;
    } catch (const Error& error) {
      unreadable = error;  // counts if no other record is of this place
    }
  }
  if (unreadable) throw Error(*unreadable);
  return found;
}

// Why the plan of a record that was made here cannot be opened.
std::optional<std::string> why_not_it(const Record& record, const fs::path& plan,
                                      const std::string& model_sha256,
                                      const std::vector<Profile>& profiles) {
  if (record.failure) {
    return "its engine did not build here on " + record.built_at + " (" + *record.failure + ")" +
           (record.fallback ? "; " + *record.fallback + " runs instead" : "");
  }
  if (record.model_sha256 != model_sha256 || !same_profiles(record.profiles, profiles) ||
      !record.plan_sha256 || !fs::is_regular_file(plan) || hash_file(plan) != *record.plan_sha256) {
    return plan.string() +
           " is not what was built, expected an unchanged file; run `pocketbert build` with "
           "--rebuild";
  }
  return std::nullopt;
}

std::string why_none_here(const std::optional<Place>& elsewhere, const Place& here) {
  if (!elsewhere) {
    return "no engine of it is built on this machine yet; run `pocketbert build BUNDLE`";
  }
  return "its engine was built on " + described(*elsewhere) + ", this machine is " +
         described(here) +
         ", and an engine runs only where it was built; run `pocketbert build BUNDLE` to build one "
         "here";
}

}  // namespace

bool Profile::takes(std::size_t rows, std::size_t length) const {
  return rows <= static_cast<std::size_t>(max[0]) && length <= static_cast<std::size_t>(max[1]);
}

Plan look_up_plan(const Bundle& bundle, const Target& target, const Place& here) {
  const JsonValue kit = JsonValue::read((bundle.root / target.path).parent_path() / kKitFile,
                                        "the kit of a TensorRT target", "copy the bundle again");
  Plan plan{{}, profiles_in(kit.at("profiles")), std::nullopt};
  const std::string& model_sha256 = bundle.manifest.sha256.at(target.path);  // was verified
  const fs::path folder = plans_folder() / folder_name(model_sha256, plan.profiles);
  try {
    const Found found = record_for(folder, here);
    if (found.record) {
      plan.file = found.folder / kPlanFile;
      plan.why_not = why_not_it(*found.record, plan.file, model_sha256, plan.profiles);
    } else {
      plan.why_not = why_none_here(found.elsewhere, here);
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(folder.string() + " cannot be read (" + error.code().message() +
                "), expected the engines that `pocketbert build` kept; check its permissions");
  }
  return plan;
}

std::size_t profile_of(std::size_t rows, std::size_t length, const std::vector<Profile>& profiles) {
  for (std::size_t number = 0; number < profiles.size(); ++number) {
    if (profiles[number].takes(rows, length)) return number;
  }
  const Profile::Shape& most = profiles.back().max;
  throw Error("an input has shape (" + std::to_string(rows) + ", " + std::to_string(length) +
              "), expected up to (" + std::to_string(most[0]) + ", " + std::to_string(most[1]) +
              "); shorten the texts or compile for longer ones");
}

std::string read_l4t(const fs::path& release) {
  if (!fs::is_regular_file(release)) return "";
  const std::string text = read_file(release);
  // "# R36 (release), REVISION: 4.3, GCID: ..."; without <regex>, which GCC's sanitizers complain of.
  static const std::string kBetween = " (release), REVISION: ";
  const std::size_t between = text.find(kBetween);
  const std::size_t letter = text.rfind('R', between);
  if (between != std::string::npos && letter != std::string::npos) {
    const std::string release = text.substr(letter + 1, between - letter - 1);
    const std::string after = text.substr(between + kBetween.size());
    const std::string revision = after.substr(0, after.find_first_not_of("0123456789."));
    const bool is_number = release.find_first_not_of("0123456789") == std::string::npos;
    if (!release.empty() && is_number && !revision.empty()) {
      return "L4T " + release + "." + revision;
    }
  }
  return "L4T of unknown release (" + text.substr(0, text.find_first_of(",\n")) + ")";
}

}  // namespace pocketbert
