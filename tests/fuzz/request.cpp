// A client's request of any bytes, for every dialect that serves clients: it is refused with the
// name of the field that is wrong, or every dialect can put it to a provider. Three bytes choose
// the target's quirks, the fourth the rest of it; then the body.
#include <nlohmann/json.hpp>

#include "adapters.h"
#include "fuzz.h"

namespace spillway::fuzz {
namespace {

const Dialect* const kDialects[] = {&adapters::openai_chat, &adapters::anthropic,
                                    &adapters::gemini};

// What the targets insist on: a conversation that begins with the user, who takes turns with the
// model. Gemini wants results of tools in a turn of their own, which is the user's too.
void check_turns(const nlohmann::json& conversation, bool user_goes_on) {
  require(conversation.is_array() && !conversation.empty(), "a conversation is not empty");
  std::string last;
  for (const auto& message : conversation) {
    const std::string role = message.value("role", "");
    require(!last.empty() || role == "user", "the user begins");
    require(role != last || (user_goes_on && role == "user"), "sides take turns",
            conversation.dump());
    last = role;
  }
}

std::string encoded(const Dialect& dialect, const ChatRequest& request, const Target& target) {
  std::string body;
  json::Writer out(body);
  Dropped dropped;
  dialect.encode_request(request, target, out, dropped);
  require(json::valid(body, json::Type::object), "a provider is sent a JSON object", body);
  const auto value = nlohmann::json::parse(body, nullptr, false);
  if (&dialect == &adapters::anthropic && value.is_object()) check_turns(value["messages"], false);
  if (&dialect == &adapters::gemini && value.is_object()) check_turns(value["contents"], true);
  require(is_line(list_of(dropped)), "what was dropped is named in a header", list_of(dropped));
  std::string path;
  dialect.append_path(target, path);
  require(path.starts_with('/') && is_line(path), "a path is one", path);
  return body;
}

void check(const Dialect& client, const Target& target, std::string_view body) {
  ChatRequest request;
  request.body = body;
  request.dialect = &client;
  BadRequest problem;
  if (!client.decode_request(request, problem)) {
    require(!problem.message.empty() && !problem.code.empty(), "a mistake is explained");
    require(!problem.param.empty() || !json::valid(body, json::Type::object),
            "a mistake has the name of its field", problem.message);
    std::string error;
    client.encode_error(
        {400, "invalid_request_error", problem.code, problem.message, problem.param}, error);
    require(json::valid(error, json::Type::object), "an error is JSON", error);
    return;
  }
  require(json::valid(body, json::Type::object), "what is no JSON object is refused");
  for (const Dialect* dialect : kDialects) {
    const std::string sent = encoded(*dialect, request, target);
    if (dialect != &client) continue;
    // Sent to one of us, it is taken, and says the same.
    ChatRequest again;
    again.body = sent;
    again.dialect = &client;
    require(client.decode_request(again, problem), "what we send we take", problem.message);
    Target same = target;
    same.quirks &= ~quirk::short_tool_ids;  // ids that are short now are what they are
    require(encoded(client, again, same) == sent, "what we send says the same again", sent);
  }
}

}  // namespace
}  // namespace spillway::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace spillway;
  fuzz::Choices choices(data, size);
  Target target;
  constexpr std::string_view kModels[] = {"vendor/model", "m", "m\"\\ \n?#%\xC3\xA9/../x"};
  for (int byte = 0; byte < 3; ++byte) target.quirks = target.quirks << 8U | choices.byte();
  const unsigned rest = choices.byte();
  target.stream = (rest & 1U) == 0;
  target.ask_usage = (rest & 2U) == 0;
  target.reasons = (rest & 4U) == 0;
  target.model = kModels[(rest >> 4U) % std::size(kModels)];
  target.output_tokens_max = (rest & 8U) == 0 ? 0 : 4096;
  for (const Dialect* dialect : fuzz::kDialects)
    if (dialect->decode_request != nullptr) fuzz::check(*dialect, target, choices.rest());
  return 0;
}
