#include <map>
#include <string>

#include "runner.hpp"

namespace pocketbert {
namespace {

using Reason = std::optional<std::string>;

Reason nothing_missing(const Bundle& /*bundle*/, const Target& /*target*/) { return std::nullopt; }

Reason no_openvino(const Bundle& /*bundle*/, const Target& /*target*/) {
  return "the C++ runtime has no runner for OpenVINO";
}

#ifndef POCKETBERT_TENSORRT
Reason built_without_tensorrt(const Bundle& /*bundle*/, const Target& /*target*/) {
  return "this library was built without TensorRT (build it with -DPOCKETBERT_TENSORRT=ON)";
}
#endif

}  // namespace

const Runtime& runtime_named(const std::string& name) {
  static const std::map<std::string, Runtime> kRuntimes = {
      {"onnxruntime", {&open_onnxruntime, &nothing_missing}},
      {"openvino", {nullptr, &no_openvino}},
#ifdef POCKETBERT_TENSORRT
      {"tensorrt", {&open_tensorrt, &why_no_tensorrt}},
#else
      {"tensorrt", {nullptr, &built_without_tensorrt}},
#endif
  };
  return kRuntimes.at(name);
}

}  // namespace pocketbert
