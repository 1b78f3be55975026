// A refused request: any status, headers and body are read into one failure that can be told, and a
// wait is only kept for what passes by itself. The first byte is the status, the second which
// headers there are, then each of them behind its length, then the body.
#include "adapters.h"
#include "fuzz.h"

namespace spillway::fuzz {
namespace {

bool passes_by_itself(FailureKind kind) {
  return kind == FailureKind::rate_limited || kind == FailureKind::overloaded ||
         kind == FailureKind::server || kind == FailureKind::timeout ||
         kind == FailureKind::network;
}

bool equal(const Failure& a, const Failure& b) {
  return a.kind == b.kind && a.status == b.status && a.reason == b.reason && a.code == b.code &&
         a.param == b.param && a.retry_after_ms == b.retry_after_ms;
}

void check(Choices choices) {
  constexpr int kStatuses[] = {400, 401, 402, 403, 404, 408, 409, 413, 422, 424, 429, 498,
                               499, 500, 502, 503, 504, 520, 529, 200, 204, 301, 418, 599};
  constexpr Instant kNow = Instant::at_ms(1'800'000'000'000);
  ResponseHead head;
  head.status = choices.one_of(kStatuses);
  const unsigned given = choices.byte();
  std::string_view* const fields[] = {
      &head.content_type, &head.retry_after, &head.retry_after_ms, &head.reset_requests,
      &head.reset_tokens, &head.error_type,  &head.reset,
  };
  for (std::size_t field = 0; field < std::size(fields); ++field)
    if ((given >> field & 1U) != 0) *fields[field] = choices.text();
  const std::string_view body = choices.rest();
  const std::vector<char> exact(body.begin(), body.end());  // AddressSanitizer sees overreads

  const Failure failure = classify(kNow, head, {exact.data(), exact.size()});
  check_failure(failure, adapters::openai_chat);
  require(failure.status == head.status, "the status is the response's");
  require(failure.retry_after_ms < 0 || passes_by_itself(failure.kind),
          "a wait is only told of what passes by itself");
  if (body.size() < limits::error_body_bytes_max / 2)
    require(equal(failure, classify(kNow, head, std::string(body) + " \r\n\t")),
            "white space behind a body says nothing");
}

}  // namespace
}  // namespace spillway::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  spillway::fuzz::check({data, size});
  return 0;
}
