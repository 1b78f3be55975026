// The JSON reader and writer on any bytes: agrees with nlohmann/json on what is JSON and on what
// every read gives (json_reference.h); escaping gives valid JSON, and unescaping undoes it.
#include "json.h"

#include "../json_reference.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  using fuzz::require;
  if (size == 0) return 0;
  const unsigned seed = data[0];  // which reads are tried
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);

  require(disagreement(text, seed).empty(), disagreement(text, seed).c_str());

  std::string escaped = "\"";
  json::append_escaped(escaped, text);
  escaped += '"';
  require(json::valid(escaped), "append_escaped() gives an invalid string");
  const auto inside = JsonText::trusted(std::string_view(escaped).substr(1, escaped.size() - 2));
  const std::string repaired = json::unescaped(inside);
  require(repaired == text || repaired.find("\xEF\xBF\xBD") != repaired.npos, "the text changed");
  std::string again;
  json::append_escaped(again, repaired);
  require(again == inside.escaped(), "escaping and unescaping are not inverse");
  return 0;
}
