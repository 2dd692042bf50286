// The backends that test bodies run on. The program links the emulated device, or a real one.

#include "backend_test.h"
#include "cuda/cuda_backend.h"

using namespace muster;

std::vector<std::string> backend_names() {
    return {"cpu", "cuda"};
}

std::unique_ptr<Backend> make_named_backend(const std::string& name, const Communicator& group) {
    if (name == "cpu") return make_cpu_backend(2, group);
    REQUIRE(name == "cuda");
    CudaOptions options;
    options.memory_bytes = std::uint64_t{48} << 20;
    options.transport = DeviceTransport::staged;
    return cuda::make_backend(options, group);
}
