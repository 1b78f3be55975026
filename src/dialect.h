// The interface of a wire format. One file in adapters/ defines one constant of this type; it is
// pure functions, no state: what must be remembered across frames lives in Transcript.
//
//   to talk to a provider:  encode_request, request_path, decode_frame, decode_body
//   to serve a client:      decode_request, begin/part/finish…   (null where a dialect is only
//   spoken upstream)
//
// Nothing is dropped silently: what a target cannot take is named in `Dropped` and told to the
// client in a header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat.h"
#include "event.h"
#include "framing.h"
#include "json.h"
#include "part.h"
#include "quirk.h"

namespace spillway {

// Where a request is going, as far as its bytes depend on it.
struct Target {
  std::string_view model;              // the provider's own name of it
  quirk::Set quirks = 0;               // of the provider and the engine together
  std::int64_t output_tokens_max = 0;  // of the engine; 0 unknown
  bool stream = true;
  bool ask_usage = true;  // usage is wanted in the stream
  bool reasons = true;    // the engine takes a reasoning effort
  bool built_in = true;   // what it takes is recorded
};

// Names of request fields that the target could not take.
using Dropped = std::vector<std::string_view>;

// A request that is the client's own mistake.
struct BadRequest {
  std::string param;    // path of the field: messages[2].content[0].image_url
  std::string message;  // what was expected there
  std::string_view code = "invalid_request";
};

struct ClientError {
  int status = 500;
  std::string_view type;  // OpenAI's: invalid_request_error, authentication_error, …
  std::string_view code;  // stable
  std::string message;
  std::string param;  // empty: null
};

// What every piece of one answer has in common.
struct Envelope {
  std::string id;     // escaped
  std::string model;  // escaped
  std::int64_t created_s = 0;
  bool include_usage = false;
  // JSON: what each engine counted, when several have made the answer. Empty: one has.
  std::string paid;
  // What every event of a stream begins with: printed once, so that a token costs its copy.
  std::string chunk_head;
};

struct Dialect {
  std::string_view name;
  FrameKind framing = FrameKind::sse;

  // --- to talk to a provider
  // Appends the path and query below the provider's base URL.
  void (*append_path)(const Target&, std::string& out) = nullptr;
  // Writes the body of the upstream request.
  void (*encode_request)(const ChatRequest&, const Target&, json::Writer&, Dropped&) = nullptr;
  // One frame of a stream → events, appended. Unknown frames give none.
  void (*decode_frame)(const Frame&, Events&) = nullptr;
  // A whole body that was not streamed → the events it would have streamed, ending in Done.
  void (*decode_body)(std::string_view body, Events&) = nullptr;
  // A frame of nothing but usage behind the finish reason is the last: what comes after it is the
  // terminator, if anything.
  bool ends_with_usage = false;
  // Counts the reasoning tokens in with the output tokens, in a frame's data or a whole body that
  // is passed on as it is: for who counts them beside each other. Null: none of its providers does.
  void (*include_reasoning)(std::string& body) = nullptr;
  bool takes_audio = true;  // its requests have a place for sound
  // Whether they have one for this part of a message; null: for any.
  bool (*takes)(const Content&, quirk::Set) = nullptr;
  // A header that every request has, unless the provider's row has one of this name.
  std::string_view header_name = {};
  std::string_view header_value = {};

  // --- to serve a client
  // Reads `request.body`; true, or `problem` says what is wrong.
  bool (*decode_request)(ChatRequest&, BadRequest& problem) = nullptr;
  // Fills chunk_head, when the rest of the envelope is known and before encode_part.
  void (*prepare)(Envelope&) = nullptr;
  // One part of the answer as stream bytes, framing included.
  void (*encode_part)(const Part&, const Envelope&, std::string& out) = nullptr;
  // The whole answer as one body.
  void (*encode_answer)(const Answer&, const Envelope&, std::string& out) = nullptr;
  // An error as a body, and as the last event of a stream that has begun.
  void (*encode_error)(const ClientError&, std::string& out) = nullptr;
  void (*encode_stream_error)(const ClientError&, std::string& out) = nullptr;
  // What ends a stream ("data: [DONE]\n\n").
  std::string_view terminator = {};
  // What clients read of every event that is no error, `"name":value`: an event that is completed
  // for its provider gets it.
  std::string_view needed_member = {};
};

}  // namespace spillway
