# Finds TensorRT's runtime in TensorRT_ROOT or the system, and CUDA's, and defines TensorRT::TensorRT.
find_path(TensorRT_INCLUDE_DIR NvInferRuntime.h PATH_SUFFIXES include)
find_library(TensorRT_LIBRARY nvinfer PATH_SUFFIXES lib)
mark_as_advanced(TensorRT_INCLUDE_DIR TensorRT_LIBRARY)

# Newer headers define the parts of the version by other names: TRT_MAJOR_ENTERPRISE for NV_TENSORRT_MAJOR.
if(EXISTS "${TensorRT_INCLUDE_DIR}/NvInferVersion.h")
  file(READ "${TensorRT_INCLUDE_DIR}/NvInferVersion.h" header)
  foreach(part MAJOR MINOR PATCH)
    string(REGEX MATCH "#define (NV_TENSORRT_${part}|TRT_${part}_ENTERPRISE) ([0-9]+)" _ "${header}")
    set(TensorRT_VERSION_${part} "${CMAKE_MATCH_2}")
  endforeach()
  set(TensorRT_VERSION
    "${TensorRT_VERSION_MAJOR}.${TensorRT_VERSION_MINOR}.${TensorRT_VERSION_PATCH}")
endif()

find_package(CUDAToolkit QUIET)  # -DCUDAToolkit_ROOT=...

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorRT
  REQUIRED_VARS TensorRT_LIBRARY TensorRT_INCLUDE_DIR CUDAToolkit_FOUND
  VERSION_VAR TensorRT_VERSION)

if(TensorRT_FOUND AND NOT TARGET TensorRT::TensorRT)
  add_library(TensorRT::TensorRT SHARED IMPORTED)
  set_target_properties(TensorRT::TensorRT PROPERTIES
    IMPORTED_LOCATION "${TensorRT_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${TensorRT_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES CUDA::cudart)
endif()
