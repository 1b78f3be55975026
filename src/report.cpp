#include "report.h"

#include <algorithm>

#include "json.h"

namespace spillway {

namespace {

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::completed:
      return "completed";
    case Outcome::failed:
      return "failed";
    case Outcome::cut:
      return "cut";
    case Outcome::client_closed:
      return "client_closed";
  }
  return "";
}

void write_count(std::string_view key, std::int64_t count, json::Writer& out) {
  if (count >= 0) out.key(key).integer(count);
}

void write_cost(std::int64_t picodollars, json::Writer& out) {
  if (picodollars < 0) return;
  out.key("cost_usd").raw("");
  json::append_decimal(out.out(), picodollars, 12);
}

void write_attempts(const AttemptRecords& attempts, bool with_usage, json::Writer& out) {
  out.key("attempts").begin_array();
  for (const AttemptRecord& attempt : attempts) {
    out.begin_object();
    out.key("engine").string(attempt.engine).key("outcome").string(attempt.outcome);
    out.key("ms").integer(attempt.duration_ms);
    if (attempt.status != 0) out.key("status").integer(attempt.status);
    if (attempt.ignored_events != 0) out.key("ignored_events").integer(attempt.ignored_events);
    if (with_usage) {
      write_count("input_tokens", attempt.usage.input, out);
      write_count("output_tokens", attempt.usage.output, out);
      write_cost(attempt.cost_picodollars, out);
    }
    out.end_object();
  }
  out.end_array();
}

}  // namespace

std::int64_t cost_picodollars(const Engine& engine, const Usage& usage) {
  if (!engine.price_in.known() || !engine.price_out.known() || usage.input < 0 || usage.output < 0)
    return -1;
  const auto price_or = [](Price price, Price otherwise) {
    return price.known() ? price.picodollars : otherwise.picodollars;
  };
  const std::int64_t read = std::clamp<std::int64_t>(usage.cache_read, 0, usage.input);
  const std::int64_t written = std::clamp<std::int64_t>(usage.cache_write, 0, usage.input - read);
  std::int64_t cost = 0;
  // False when a provider's absurd count does not fit.
  const auto add = [&cost](std::int64_t tokens, std::int64_t price) {
    if (price != 0 && tokens > (INT64_MAX - cost) / price) return false;
    cost += tokens * price;
    return true;
  };
  const bool fits = add(usage.input - read - written, engine.price_in.picodollars) &&
                    add(read, price_or(engine.price_cache_read, engine.price_in)) &&
                    add(written, price_or(engine.price_cache_write, engine.price_in)) &&
                    add(usage.output, engine.price_out.picodollars);
  return fits ? cost : -1;
}

std::string log_line(const Report& report, const Engine* engine, std::string_view provider) {
  std::string line;
  json::Writer out(line);
  out.begin_object();
  out.key("event").string("chat").key("outcome").string(name_of(report.outcome));
  out.key("request_id").string(report.request_id);
  out.key("client").string(report.client);
  out.key("gen_ai.operation.name").string("chat");
  out.key("gen_ai.request.model").string(report.requested);
  if (engine != nullptr) {
    out.key("engine").string(engine->id).key("gen_ai.provider.name").string(provider);
    out.key("gen_ai.response.model").text(JsonText::trusted(report.answered_model));
  }
  out.key("stream").boolean(report.stream);
  if (!report.mode.empty()) out.key("mode").string(report.mode);
  write_attempts(report.attempts, report.rescues > 0, out);
  if (report.rescues > 0) out.key("rescues").integer(report.rescues);
  if (!report.skipped.empty()) {
    out.key("skipped").begin_object();
    for (const AttemptRecord& skip : report.skipped) out.any_key(skip.engine).string(skip.outcome);
    out.end_object();
  }
  write_count("time_to_first_content_ms", report.first_content_ms, out);
  out.key("total_ms").integer(report.total_ms);
  write_count("gen_ai.usage.input_tokens", report.usage.input, out);
  write_count("gen_ai.usage.output_tokens", report.usage.output, out);
  write_count("gen_ai.usage.cache_read.input_tokens", report.usage.cache_read, out);
  write_count("gen_ai.usage.cache_creation.input_tokens", report.usage.cache_write, out);
  write_count("gen_ai.usage.reasoning.output_tokens", report.usage.reasoning, out);
  write_cost(report.cost_picodollars, out);
  if (!report.finish_reason.empty())
    out.key("gen_ai.response.finish_reason").string(report.finish_reason);
  if (!report.error_code.empty()) out.key("error.type").string(report.error_code);
  if (!report.reason.empty()) out.key("reason").string(report.reason);
  out.end_object();
  return line;
}

}  // namespace spillway
