# SPDX-License-Identifier: Apache-2.0
# The ROS wheels export include directories of the machine that built them, and CMake refuses to generate
# with imported targets whose include directories do not exist. Drop those; keep generator expressions.
# Included by pip's build only (CMAKE_PROJECT_INCLUDE in pyproject.toml); colcon does not need it.
function(drop_missing_include_directories)
  get_directory_property(targets IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    set(kept)
    foreach(directory IN LISTS directories)
      if(directory MATCHES "^\\$<" OR EXISTS "${directory}")
        list(APPEND kept "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${kept}")
  endforeach()
endfunction()

cmake_language(DEFER CALL drop_missing_include_directories)
