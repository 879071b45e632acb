# Installs the client of the build in BUILD into a fresh folder and builds and runs the project
# beside this file against it. COMPILER and FLAGS (sanitizers) are those of the build.
set(work ${BUILD}/package-test)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(flags "")
if(FLAGS)
  set(flags -fsanitize=${FLAGS})
endif()
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/prefix --component client)
run(${CMAKE_COMMAND} -S ${SOURCE}/test/package -B ${work}/build -G Ninja
    -DCMAKE_PREFIX_PATH=${work}/prefix -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_FLAGS=${flags}
    -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/stranger)
file(REMOVE_RECURSE ${work})
