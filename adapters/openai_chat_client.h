// OpenAI Chat Completions, as served to a client: the halves of the dialect that openai_chat.cpp
// lists in its table.
#pragma once

#include "dialect.h"

namespace spillway::adapters::openai_chat_client {

bool decode_request(ChatRequest& request, BadRequest& problem);
void prepare(Envelope& envelope);
void encode_part(const Part& part, const Envelope& envelope, std::string& out);
void encode_answer(const Answer& answer, const Envelope& envelope, std::string& out);
void encode_error(const ClientError& error, std::string& out);
void encode_stream_error(const ClientError& error, std::string& out);

}  // namespace spillway::adapters::openai_chat_client
