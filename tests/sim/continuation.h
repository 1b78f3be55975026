// A request to go on with an answer that broke off, as the provider that gets it reads it, and what
// its model makes of that.
#pragma once

#include <string>
#include <string_view>

#include "random.h"
#include "script.h"

namespace spillway::sim {

struct Continuation {
  bool asked = false;      // the request is one
  bool prefilled = false;  // the partial answer is the last turn, and the answer's beginning
  std::string begun;       // the partial answer, plain, as the request has it
};

// From a request's body, in any of the dialects.
Continuation read_continuation(std::string_view body);

// How a model goes on.
enum class Joint : std::uint8_t {
  goes_on,       // exactly there
  repeats,       // the last words first
  begins_again,  // all of it first
  adds_nothing,  // it takes what is there for the whole answer
  contradicts,   // begins again, and then says something else: does not join
  count
};
inline constexpr std::size_t kJoints = static_cast<std::size_t>(Joint::count);
std::string_view name_of(Joint joint);

// Draws how, and puts in front of the script's text what of the old one is said again. `client`:
// what the client has of the text, plain. `is_well`: nothing else is wrong with the answer.
Joint go_on(Random& random, const Continuation& continuation, std::string_view client, bool is_well,
            Script& script);

}  // namespace spillway::sim
