// The TensorRT plans that `pocketbert build` made on this machine, each with a record of what it
// depends on. The Python side is deploy/tensorrt_engines.py. Nothing here needs TensorRT.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bundle.hpp"

namespace pocketbert {

// Shapes (rows, tokens) of one optimization profile.
struct Profile {
  using Shape = std::array<std::int64_t, 2>;

  Shape min;
  Shape opt;
  Shape max;

  bool takes(std::size_t rows, std::size_t length) const;
};

// Where a plan runs; on another place it does not.
struct Place {
  std::string device;      // GPU as its driver calls it
  std::string capability;  // its compute capability, such as "8.7"
  std::string
      tensorrt;  // version of TensorRT; the library's has four numbers, a record's may have three
  std::string system;  // L4T of a Jetson, in a record with its JetPack; empty if it is none
};

struct Plan {
  std::filesystem::path file;
  std::vector<Profile> profiles;       // the narrowest first
  std::optional<std::string> why_not;  // why it cannot be opened; nullopt if it can
};

// Looks for the plan of a verified bundle's target, and compares all that it depends on.
Plan look_up_plan(const Bundle& bundle, const Target& target, const Place& here);

// Number of the first profile, the narrowest, that takes inputs of this shape.
std::size_t profile_of(std::size_t rows, std::size_t length, const std::vector<Profile>& profiles);

// Such as "L4T 36.4.3"; empty if this is no Jetson.
std::string read_l4t(const std::filesystem::path& release = "/etc/nv_tegra_release");

}  // namespace pocketbert
