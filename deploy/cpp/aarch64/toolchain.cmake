# Cross-compiles for ARM64 Linux with what setup.sh brought: -DPOCKETBERT_AARCH64=FOLDER
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES POCKETBERT_AARCH64)  # CMake reads this file again for each
set(CMAKE_CROSSCOMPILING_EMULATOR "${POCKETBERT_AARCH64}/run")
set(OnnxRuntime_ROOT "${POCKETBERT_AARCH64}/onnxruntime")
set(OPENSSL_ROOT_DIR "${POCKETBERT_AARCH64}/root/usr")
set(OPENSSL_INCLUDE_DIR "${OPENSSL_ROOT_DIR}/include")
set(OPENSSL_CRYPTO_LIBRARY "${OPENSSL_ROOT_DIR}/lib/aarch64-linux-gnu/libcrypto.so")
set(CMAKE_CXX_FLAGS_INIT "-isystem ${OPENSSL_INCLUDE_DIR}/aarch64-linux-gnu")
