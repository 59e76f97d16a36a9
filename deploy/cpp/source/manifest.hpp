// What a bundle says about itself; the Python side of this format is deploy/bundle.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "json_value.hpp"
#include "pocketbert.hpp"

namespace pocketbert {

constexpr int kSchemaVersion = 3;
constexpr const char* kManifestFile = "manifest.json";
constexpr const char* kTokenizerFile = "tokenizer.json";
constexpr const char* kGoldenFile = "golden.json";
constexpr const char* kSignatureFile = "model.sig";  // for people and for Python to verify

// What a manifest may ask for, as in Python.
constexpr std::size_t kMaxManifestBytes = 4U << 20U;
constexpr std::int64_t kMaxLength = 8192;
constexpr std::size_t kMaxLabels = 1U << 16U;

// One way to run the model.
struct Target {
  std::string name;
  std::string runtime;
  std::string path;  // the model's file within the bundle
  std::string isa;   // instruction set that the file is laid out for
  std::string precision;
  int threads;                                   // of one inference
  std::vector<std::string> disabled_optimizers;  // of ONNX Runtime
};

struct Manifest {
  std::string task;                           // its kind; see tasks.cpp
  bool pairs;                                 // a text is two, which are read together
  std::vector<std::string> labels;            // in the order of the logits; of vectors none
  std::vector<float> thresholds;              // logits from which on a label is given; or none
  std::size_t max_length;                     // longest input in tokens
  Truncation truncation;                      // of a longer text
  std::vector<Target> targets;                // the best first
  std::map<std::string, std::string> sha256;  // of every file but the manifest, by its path
};

// Keys that a device does not need are checked and left out.
Manifest parse_manifest(const std::string& text, const std::string& name);

}  // namespace pocketbert
