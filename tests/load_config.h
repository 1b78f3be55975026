// A configuration as a host hands it over: config texts and an environment.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config.h"

namespace spillway {

using Environment = std::map<std::string, std::string>;

// configure()'s input.
inline std::string config_input(const std::vector<std::string>& texts,
                                const Environment& env = {}) {
  return nlohmann::json{{"config", texts}, {"env", env}}.dump();
}

// The configuration that these texts and variables make. A test fails when they are refused.
inline std::unique_ptr<const Config> load_config(const std::vector<std::string>& texts,
                                                 const Environment& env = {}) {
  ConfigProblem problem;
  auto config = Config::load(config_input(texts, env), problem);
  EXPECT_NE(config, nullptr) << problem.path << ": " << problem.message;
  return config == nullptr ? std::make_unique<const Config>() : std::move(config);
}

}  // namespace spillway
