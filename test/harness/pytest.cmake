# landfall_pytest(<label> <file> [TIMEOUT seconds])
# registers <label>_<file without test_ and .py> for one worker and for three, which may run at the
# same time. Every test inside has a deadline of its own, so that a hanging one is cleaned up; the
# TIMEOUT here is the last resort. A file that skips itself as a whole, because what it needs is not
# installed, makes pytest end with 5: CTest then calls it skipped.
function(landfall_pytest label file)
  cmake_parse_arguments(ARG "" "TIMEOUT" "" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  string(REGEX REPLACE "^test_(.*)\\.py$" "\\1" subject ${file})
  foreach(workers 1 3)
    set(name ${label}_${subject}_${workers}w)
    add_test(NAME ${name}
             COMMAND /usr/bin/python3 -m pytest -q -s -p no:cacheprovider --tb=short -rsx
                     ${CMAKE_CURRENT_SOURCE_DIR}/${file}
             WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES
      LABELS ${label} TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 5
      ENVIRONMENT "LANDFALLD=${CMAKE_BINARY_DIR}/bin/landfalld;LANDFALL_TEST_WORKERS=${workers};LANDFALL_SANITIZE=${LANDFALL_SANITIZE};PYTHONDONTWRITEBYTECODE=1")
  endforeach()
endfunction()
