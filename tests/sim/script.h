// What a model says in one answer, before any wire format: the truth that a client's text is held
// against. Texts are escaped (the inside of JSON strings), for no dialect may change an escape on
// the way. Every word carries the number of its exchange, so that no two answers share a word.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "event.h"
#include "random.h"

namespace spillway::sim {

enum class Kind : std::uint8_t { text, reasoning, refusal, call };

struct Call {
  std::string id;
  std::string name;
  std::string arguments;  // escaped JSON; empty: the provider gives none
};

struct Script {
  // One delta: a slice of the text it belongs to.
  struct Delta {
    Kind kind = Kind::text;
    std::uint32_t call = 0;
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };

  std::string text;
  std::string reasoning;
  std::string refusal;
  std::vector<Call> calls;
  std::vector<Delta> deltas;
  FinishReason finish = FinishReason::stop;
  Usage usage;

  [[nodiscard]] std::string_view slice(const Delta& delta) const;
  [[nodiscard]] bool empty() const { return deltas.empty(); }
};

struct ScriptWishes {
  bool calls = false;
  bool reasoning = false;
  bool refusal = false;
  bool think_tags = false;  // reasoning first, and nothing that could be taken for a tag
  bool call_ids = true;
  std::uint32_t deltas_max = 8;
};

Script write_script(Random& random, std::uint32_t exchange, const ScriptWishes& wishes);

}  // namespace spillway::sim
