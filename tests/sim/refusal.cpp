#include "refusal.h"

#include <chrono>
#include <cstdio>

namespace spillway::sim {

namespace {

using enum FailureKind;

// --- points in time, as headers write them

struct Civil {
  int year;
  unsigned month;
  unsigned day;
  unsigned weekday;
  int hour;
  int minute;
  int second;
  int ms;
};

Civil civil(Instant at) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(at.ms())};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss of_day(time - day);
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          weekday(day).c_encoding(),
          static_cast<int>(of_day.hours().count()),
          static_cast<int>(of_day.minutes().count()),
          static_cast<int>(of_day.seconds().count()),
          static_cast<int>(of_day.subseconds().count())};
}

constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array kLongDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                               "Thursday", "Friday", "Saturday"};

template <class... Args>
std::string format(const char* pattern, Args... args) {
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), pattern, args...);
  return text.data();
}

std::string http_date(Instant at) {
  const Civil c = civil(at);
  return format("%s, %02u %s %d %02d:%02d:%02d GMT", kDays[c.weekday], c.day, kMonths[c.month - 1],
                c.year, c.hour, c.minute, c.second);
}
std::string rfc850_date(Instant at) {
  const Civil c = civil(at);
  return format("%s, %02u-%s-%02d %02d:%02d:%02d GMT", kLongDays[c.weekday], c.day,
                kMonths[c.month - 1], c.year % 100, c.hour, c.minute, c.second);
}
std::string asctime_date(Instant at) {
  const Civil c = civil(at);
  return format("%s %s %2u %02d:%02d:%02d %d", kDays[c.weekday], kMonths[c.month - 1], c.day,
                c.hour, c.minute, c.second, c.year);
}
std::string rfc3339_date(Instant at) {
  const Civil c = civil(at);
  return format("%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day, c.hour, c.minute,
                c.second, c.ms);
}

std::string seconds(Millis ms) {
  return format("%lld.%03lld", static_cast<long long>(ms / 1000),
                static_cast<long long>(ms % 1000));
}

// --- how a wait is asked for

struct Asked {
  std::string headers;
  std::string words;    // at the end of the message
  std::string details;  // JSON members of the error object
};

// A wait in one of the forms that headers use for a length of time.
std::string duration(Random& random, Millis ms) {
  switch (random.below(4)) {
    case 0:
      return seconds(ms) + "s";
    case 1:
      return std::to_string(ms) + "ms";
    case 2:
      return std::to_string(ms / 60'000) + "m" + seconds(ms % 60'000) + "s";
    default:
      return seconds(ms);
  }
}

std::string header(std::string_view name, std::string_view value) {
  std::string out = ",\"";
  out += name;
  out += "\":\"";
  out += value;
  out += '"';
  return out;
}

