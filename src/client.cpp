#include "client.h"

#include <algorithm>

#include "config.h"
#include "text.h"

namespace spillway {

namespace {

// "gem:models/pro" → "pro": some providers take a model under this name too.
std::string_view bare_model(std::string_view id) {
  constexpr std::string_view alias = "models/";
  id.remove_prefix(std::min(id.find(':') + 1, id.size()));
  while (starts_with(id, alias)) id.remove_prefix(alias.size());
  return id;
}

bool matches(std::string_view pattern, std::string_view id) {
  if (pattern.empty() || pattern.back() != '*') return pattern == id;
  pattern.remove_suffix(1);
  // Under either name: what begins like an alias is not let in for that.
  return starts_with(id, pattern) && starts_with(bare_model(id), bare_model(pattern));
}

void append_list(std::string& out, const std::list<std::string>& names) {
  std::string_view comma;
  for (const std::string& name : names) {
    out += comma;
    out += name;
    comma = ", ";
  }
}

}  // namespace

bool Client::reaches_route(std::string_view route) const {
  return !names_routes || std::find(routes.begin(), routes.end(), route) != routes.end();
}

bool Client::reaches_engine(std::string_view id) const {
  return !names_engines || std::any_of(engines.begin(), engines.end(),
                                       [id](const auto& pattern) { return matches(pattern, id); });
}

std::string Client::reach() const {
  std::string reach;
  if (names_routes) {
    reach += "the routes ";
    append_list(reach, routes);
  }
  if (names_engines) {
    reach += names_routes ? " and the engines " : "the engines ";
    append_list(reach, engines);
  }
  return reach;
}

namespace {

// A deadline by the latency profile is no longer than that of the slowest one.
constexpr Millis kLongestProfileMs = 60'000;
Millis first_content_ms_max(const Timeouts& timeouts) {
  return timeouts.first_content_ms == 0 ? kLongestProfileMs : timeouts.first_content_ms;
}

// The time between comments: none at all is as if it never came.
Millis pause_of(Millis every_ms) { return every_ms == 0 ? limits::timeout_ms_max + 1 : every_ms; }

// What a request may not raise by itself. `most`: what its route has, as it is told; -1 where no
// number says it.
struct Bound {
  std::string_view field;
  may_set::Set bits;  // any of these lifts it
  bool (*is_more)(const Policy& asked, const Policy& route);
  Millis (*most)(const Policy& route);
};

template <auto member>
bool is_longer(const Policy& asked, const Policy& route) {
  return asked.timeouts.*member > route.timeouts.*member;
}
template <auto member>
Millis longest(const Policy& route) {
  return route.timeouts.*member;
}
Millis no_number(const Policy&) { return -1; }
template <FailureKind kind>
bool is_repeated_more(const Policy& asked, const Policy& route) {
  return asked.repeats_after(kind) > route.repeats_after(kind);
}
template <FailureKind kind>
Millis most_repeats(const Policy& route) {
  return std::min(route.repeats_after(kind), limits::repeats_max);
}
template <FailureKind kind>
constexpr Bound repeat_bound(std::string_view field, may_set::Set other_bit = 0) {
  return {field, may_set::repeat | other_bit, is_repeated_more<kind>, most_repeats<kind>};
}

constexpr Bound kBounds[] = {
    {"attempts_max", may_set::attempts_max,
     [](const Policy& asked, const Policy& route) {
       return asked.attempts_max > route.attempts_max;
     },
     [](const Policy& route) { return Millis{route.attempts_max}; }},
    {"attempts_per_engine", may_set::attempts_per_engine,
     [](const Policy& asked, const Policy& route) {
       return asked.attempts_per_engine > route.attempts_per_engine;
     },
     [](const Policy& route) { return Millis{route.attempts_per_engine}; }},
    {"rate_limit_wait_ms", may_set::rate_limit_wait_ms,
     [](const Policy& asked, const Policy& route) {
       return asked.rate_limit_wait_ms > route.rate_limit_wait_ms;
     },
     [](const Policy& route) { return route.rate_limit_wait_ms; }},
    repeat_bound<FailureKind::rate_limited>("repeat.rate_limited", may_set::rate_limit_wait_ms),
    repeat_bound<FailureKind::overloaded>("repeat.overloaded", may_set::attempts_per_engine),
    repeat_bound<FailureKind::server>("repeat.server", may_set::attempts_per_engine),
    repeat_bound<FailureKind::timeout>("repeat.timeout", may_set::attempts_per_engine),
    repeat_bound<FailureKind::network>("repeat.network", may_set::attempts_per_engine),
    repeat_bound<FailureKind::protocol>("repeat.protocol"),
    repeat_bound<FailureKind::empty>("repeat.empty"),
    {"timeouts.headers_ms", may_set::timeouts, is_longer<&Timeouts::headers_ms>,
     longest<&Timeouts::headers_ms>},
    {"timeouts.first_content_ms", may_set::timeouts,
     [](const Policy& asked, const Policy& route) {
       return first_content_ms_max(asked.timeouts) > first_content_ms_max(route.timeouts);
     },
     [](const Policy& route) { return first_content_ms_max(route.timeouts); }},
    {"timeouts.idle_ms", may_set::timeouts, is_longer<&Timeouts::idle_ms>,
     longest<&Timeouts::idle_ms>},
    {"timeouts.total_ms", may_set::timeouts, is_longer<&Timeouts::total_ms>,
     longest<&Timeouts::total_ms>},
    {"on_auth_error", may_set::on_auth_error,
     [](const Policy& asked, const Policy& route) {
       return asked.on_auth_error > route.on_auth_error;
     },
     no_number},
    {"on_content_filter", may_set::on_content_filter,
     [](const Policy& asked, const Policy& route) {
       return asked.on_content_filter > route.on_content_filter;
     },
     no_number},
    {"hedge", may_set::hedge,
     [](const Policy& asked, const Policy& route) {
       const Hedge& hedge = asked.hedge;
       return hedge.on && (!route.hedge.on || hedge.extra_per_mille > route.hedge.extra_per_mille ||
                           (hedge.tools && !route.hedge.tools));
     },
     no_number},
    {"keep_alive.every_ms", may_set::keep_alive,
     [](const Policy& asked, const Policy& route) {
       return pause_of(asked.keep_alive.every_ms) < pause_of(route.keep_alive.every_ms);
     },
     no_number},
    {"rescue", may_set::rescue,
     [](const Policy& asked, const Policy& route) {
       return (asked.rescue && !route.rescue) || asked.go_on != route.go_on;
     },
     no_number},
};

std::string what_it_may_set(const Client& client) {
  std::string text =
      "In `spillway` it may set a chain of what it reaches, strict, upstream, rescue: false, hedge "
      "where the route hedges, and no more than its route has of the rest";
  std::string_view separator = "; also: ";
  for (const may_set::Name& name : may_set::kNames)
    if ((client.may_set & name.bit) != 0) {
      text += separator;
      text += name.name;
      separator = ", ";
    }
  return text;
}

bool refuse(const Client& client, std::string_view field, Millis most, ConfigProblem& problem) {
  problem.path = "spillway." + std::string(field);
  problem.message = "Client \"" + client.name + "\" may not set " + problem.path;
  if (most >= 0) problem.message += " to more than " + std::to_string(most);
  problem.message += ". " + what_it_may_set(client);
  return false;
}

}  // namespace

bool may_ask(const Client& client, const Policy& route, const Policy& asked,
             ConfigProblem& problem) {
  for (const Bound& bound : kBounds)
    if ((client.may_set & bound.bits) == 0 && bound.is_more(asked, route))
      return refuse(client, bound.field, bound.most(route), problem);
  // A row's own bound holds whatever is listed in its `policy`.
  const bool spends = client.attempts_max > 0 && asked.attempts_max > client.attempts_max;
  return !spends || refuse(client, "attempts_max", client.attempts_max, problem);
}

}  // namespace spillway
