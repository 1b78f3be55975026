// One upstream exchange, decided when it is asked for: what the provider will send, when, and what
// may be made of it. The host plays it step by step.
#pragma once

#include <string>
#include <vector>

#include "continuation.h"
#include "dialects.h"
#include "fault.h"
#include "refusal.h"
#include "script.h"

namespace spillway::sim {

// What is asked of a provider, as far as its answer depends on it.
struct Order {
  DialectName dialect = DialectName::openai_chat;
  std::uint32_t exchange = 0;
  std::string_view model;
  std::string_view key;
  std::string_view guess;  // what the client chose, to be quoted back
  bool streamed = true;
  bool usage = true;       // it was asked for, or comes always
  bool terminator = true;  // the provider ends its streams with one
  bool think_tags = false;
  bool irregular = false;
  bool tools = false;    // the request has some
  bool rescues = false;  // an answer has begun, and broke off
  Continuation continuation;
  std::string_view client_text;  // then: what the client has of the text, plain
  Millis headers_ms = 0;
  Millis first_content_ms = 0;
  Millis idle_ms = 0;
  Millis total_ms = 0;  // of the chat
};

struct Step {
  enum class What : std::uint8_t { head, bytes, end, error };
  What what = What::head;
  Millis after_ms = 0;
  std::size_t upto = 0;  // bytes: of the body, from the beginning
};

inline constexpr std::size_t kNowhere = SIZE_MAX;

// Where in a body something has been said. Between `begun` and `told` a reader may know it already
// (the data is there) or not yet (the blank line is not).
struct Place {
  std::size_t begun = kNowhere;
  std::size_t told = kNowhere;

  [[nodiscard]] bool may_be_known(std::size_t bytes) const { return bytes >= begun; }
  [[nodiscard]] bool must_be_known(std::size_t bytes) const { return bytes >= told; }
};

struct Plan {
  Fault fault = Fault::none;
  int status = 200;
  std::string head;
  std::string body;
  std::string reason;  // of an error
  bool refusal = false;
  bool streamed = true;
  Script script;
  Place content;                // the first of it
  std::vector<Place> contents;  // each piece of it
  Place finish;                 // the reason, or the terminator where no reason is given
  Place terminator;
  Place usage;  // all of it
  // What is counted, place by place.
  struct Count {
    Place place;
    Usage usage;
  };
  std::vector<Count> counts;
  std::size_t broken = kNowhere;  // what comes behind this may not be read
  std::vector<Step> steps;
  Millis ping_ms = 0;  // after the last step: a comment again and again

  // What it was asked to go on with, and what it adds to that: plain text. Nothing of what does not
  // join may be told.
  bool rescues = false;
  Continuation continuation;
  std::string client_text;
  std::string rest;
  Joint joint = Joint::goes_on;

  // What a failure of it may be called, once everything of it has come. None: it must succeed.
  KindSet kinds = 0;
  KindSet kinds_cut = 0;        // a refusal whose body was cut
  bool may_succeed = false;     // too, if there are kinds
  bool native_garbage = false;  // its own bytes break a client that gets them as they are
  bool is_one_body = false;     // nothing of it counts before its end
  bool names_addition = false;  // a refusal of what the router added, by its field
  bool to_key = false;          // another key may be allowed what this one is denied
  Hint hint;
};

// What has surely been counted when so many bytes have come, or what may have been.
enum class Sure : std::uint8_t { no, yes };
Usage counted_of(const Plan& plan, std::size_t bytes, Sure sure);

Plan make_plan(Random& random, const Order& order, Fault fault, Instant now);

}  // namespace spillway::sim