// `resets`: x-ratelimit-reset and its relatives count too.
Asked ask_to_wait(Random& random, DialectName dialect, Instant now, bool resets, Hint& hint) {
  Asked asked;
  // Some ask for longer than a cooldown, some for longer than a chat may take.
  constexpr std::array<Millis, 8> waits{0, 40, 250, 900, 1500, 4000, 30'000, 4'000'000};
  const Millis wait = random.pick(waits);
  const Millis whole = (wait + 999) / 1000 * 1000;
  const Instant second = Instant::at_ms((now.ms() + wait) / 1000 * 1000);
  const auto after = [&hint](Millis ms) { hint.after_ms = ms; };
  const auto until = [&hint](Instant at) { hint.until = at; };
  // A reset that is already past is no hint, and then nothing is given.
  const auto reset = [&](std::string_view name) {
    if (wait <= 0) return;
    if (random.percent(50)) {
      asked.headers = header(name, duration(random, wait));
      return after(wait);
    }
    switch (random.below(3)) {
      case 0:
        asked.headers = header(name, rfc3339_date(now + wait));
        break;
      case 1:
        asked.headers = header(name, std::to_string((now + wait).ms()));
        break;
      default:
        asked.headers = header(name, std::to_string((now + whole).seconds()));
        return until(Instant::at_ms((now + whole).seconds() * 1000));
    }
    until(now + wait);
  };
  switch (random.below(resets ? 13 : 10)) {
    case 0:  // none
      return asked;
    case 1:
      asked.headers = header("retry-after-ms", std::to_string(wait));
      after(wait);
      break;
    case 2:
      asked.headers = header("retry-after", std::to_string(whole / 1000));
      after(whole);
      break;
    case 3:
      asked.headers = header("retry-after", seconds(wait));
      after(wait);
      break;
    case 4:
      asked.headers = header("retry-after", http_date(second));
      until(second);
      break;
    case 5:
      asked.headers = header("retry-after", rfc850_date(second));
      until(second);
      break;
    case 6:
      asked.headers = header("retry-after", asctime_date(second));
      until(second);
      break;
    case 7:
      if (dialect == DialectName::gemini) {
        asked.details =
            R"(,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":")" +
            seconds(wait) + "s\"}]";
      } else {
        asked.details = ",\"retry_after\":" + seconds(wait);
      }
      after(wait);
      break;
    case 8:
      asked.words = random.percent(50) ? " Please try again in " : " Please retry in ";
      asked.words += duration(random, wait == 0 ? 40 : wait);
      // Without a unit it is no wait.
      if (asked.words.back() != 's') asked.words += "s";
      after(wait == 0 ? 40 : wait);
      break;
    case 9:
      asked.words = random.percent(50) ? " Please retry after " : " Try again after ";
      asked.words += std::to_string(whole / 1000) + " seconds.";
      after(whole);
      break;
    case 10:
      reset("x-ratelimit-reset");
      break;
    case 11:
      reset("x-ratelimit-reset-requests");
      break;
    default:
      reset(dialect == DialectName::anthropic ? "anthropic-ratelimit-tokens-reset"
                                              : "x-ratelimit-reset-tokens");
      break;
  }
  return asked;
}

// --- error objects

struct Words {
  int status = 500;
  std::string_view type;  // OpenAI and Anthropic; Gemini's status word
  std::string_view code;  // OpenAI
  std::string message;
  KindSet kinds = 0;
  KindSet kinds_cut = 0;
};

std::string error_object(DialectName dialect, const Words& words, const Asked& asked) {
  std::string message = words.message + asked.words;
  std::string body;
  switch (dialect) {
    case DialectName::openai_chat:
      body = R"({"error":{"message":")" + message + R"(","type":")";
      body += words.type;
      body += R"(","param":null,"code":)";
      if (words.code.empty()) {
        body += "null";
      } else {
        body += '"';
        body += words.code;
        body += '"';
      }
      body += asked.details + "}}";
      break;
    case DialectName::anthropic:
      body = R"({"type":"error","error":{"type":")";
      body += words.type;
      body += R"(","message":")" + message + "\"" + asked.details + R"(},"request_id":"req_1"})";
      break;
    case DialectName::gemini:
      body = R"({"error":{"code":)" + std::to_string(words.status) + R"(,"message":")" + message +
             R"(","status":")";
      body += words.type;
      body += "\"" + asked.details + "}}";
      break;
  }
  return body;
}

// In the order of DialectName.
using Wordings = std::array<Words, 3>;

Words word(int status, std::string_view type, std::string_view code, std::string message,
           FailureKind kind, FailureKind cut) {
  return {status, type, code, std::move(message), set_of(kind), set_of(kind) | set_of(cut)};
}

