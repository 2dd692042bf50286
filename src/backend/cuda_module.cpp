// The program's side of libmuster_cuda.so. The driver is looked for first: the module links
// cuBLASLt, which costs every process that loads it 200 MB. Once loaded it stays: its threads and
// the driver's outlive any call.

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "cuda/module.h"
#include "driver.h"
#include "muster/backend/cuda.h"
#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/base/log.h"
#include "muster/base/text.h"

namespace muster {

namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "libmuster_cuda.so";
/// The CUDA that the module is made for; newer drivers run it, older ones do not.
constexpr int kLeastDriver = 13000;
constexpr const char* kLeastDriverRelease = "580";  // CUDA 13.0 release notes, table 3

std::string version_text(int version) {
    return cat(version / 1000, '.', version % 1000 / 10);
}

void check_driver() {
    std::string why;
    const int version = cuda_driver_version(why);
    if (version == 0)
        throw UserError(cat("no NVIDIA driver on this node: ", why,
                            "; expected one: start on a GPU node, or take --device cpu"));
    if (version < kLeastDriver)
        throw UserError(cat("the NVIDIA driver of this node runs CUDA up to ",
                            version_text(version), "; expected ", version_text(kLeastDriver),
                            " or later (driver ", kLeastDriverRelease,
                            "): ask for an update, or take --device cpu"));
}

/// MUSTER_MODULE_DIR, if set, is the only place: a wrong one should be noticed.
std::vector<fs::path> module_folders() {
    if (const char* set = std::getenv("MUSTER_MODULE_DIR"); set != nullptr && *set != '\0')
        return {set};
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    if (error) return {};
    const fs::path folder = program.parent_path();
    return {folder, folder.parent_path() / "lib" / "muster"};
}

fs::path find_module() {
    std::vector<std::string> looked;
    for (const fs::path& folder : module_folders()) {
        std::error_code error;
        if (fs::exists(folder / kModule, error)) return folder / kModule;
        looked.push_back(folder.string());
    }
    throw UserError(
        cat(kModule, ": not in ", join(looked, " or "),
            "; expected the CUDA module of this program: build with -DMUSTER_WITH_CUDA=ON (nvcc of "
            "CUDA 13 and cuBLASLt), or set MUSTER_MODULE_DIR to its folder"));
}

using ModuleEntry = const cuda::ModuleTable*();

const cuda::ModuleTable& load_module() {
    check_driver();
    const std::string path = find_module().string();
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)  // dlerror() names the library that is missing
        throw UserError(cat("the CUDA module cannot be loaded: ", dlerror(),
                            "; expected the libraries of CUDA 13: load the site's module or "
                            "set LD_LIBRARY_PATH"));
    const auto entry = reinterpret_cast<ModuleEntry*>(dlsym(library, cuda::kModuleEntry));
    const cuda::ModuleTable* const table = entry != nullptr ? entry() : nullptr;
    if (table == nullptr)
        throw UserError(cat(path, ": not a CUDA module of muster: ",
                            entry == nullptr ? cat("no function ", cuda::kModuleEntry)
                                             : std::string("its table is empty"),
                            "; expected the one that was built with this program"));
    if (table->build != build_id())
        throw UserError(cat(path, ": built from muster ", table->build, ", but this program from ",
                            build_id(), "; expected the same: build or install both together"));
    return *table;
}

const cuda::ModuleTable& loaded_module() {
    static const cuda::ModuleTable& table = load_module();  // a failure is tried again
    table.configure_log(log_verbosity(), log_prefix(), log_speaks());
    return table;
}

}  // namespace

std::string cuda_problem() {
    try {
        loaded_module();
        return "";
    } catch (const UserError& e) {
        return e.what();
    }
}

std::string nccl_problem() {
    try {
        return loaded_module().nccl_problem();
    } catch (const UserError& e) {
        return e.what();
    }
}

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options, const Communicator& group) {
    return loaded_module().make_backend(options, group);
}

CudaCeilings measure_cuda_ceilings(int ordinal, int repeats) {
    return loaded_module().measure_ceilings(ordinal, repeats);
}

}  // namespace muster
