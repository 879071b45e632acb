# What `cmake --install` puts in place: the two programs, the systemd unit, and the C++ client as a
# package, so that find_package(Landfall) gives landfall::client.
set(CMAKE_INSTALL_DOCDIR share/doc/landfall CACHE PATH "Where documentation is installed")
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

foreach(program landfalld landfall)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT broker)
  endif()
endforeach()

configure_file(${CMAKE_SOURCE_DIR}/packaging/landfalld.service.in
               ${CMAKE_BINARY_DIR}/packaging/landfalld.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/packaging/landfalld.service DESTINATION lib/systemd/system
        COMPONENT broker)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/sysusers.conf DESTINATION lib/sysusers.d
        RENAME landfall.conf COMPONENT broker)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/grafana/landfall.json
        DESTINATION ${CMAKE_INSTALL_DATADIR}/landfall/grafana COMPONENT broker)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/prometheus/landfall.rules.yml
        DESTINATION ${CMAKE_INSTALL_DATADIR}/landfall/prometheus COMPONENT broker)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The web console is npm's to build: what needs no node shall not fail without it.
find_program(LANDFALL_NPM npm)
if(LANDFALL_NPM)
  add_custom_target(console COMMAND ${CMAKE_SOURCE_DIR}/script/web USES_TERMINAL
                    COMMENT "Building the web console into web/dist")
else()
  add_custom_target(console COMMAND ${CMAKE_COMMAND} -E echo
                    "npm is not here: the broker works without its web console (script/setup web)")
endif()
install(CODE "
  if(NOT EXISTS \"${CMAKE_SOURCE_DIR}/web/dist/index.html\")
    message(STATUS \"The web console is not built, and is not installed: script/web builds it\")
  endif()" COMPONENT broker)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/web/dist/ DESTINATION share/landfall/console COMPONENT broker
        OPTIONAL)

if(NOT TARGET landfall_client)
  return()
endif()

# landfall_closure(<target> <folders> <libraries>): the project's own libraries that a target rests
# on, itself included, and the foreign ones that those link.
function(landfall_closure target out_folders out_libraries)
  set(folders "")
  set(libraries "")
  set(todo ${target})
  while(todo)
    list(POP_FRONT todo next)
    if(next MATCHES "^\\$<LINK_ONLY:(.*)>$")
      set(next ${CMAKE_MATCH_1})
    endif()
    if(next IN_LIST folders OR next IN_LIST libraries)
      continue()
    elseif(next MATCHES "^landfall_")
      list(APPEND folders ${next})
      get_target_property(links ${next} INTERFACE_LINK_LIBRARIES)
      if(links)
        list(APPEND todo ${links})
      endif()
    else()
      list(APPEND libraries ${next})
    endif()
  endwhile()
  set(${out_folders} ${folders} PARENT_SCOPE)
  set(${out_libraries} ${libraries} PARENT_SCOPE)
endfunction()

# The client and what it rests on as one archive. A person links one library, and does not need the
# development packages of libraries that we use as headers only.
landfall_closure(landfall_client client_folders client_libraries)
list(TRANSFORM client_folders REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE client_objects)
add_library(landfall_package STATIC ${client_objects})
set_target_properties(landfall_package PROPERTIES OUTPUT_NAME landfall EXPORT_NAME client
                                                  LINKER_LANGUAGE CXX)
target_compile_features(landfall_package INTERFACE cxx_std_20)
target_include_directories(landfall_package
                           INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# How the package finds again what the archive links. A library that is not listed here stops the
# build, so that a new dependency of the client cannot be forgotten.
set(client_dependencies "")
foreach(library ${client_libraries})
  if(library MATCHES "^Boost::(headers|boost)$" OR library MATCHES "^nlohmann_json"
     OR library MATCHES "-header-only|_header_only$")
    continue()  # headers only, and none of them is in ours
  elseif(library STREQUAL "Threads::Threads")
    list(APPEND client_dependencies "find_dependency(Threads)")
  elseif(library MATCHES "^OpenSSL::")
    list(APPEND client_dependencies "find_dependency(OpenSSL 3.0)")
  elseif(library MATCHES "^(fmt|spdlog)::")
    list(APPEND client_dependencies "find_dependency(${CMAKE_MATCH_1})")
  elseif(library MATCHES "^PkgConfig::(.+)$")
    set(prefix ${CMAKE_MATCH_1})
    string(TOLOWER ${prefix} module)
    if(module MATCHES "^(xxhash|sodium)$")
      set(module lib${module})
    endif()
    list(APPEND client_dependencies
         "find_dependency(PkgConfig)"
         "pkg_check_modules(${prefix} REQUIRED QUIET IMPORTED_TARGET ${module})")
  else()
    message(FATAL_ERROR "cmake/Install.cmake does not know how a person's build finds ${library}, "
                        "which the client has come to link")
  endif()
  target_link_libraries(landfall_package INTERFACE ${library})
endforeach()
list(REMOVE_DUPLICATES client_dependencies)
list(JOIN client_dependencies "\n" client_dependencies)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Landfall)
install(TARGETS landfall_package EXPORT LandfallTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/landfall DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT client FILES_MATCHING PATTERN "*.h")
install(EXPORT LandfallTargets NAMESPACE landfall:: DESTINATION ${package_dir} COMPONENT client)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/LandfallConfig.cmake.in
                              ${CMAKE_BINARY_DIR}/package/LandfallConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/LandfallConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/LandfallConfig.cmake
              ${CMAKE_BINARY_DIR}/package/LandfallConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT client)

if(BUILD_TESTING)
  # Installs the client into a folder of its own and builds a stranger's project against it.
  add_test(NAME package
           COMMAND ${CMAKE_COMMAND} -DBUILD=${CMAKE_BINARY_DIR} -DSOURCE=${CMAKE_SOURCE_DIR}
                   -DCOMPILER=${CMAKE_CXX_COMPILER} -DFLAGS=${LANDFALL_SANITIZE}
                   -P ${CMAKE_SOURCE_DIR}/test/package/run.cmake)
  set_tests_properties(package PROPERTIES LABELS interop TIMEOUT 120)
  # Only of the build that script/server makes itself.
  if(CMAKE_BINARY_DIR STREQUAL "${CMAKE_SOURCE_DIR}/build/release")
    add_test(NAME server_script
             COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider
                     ${CMAKE_SOURCE_DIR}/test/package/test_server_script.py)
    set_tests_properties(server_script PROPERTIES LABELS interop TIMEOUT 300
                         ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
  endif()
endif()
