#include "ending.h"

#include <algorithm>

#include "date.h"
#include "limits.h"

namespace spillway {

namespace {

// The day on which neither the engine nor one that follows it is left; empty when one stays.
std::string_view last_day(const Config& config, const Engine& engine) {
  std::string_view last;
  const Engine* at = &engine;
  // Two may name each other.
  for (std::size_t steps = 0; at != nullptr && steps < limits::chain_max; ++steps) {
    const bool stays = at->ends.empty();
    if (at->provider->ready()) {
      if (stays) return {};
      last = std::max<std::string_view>(last, at->ends);
    }
    at = stays ? nullptr : config.find_engine(at->successor);
  }
  return last;
}

// The same of a route; empty too when none of its engines can be called now.
std::string_view last_day(const Config& config, const Route& route) {
  std::string_view last;
  for (const std::string& id : route.chain) {
    const Engine* const engine = config.find_engine(id);
    if (!engine->provider->ready()) continue;
    const std::string_view day = last_day(config, *engine);
    if (day.empty()) return {};
    last = std::max(last, day);
  }
  return last;
}

bool is_in_a_route(const Config& config, const Engine& engine) {
  return std::any_of(config.routes.begin(), config.routes.end(), [&engine](const Route& route) {
    return std::find(route.chain.begin(), route.chain.end(), engine.id) != route.chain.end();
  });
}

}  // namespace

bool has_ended(const Engine& engine, Instant now) {
  return !engine.ends.empty() && engine.ends <= date_of(now);
}

Endings endings(const Config& config, Instant now) {
  const std::string today = date_of(now);
  const std::string horizon = date_of(now + limits::ending_notice_ms);
  Endings due;
  for (const Engine& engine : config.engines) {
    const bool is_due = !engine.ends.empty() && engine.ends <= horizon && engine.provider->ready();
    if (is_due && (engine.ends > today || is_in_a_route(config, engine)))
      due.engines.push_back(&engine);
  }
  for (const Route& route : config.routes)
    if (const std::string_view day = last_day(config, route); !day.empty() && day <= horizon)
      due.routes.push_back({&route, day});
  return due;
}

void Endings::write(json::Writer& out) const {
  out.key("ending").begin_object();
  for (const Engine* const engine : engines) {
    out.any_key(engine->id).begin_object();
    write_ending(*engine, "ends", out);
    out.end_object();
  }
  out.end_object().key("routes_ending").begin_object();
  for (const LastDay& last : routes) out.any_key(last.route->name).string(last.ends);
  out.end_object();
}

void write_ending(const Engine& engine, std::string_view name, json::Writer& out) {
  if (!engine.ends.empty()) out.key(name).string(engine.ends);
  if (!engine.successor.empty()) out.key("successor").string(engine.successor);
}

}  // namespace spillway
