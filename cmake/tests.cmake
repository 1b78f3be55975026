# spillway_tests: every tests/*.cpp, linked to GoogleTest. The same binary runs as a few shards, so
# that all cores work; each shard is one ctest test.
# spillway_sim: tests/sim/*.cpp, a program of its own (docs/RELIABILITY.md).
enable_testing()

file(GLOB sim_sources CONFIGURE_DEPENDS tests/sim/*.cpp)
if(sim_sources)
  find_package(Threads REQUIRED)
  add_executable(spillway_sim EXCLUDE_FROM_ALL ${sim_sources})
  target_link_libraries(spillway_sim PRIVATE spillway_core Threads::Threads)
endif()

file(GLOB test_sources CONFIGURE_DEPENDS tests/*.cpp)
if(NOT test_sources)
  message(STATUS "No tests/*.cpp yet: spillway_tests is not built")
  return()
endif()

find_package(GTest REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)  # an independent reading of JSON, for tests alone
add_executable(spillway_tests ${test_sources})
target_link_libraries(spillway_tests PRIVATE spillway_core GTest::gtest_main nlohmann_json::nlohmann_json)
# Where the case files stand, whatever the working directory.
target_compile_definitions(spillway_tests PRIVATE SPILLWAY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")

set(SPILLWAY_TEST_SHARDS 4 CACHE STRING "In how many processes the tests run")
math(EXPR last_shard "${SPILLWAY_TEST_SHARDS} - 1")
foreach(shard RANGE ${last_shard})
  add_test(NAME spillway_tests_${shard} COMMAND spillway_tests --gtest_brief=1
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(spillway_tests_${shard} PROPERTIES ENVIRONMENT
    "GTEST_TOTAL_SHARDS=${SPILLWAY_TEST_SHARDS};GTEST_SHARD_INDEX=${shard}")
endforeach()
