# How every library, program and test of the project is built. Options come from the presets.
option(LANDFALL_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(LANDFALL_SANITIZE "" CACHE STRING "Sanitizers, as given to -fsanitize=")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Werror -fno-omit-frame-pointer
                    # Designated initialisers leave out what stays at its default.
                    -Wno-missing-field-initializers)
# g++ 12 reports these in the standard library's own inlined code at -O2.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized -Wno-array-bounds
                      -Wno-stringop-overflow -Wno-stringop-overread)
else()
  # The standard library of g++ 12 calls its own deprecated get_temporary_buffer in stable_sort.
  add_compile_options(-Wno-deprecated-declarations)
endif()
if(LANDFALL_SANITIZE)
  add_compile_options(-fsanitize=${LANDFALL_SANITIZE})
  add_link_options(-fsanitize=${LANDFALL_SANITIZE})
  if(LANDFALL_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(LANDFALL_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)
  endif()
endif()
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION)

# landfall_library(<folder> SOURCES a.cc … DEPS <folder> … LIBS <imported target> …)
# makes the static library landfall_<folder>.
function(landfall_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(landfall_${name} STATIC ${ARG_SOURCES})
  target_include_directories(landfall_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>
                                                     $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
  list(TRANSFORM ARG_DEPS PREPEND landfall_)
  target_link_libraries(landfall_${name} PUBLIC ${ARG_DEPS} ${ARG_LIBS})
endfunction()

# landfall_test(<folder> SOURCES a_test.cc … DEPS <folder> … LIBS …)
# makes the program <folder>_test and one CTest of the same name, labelled "unit".
function(landfall_test name)
  if(NOT BUILD_TESTING)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPS PREPEND landfall_)
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPS} ${ARG_LIBS} GTest::gtest GTest::gmock
                                             GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# landfall_fuzzer(<name> SOURCES … DEPS …) makes fuzz_<name>: with the fuzz preset a libFuzzer
# program; otherwise the same code with a main that replays the corpus given on its command line.
function(landfall_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  list(TRANSFORM ARG_DEPS PREPEND landfall_)
  if(LANDFALL_FUZZ)
    add_executable(fuzz_${name} ${ARG_SOURCES})
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${ARG_SOURCES} ${CMAKE_SOURCE_DIR}/test/fuzz/replay_main.cc)
  endif()
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_DEPS})
endfunction()

# landfall_check_nothing_forgotten() refuses to configure while a source file or a test lies in a
# folder whose CMakeLists.txt does not name it: a test that nothing builds would never fail.
function(landfall_check_nothing_forgotten)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} src/*.cc test/*.cc
       test/test_*.py bench/*.cc examples/*.cc)
  list(FILTER files EXCLUDE REGEX "/node_modules/")
  # Named above, and by Install.cmake.
  list(REMOVE_ITEM files test/fuzz/replay_main.cc test/package/test_server_script.py)
  foreach(file ${files})
    get_filename_component(folder ${file} DIRECTORY)
    get_filename_component(name ${file} NAME)
    string(REPLACE "." "\\." pattern ${name})
    set(list ${CMAKE_SOURCE_DIR}/${folder}/CMakeLists.txt)
    set(named "")
    if(EXISTS ${list})
      # Not in a comment, and not as the end of another name.
      file(STRINGS ${list} named REGEX "^([^#]*[^#A-Za-z0-9_])?${pattern}")
    endif()
    if(NOT named)
      message(FATAL_ERROR "${file}: ${folder}/CMakeLists.txt does not name it, so nothing builds or "
                          "runs it")
    endif()
  endforeach()
endfunction()