// What the fault is called in each dialect. Sources: tests/failure_table.txt and the documents that
// src/failure_table.h names.
Words words_of(Random& random, DialectName dialect, Fault fault, std::string_view key) {
  const auto in = [dialect](Wordings wordings) {
    return std::move(wordings[static_cast<std::size_t>(dialect)]);
  };
  const std::string shown(key);
  switch (fault) {
    case Fault::rate_limited:
      return in({word(429, "requests", "rate_limit_exceeded", "Rate limit reached for m.",
                      rate_limited, rate_limited),
                 word(429, "rate_limit_error", "", "This would exceed the rate limit.",
                      rate_limited, rate_limited),
                 word(429, "RESOURCE_EXHAUSTED", "", "Resource has been exhausted.", rate_limited,
                      rate_limited)});
    case Fault::overloaded:
      return in({word(503, "server_error", "", "The engine is currently overloaded.", overloaded,
                      overloaded),
                 word(529, "overloaded_error", "", "Overloaded", overloaded, overloaded),
                 word(503, "UNAVAILABLE", "", "The model is overloaded.", overloaded, overloaded)});
    case Fault::upstream_timeout:
      return in({word(random.percent(50) ? 504 : 408, "timeout", "", "Upstream took too long",
                      timeout, timeout),
                 word(524, "timeout_error", "", "Request took too long", timeout, timeout),
                 word(504, "DEADLINE_EXCEEDED", "", "Deadline expired.", timeout, timeout)});
    case Fault::auth:
      return in(
          {word(401, "invalid_request_error", "invalid_api_key",
                "Incorrect API key provided: " + shown + ".", auth, auth),
           word(401, "authentication_error", "", "invalid x-api-key", auth, auth),
           word(400, "INVALID_ARGUMENT", "", "API key not valid: " + shown, auth, bad_request)});
    case Fault::quota:
      return in({word(429, "insufficient_quota", "insufficient_quota",
                      "You exceeded your current quota, please check your plan.", quota_exhausted,
                      rate_limited),
                 word(400, "invalid_request_error", "", "Your credit balance is too low.",
                      quota_exhausted, bad_request),
                 word(429, "RESOURCE_EXHAUSTED", "", "Your prepayment credits are depleted.",
                      quota_exhausted, rate_limited)});
    case Fault::bad_request:
      return in({word(400, "invalid_request_error", "",
                      "Invalid value for field temperature of " + shown, bad_request, bad_request),
                 word(400, "invalid_request_error", "", "messages: at least one is required",
                      bad_request, bad_request),
                 word(400, "INVALID_ARGUMENT", "", "Request contains an invalid argument.",
                      bad_request, bad_request)});
    case Fault::context_too_long:
      return in({word(400, "invalid_request_error", "context_length_exceeded",
                      "This model's maximum context length is 4000 tokens.", context_too_long,
                      bad_request),
                 word(400, "invalid_request_error", "", "prompt is too long: 9000 tokens",
                      context_too_long, bad_request),
                 word(400, "INVALID_ARGUMENT", "", "The input token count (9000) exceeds it.",
                      context_too_long, bad_request)});
    case Fault::content_refused:
      return in({word(400, "invalid_request_error", "content_filter", "The prompt was refused.",
                      content_filter, bad_request),
                 word(400, "invalid_request_error", "",
                      "Output blocked by content filtering policy", content_filter, bad_request),
                 word(403, "PERMISSION_DENIED", "", "Result of our safety system", content_filter,
                      server)});
    case Fault::denied:
      return in(
          {word(403, "", "", random.percent(50) ? "Forbidden" : "Missing Authentication Token",
                server, auth),
           word(403, "permission_error", "", "Request not allowed", server, server),
           word(403, "PERMISSION_DENIED", "", "Access is denied by policy.", server, server)});
    case Fault::model_denied:
      return in(
          {word(403, "invalid_request_error", random.percent(50) ? "no_access" : "",
                "You have no access to this model.", model_not_found, server),
           word(403, "permission_error", "",
                "There is no permission to use the specified resource.", model_not_found, server),
           word(403, "PERMISSION_DENIED", "", "No permission for the requested model.",
                model_not_found, server)});
    case Fault::addition_refused: {
      Words words =
          word(400, "invalid_request_error", "",
               "Unrecognized request argument supplied: stream_options", bad_request, empty);
      words.kinds = words.kinds_cut;
      return words;
    }
    case Fault::model_gone:
      return in(
          {word(404, "invalid_request_error", "model_not_found", "The model is not there.",
                model_not_found, model_not_found),
           word(404, "not_found_error", "", "model: m", model_not_found, model_not_found),
           word(404, "NOT_FOUND", "", "models/m is not found", model_not_found, model_not_found)});
    case Fault::too_large:
      return in(
          {word(413, "invalid_request_error", "", "Too much.", too_large, too_large),
           word(413, "request_too_large", "", "Request exceeds the maximum", too_large, too_large),
           word(413, "INVALID_ARGUMENT", "", "Too much.", too_large, too_large)});
    default:
      return in({word(random.percent(50) ? 500 : 502, "server_error", "",
                      "The server had an error with " + shown, server, server),
                 word(500, "api_error", "", "Internal server error", server, server),
                 word(500, "INTERNAL", "", "An internal error has occurred.", server, server)});
  }
}

