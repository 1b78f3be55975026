// Prints an answer for a client of Chat Completions: as a stream of chunks, or whole.
// https://platform.openai.com/docs/api-reference/chat-streaming, …/chat/object

#include <algorithm>
#include <array>

#include "openai_chat_client.h"
#include "rare.h"

namespace spillway::adapters::openai_chat_client {
namespace {

using json::Writer;

void write_head(const Envelope& envelope, std::string_view object, Writer& out) {
  out.key("id").text(JsonText::trusted(envelope.id));
  out.key("object").string(object);
  out.key("created").integer(envelope.created_s);
  out.key("model").text(JsonText::trusted(envelope.model));
}

void write_usage(const Usage& usage, std::string_view paid, Writer& out) {
  const std::int64_t input = std::max<std::int64_t>(usage.input, 0);
  const std::int64_t output = std::max<std::int64_t>(usage.output, 0);
  out.begin_object();
  out.key("prompt_tokens").integer(input);
  out.key("completion_tokens").integer(output);
  out.key("total_tokens").integer(usage.total > 0 ? usage.total : input + output);
  if (usage.cache_read >= 0)
    out.key("prompt_tokens_details")
        .begin_object()
        .key("cached_tokens")
        .integer(usage.cache_read)
        .end_object();
  if (usage.reasoning >= 0)
    out.key("completion_tokens_details")
        .begin_object()
        .key("reasoning_tokens")
        .integer(usage.reasoning)
        .end_object();
  if (!paid.empty()) out.key("spillway").raw(paid);
  out.end_object();
}

bool counted(const Usage& usage) { return usage.input >= 0 || usage.output >= 0; }

// Every chunk that says something of the answer: head, delta, tail. A token costs the copy of what
// is printed around it.
void begin_chunk(const Envelope& envelope, std::string& out) { out += envelope.chunk_head; }

void end_chunk(const Envelope& envelope, std::string_view finish, std::string& out) {
  constexpr std::string_view unfinished = R"(},"finish_reason":null)";
  constexpr std::string_view finished = R"(},"finish_reason":")";
  constexpr std::string_view end = "}]}\n\n";
  constexpr std::string_view end_without_usage = "}],\"usage\":null}\n\n";
  if (finish.empty()) {
    out += unfinished;
  } else {
    out += finished;
    out += finish;
    out += '"';
  }
  out += envelope.include_usage ? end_without_usage : end;
}

// What stands in front of a delta's text, in the order of PartKind.
constexpr std::array<std::string_view, 3> kTextMembers{R"("content":")", R"("refusal":")",
                                                       R"("reasoning_content":")"};

struct PartWriter {
  const Envelope& envelope;
  std::string& out;

  void operator()(const Opening&) const {
    begin_chunk(envelope, out);
    out += R"("role":"assistant","content":"")";
    end_chunk(envelope, {}, out);
  }
  void operator()(const PartBegin& begin) const {
    if (begin.kind == PartKind::tool_call) begin_call(begin);
  }
  SPILLWAY_RARE void begin_call(const PartBegin& begin) const {
    begin_chunk(envelope, out);
    Writer delta(out);
    delta.key("tool_calls").begin_array().begin_object();
    delta.key("index").integer(begin.tool_index).key("id").text(begin.id);
    delta.key("type").string("function").key("function").begin_object();
    delta.key("name").text(begin.name).key("arguments").string("").end_object();
    delta.end_object().end_array();
    end_chunk(envelope, {}, out);
  }
  void operator()(const PartDelta& part) const {
    if (part.text.empty()) return;
    begin_chunk(envelope, out);
    if (part.kind == PartKind::tool_call) {
      add_arguments(part);
    } else {
      out += kTextMembers[static_cast<std::size_t>(part.kind)];
      out += part.text.escaped();
      out += '"';
    }
    end_chunk(envelope, {}, out);
  }
  SPILLWAY_APART void add_arguments(const PartDelta& part) const {
    out += R"("tool_calls":[{"index":)";
    json::append_integer(out, part.tool_index);
    out += R"(,"function":{"arguments":")";
    out += part.text.escaped();
    out += R"("}}])";
  }
  void operator()(const PartEnd&) const {}
  void operator()(const Closing& closing) const {
    begin_chunk(envelope, out);
    end_chunk(envelope, name_of(closing.reason), out);
    if (!envelope.include_usage || !counted(closing.usage)) return;
    out += "data: ";
    Writer json(out);
    json.begin_object();
    write_head(envelope, "chat.completion.chunk", json);
    json.key("choices").begin_array().end_array().key("usage");
    write_usage(closing.usage, envelope.paid, json);
    json.end_object();
    out += "\n\n";
  }
};

