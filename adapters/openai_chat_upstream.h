// OpenAI Chat Completions, as asked of a provider: the half of the dialect that openai_chat.cpp
// lists in its table.
#pragma once

#include "dialect.h"

namespace spillway::adapters::openai_chat_upstream {

void append_path(const Target& target, std::string& out);
void encode_request(const ChatRequest& request, const Target& target, json::Writer& out,
                    Dropped& dropped);

}  // namespace spillway::adapters::openai_chat_upstream
