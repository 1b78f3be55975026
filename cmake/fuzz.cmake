# fuzz_<name> for each tests/fuzz/<name>.cpp (it defines LLVMFuzzerTestOneInput).
# `npm run fuzz` runs them.
file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/*.cpp)
foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(fuzz_${name} ${source})
  target_link_libraries(fuzz_${name} PRIVATE spillway_core)
  target_compile_definitions(fuzz_${name} PRIVATE SPILLWAY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  # The core is instrumented by the preset (fuzzer-no-link); only the program gets libFuzzer's main.
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endforeach()
