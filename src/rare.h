// What is not for every request. WebAssembly is compiled function by function, each whole when it
// is first called: what is rare must not stand inside of what is not, or the first chat of every
// new isolate waits for it.
#pragma once

#define SPILLWAY_RARE [[gnu::cold, gnu::noinline]]

// What many requests need, and the first token of most does not.
#define SPILLWAY_APART [[gnu::noinline]]
