// Every dialect that exists, one constant each; the file of the same name defines it.
#pragma once

#include "dialect.h"

namespace spillway::adapters {

extern const Dialect openai_chat;
extern const Dialect anthropic;
extern const Dialect gemini;

}  // namespace spillway::adapters
