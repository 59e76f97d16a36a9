// Answers as JSON, with the fields of the Python engine's; one function a kind.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pocketbert.hpp"

nlohmann::ordered_json json_of(const pocketbert::AnyAnswer& answer,
                               const std::vector<std::string>& labels);
