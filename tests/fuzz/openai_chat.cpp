// What a provider of openai_chat answers, on any bytes (decode.h).
#include "decode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return spillway::fuzz::fuzz_decoder(spillway::adapters::openai_chat, data, size);
}
