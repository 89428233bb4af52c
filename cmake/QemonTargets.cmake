# What every target of the project shares: warnings, sanitizers, include root, and the two helpers that define libraries and programs.

add_library(qemon_warnings INTERFACE)
target_compile_options(qemon_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
# GCC 12 sees overlapping copies in `"literal" + string` when it optimises: its bug 105651, mended in 13.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(qemon_warnings INTERFACE -Wno-restrict)
endif()
if(QEMON_WARNINGS_AS_ERRORS)
  target_compile_options(qemon_warnings INTERFACE -Werror)
endif()

add_library(qemon_options INTERFACE)
target_link_libraries(qemon_options INTERFACE qemon_warnings)
target_include_directories(qemon_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(qemon_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ALL_NO_LIB
  $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
# What Debian builds its own programs with: qemond reads what untrusted guests cause to be written. Not beside sanitizers. Compilers
# make position-independent programs by themselves.
if(NOT QEMON_SANITIZE)
  # Fortification needs optimisation. Where the distribution's compiler has a level of its own, it is not defined twice.
  set(hardening -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -Werror=format-security)
  target_compile_options(qemon_options INTERFACE "$<$<CONFIG:Release,RelWithDebInfo>:${hardening}>")
  target_link_options(qemon_options INTERFACE "$<$<CONFIG:Release,RelWithDebInfo>:LINKER:-z,relro,-z,now>")
  # A program that is always in memory is without the functions that nobody calls.
  target_compile_options(qemon_options INTERFACE "$<$<CONFIG:Release,RelWithDebInfo>:-ffunction-sections;-fdata-sections>")
  target_link_options(qemon_options INTERFACE "$<$<CONFIG:Release,RelWithDebInfo>:LINKER:--gc-sections>")
endif()
if(QEMON_SANITIZE)
  # With sanitizers g++ 12 takes the unused alternative of a variant for an uninitialized one (its manual warns of that),
  # and inlines only one of a coroutine frame's operators new and delete, which it then takes for a wrong pair.
  # ThreadSanitizer does not know the fences in Asio's handlers, beside which there are locks.
  target_compile_options(qemon_options INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-mismatched-new-delete -Wno-tsan>)
  target_compile_options(qemon_options INTERFACE -fsanitize=${QEMON_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # What it puts in front of a function, clang 14 cannot put in front of the parts of a coroutine.
  target_compile_options(qemon_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=function>)
  target_link_options(qemon_options INTERFACE -fsanitize=${QEMON_SANITIZE})
endif()
if(QEMON_FUZZ)
  # What libFuzzer steers by.
  target_compile_options(qemon_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# qemon_library(NAME SOURCES ... HEADERS ... LINK ...): a static library; each header is checked to compile on its own
# by the target all_verify_interface_header_sets.
function(qemon_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  target_link_libraries(${name} PUBLIC qemon_options ${ARG_LINK})
  set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
endfunction()

# qemon_test(NAME SOURCES ... LINK ... [LABELS ...] [TIMEOUT s]): one GoogleTest program, one ctest entry a test case.
function(qemon_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} test_support GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE QEMON_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  set(properties TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LABELS)
    list(APPEND properties LABELS "${ARG_LABELS}")
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()
