#include "learned.h"

#include <algorithm>
#include <array>

#include "text.h"

namespace spillway {

namespace {

struct Addition {
  quirk::Set quirk;
  std::string_view param;
  std::array<std::string_view, 6> phrases;
};
// How providers refuse what asks for usage in a stream, and a stream.
constexpr std::array kAdditions{
    Addition{quirk::no_stream_options, "stream_options", {"stream_options", "include_usage"}},
    Addition{quirk::no_stream,
             "stream",
             {"to stream", "support stream", "streaming is not", "stream is not", "stream=true",
              "stream: true"}},
};

}  // namespace

quirk::Set refused_additions(const Failure& failure, quirk::Set asked) {
  const bool is_refusal = failure.status >= 400 && failure.status < 500 && failure.status != 401 &&
                          failure.status != 429;
  if (!is_refusal) return 0;
  const std::string reason = lowered(failure.reason);
  for (const Addition& addition : kAdditions) {
    if ((asked & addition.quirk) == 0) continue;
    const bool is_named =
        std::any_of(addition.phrases.begin(), addition.phrases.end(), [&](std::string_view phrase) {
          return !phrase.empty() && reason.find(phrase) != std::string::npos;
        });
    if (is_named || failure.param == addition.param) return addition.quirk;
  }
  return 0;
}

bool names_addition(const Failure& failure) {
  return std::any_of(kAdditions.begin(), kAdditions.end(), [&failure](const Addition& addition) {
    return failure.param == addition.param;
  });
}

}  // namespace spillway