// What stands for a text that the answer does not have.
enum class Missing { left_out, null, empty };

// All texts of one kind, in order, as one member.
void write_pieces(const Answer& answer, PartKind kind, std::string_view key, Missing missing,
                  Writer& out) {
  bool any = false;
  for (const Answer::Piece& piece : answer.pieces) {
    if (piece.kind != kind) continue;
    if (!any) out.key(key).begin_text();
    any = true;
    out.out() += piece.text;
  }
  if (any) {
    out.end_text();
  } else if (missing == Missing::null) {
    out.key(key).null();
  } else if (missing == Missing::empty) {
    out.key(key).string("");
  }
}

// A message whose content is null says something else: clients of others read a text.
Missing missing_content(const Answer& answer) {
  const bool says_else =
      std::any_of(answer.pieces.begin(), answer.pieces.end(), [](const Answer::Piece& piece) {
        return piece.kind == PartKind::tool_call || piece.kind == PartKind::refusal;
      });
  return says_else ? Missing::null : Missing::empty;
}

void write_answer_calls(const Answer& answer, Writer& out) {
  bool any = false;
  for (const Answer::Piece& piece : answer.pieces) {
    if (piece.kind != PartKind::tool_call) continue;
    if (!any) out.key("tool_calls").begin_array();
    any = true;
    out.begin_object();
    out.key("id").text(JsonText::trusted(piece.id)).key("type").string("function");
    out.key("function").begin_object();
    out.key("name").text(JsonText::trusted(piece.name));
    out.key("arguments").text(JsonText::trusted(piece.text)).end_object();
    out.end_object();
  }
  if (any) out.end_array();
}

}  // namespace

void prepare(Envelope& envelope) {
  envelope.chunk_head = "data: ";
  Writer json(envelope.chunk_head);
  json.begin_object();
  write_head(envelope, "chat.completion.chunk", json);
  json.key("choices").begin_array().begin_object();
  json.key("index").integer(0).key("delta").begin_object();
}

void encode_part(const Part& part, const Envelope& envelope, std::string& out) {
  std::visit(PartWriter{envelope, out}, part);
}

void encode_answer(const Answer& answer, const Envelope& envelope, std::string& out) {
  Writer json(out);
  json.begin_object();
  write_head(envelope, "chat.completion", json);
  json.key("choices").begin_array().begin_object().key("index").integer(0);
  json.key("message").begin_object().key("role").string("assistant");
  write_pieces(answer, PartKind::text, "content", missing_content(answer), json);
  write_pieces(answer, PartKind::reasoning, "reasoning_content", Missing::left_out, json);
  write_pieces(answer, PartKind::refusal, "refusal", Missing::null, json);
  write_answer_calls(answer, json);
  json.end_object().key("logprobs").null();
  json.key("finish_reason").string(name_of(answer.reason));
  json.end_object().end_array();
  if (counted(answer.usage)) {
    json.key("usage");
    write_usage(answer.usage, {}, json);
  }
  json.end_object();
}

void encode_error(const ClientError& error, std::string& out) {
  Writer json(out);
  json.begin_object().key("error").begin_object();
  json.key("message").string(error.message);
  json.key("type").string(error.type);
  json.key("param");
  if (error.param.empty()) {
    json.null();
  } else {
    json.string(error.param);
  }
  json.key("code").string(error.code);
  json.end_object().end_object();
}

void encode_stream_error(const ClientError& error, std::string& out) {
  out += "data: ";
  encode_error(error, out);
  out += "\n\n";
}

}  // namespace spillway::adapters::openai_chat_client