Refusal page(Random& random) {
  struct Page {
    int status;
    std::string_view title;
    FailureKind kind;
  };
  constexpr std::array<Page, 8> pages{{{403, "403 Forbidden", server},
                                       {403, "Access Denied", server},
                                       {502, "502 Bad Gateway", server},
                                       {503, "503 Service Unavailable", overloaded},
                                       {504, "504 Gateway Time-out", timeout},
                                       {520, "Unknown error", server},
                                       {521, "Web server is down", network},
                                       {403, "Attention Required! | Cloudflare", network}}};
  const Page& shown = random.pick(pages);
  Refusal refusal;
  refusal.status = shown.status;
  refusal.headers = R"("content-type":"text/html")";
  refusal.body = "<!DOCTYPE html>\n<html><head><title>" + std::string(shown.title) +
                 "</title></head><body><h1>" + std::string(shown.title) + "</h1></body></html>";
  refusal.kinds = set_of(shown.kind);
  refusal.kinds_cut = refusal.kinds;
  if (shown.status == 403) refusal.kinds_cut |= set_of(server);
  return refusal;
}

bool passes_by_itself(Fault fault) {
  return fault == Fault::rate_limited || fault == Fault::overloaded ||
         fault == Fault::server_error || fault == Fault::upstream_timeout;
}

}  // namespace

Refusal refuse(Random& random, DialectName dialect, Fault fault, Instant now, std::string_view key,
               std::string_view guess) {
  if (fault == Fault::gateway_page) return page(random);
  Refusal refusal;
  if (fault == Fault::redirect) {
    refusal.status = random.percent(50) ? 302 : 307;
    refusal.headers = R"("location":"https://elsewhere.test/","content-type":"text/plain")";
    refusal.kinds = refusal.kinds_cut = set_of(protocol);
    return refusal;
  }
  Asked asked;
  if (passes_by_itself(fault) && random.percent(80))
    asked = ask_to_wait(random, dialect, now, fault == Fault::rate_limited, refusal.hint);
  Words words = words_of(random, dialect, fault, key);
  // At its very end, or not.
  if (!guess.empty() && random.percent(70))
    words.message += " You sent " + std::string(guess) + (random.percent(50) ? "" : ".");
  refusal.status = words.status;
  refusal.headers = R"("content-type":"application/json")" + asked.headers;
  refusal.body = error_object(dialect, words, asked);
  constexpr std::string_view no_field = R"("param":null)";
  if (fault == Fault::addition_refused && random.percent(70))
    refusal.body.replace(refusal.body.find(no_field), no_field.size(),
                         R"("param":"stream_options")");
  refusal.kinds = words.kinds;
  refusal.kinds_cut = words.kinds_cut;
  if (random.one_in(40)) refusal.body.append(70'000, ' ');  // longer than anyone reads
  return refusal;
}

InBand fail_in_band(Random& random, DialectName dialect, std::string_view guess) {
  const auto told = [guess](std::string_view name, std::string data, FailureKind kind) {
    const std::size_t message = data.find(R"("message":")");
    const std::size_t end = data.find('"', message + 11);
    data.insert(end, guess);
    return InBand{{name, std::move(data)}, set_of(kind)};
  };
  const bool first = random.percent(50);
  switch (dialect) {
    case DialectName::anthropic:
      if (first)
        return told(
            "error",
            R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
            overloaded);
      return told("error", R"({"type":"error","error":{"type":"api_error","message":"It broke"}})",
                  server);
    case DialectName::gemini:
      if (first)
        return told({}, R"({"error":{"code":503,"message":"Try later.","status":"UNAVAILABLE"}})",
                    overloaded);
      return told({}, R"({"error":{"code":500,"message":"It broke.","status":"INTERNAL"}})",
                  server);
    case DialectName::openai_chat:
      break;
  }
  switch (random.below(5)) {
    case 0:
      return told({}, R"({"error":{"message":"Slow down","code":"rate_limit_exceeded"}})",
                  rate_limited);
    case 1:
      return told({},
                  R"({"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"error",)"
                  R"("error":{"code":502,"message":"Provider returned error"}}]})",
                  server);
    case 2:
      return told("error", R"({"message":"It broke","type":"server_error"})", server);
    case 3:
      return told({}, R"({"error":{"type":"invalid_request_error","message":"No such field"}})",
                  bad_request);
    default:
      return told({}, R"({"error":{"message":"The server had an error","type":"server_error"}})",
                  server);
  }
}

}  // namespace spillway::sim
