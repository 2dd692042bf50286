// What launchers leave in the environment of the processes they start. A variable counts only if it
// says how many processes were started *together with this one*:
//   OMPI_COMM_WORLD_SIZE   mpirun of Open MPI
//   PMI_SIZE               mpiexec of MPICH and Intel MPI; srun --mpi=pmi2
//   MV2_COMM_WORLD_SIZE    mpirun of MVAPICH2
//   PALS_SIZE, FLUX_JOB_SIZE, JSM_NAMESPACE_SIZE   mpiexec of HPE Cray, flux run, jsrun
//   SLURM_STEP_NUM_TASKS   srun, with a SLURM_STEP_ID that is no batch or interactive step
// SLURM_NTASKS does not count: it describes the allocation and is set in the shell of sbatch and
// salloc, where a plain `muster run` is legal. mpirun inside a Slurm job starts its daemons with
// srun, whose variables its ranks inherit, so mpirun's own variable is asked first.

#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>

#include "launcher.h"
#include "muster/base/text.h"
#include "muster/mpi/session.h"

namespace muster {

namespace {

using Getter = const char* (*)(const char* name);

struct SizeVariable {
    const char* name;
    const char* launcher;
};
constexpr SizeVariable kSizeVariables[] = {
    {"OMPI_COMM_WORLD_SIZE", "mpirun"}, {"MV2_COMM_WORLD_SIZE", "mpirun"}, {"PALS_SIZE", "mpiexec"},
    {"FLUX_JOB_SIZE", "flux run"},      {"JSM_NAMESPACE_SIZE", "jsrun"},
};

std::optional<std::int64_t> number(Getter get, const char* name) {
    const char* text = get(name);
    if (text == nullptr) return std::nullopt;
    std::int64_t value = 0;
    const char* end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, value);
    if (error != std::errc() || stop != end) return std::nullopt;
    return value;
}

std::optional<int> count(Getter get, const char* name) {
    const auto value = number(get, name);
    if (!value || *value < 1 || *value > INT32_MAX) return std::nullopt;
    return static_cast<int>(*value);
}

/// Tasks of the Slurm step that this process is one of, if it is one.
std::optional<int> slurm_step_tasks(Getter get) {
    auto step = number(get, "SLURM_STEP_ID");
    if (!step) step = number(get, "SLURM_STEPID");
    if (!step || !get("SLURM_PROCID")) return std::nullopt;
    // Slurm numbers batch, extern and interactive steps downwards from 2^32 - 2.
    constexpr std::int64_t kFirstSpecialStep = 0xfffffff0;
    if (*step < 0 || *step >= kFirstSpecialStep) return std::nullopt;
    return count(get, "SLURM_STEP_NUM_TASKS");
}

}  // namespace

LaunchEvidence read_launch_evidence(Getter get) {
    for (const auto& variable : kSizeVariables) {
        if (const auto size = count(get, variable.name)) return {variable.launcher, *size};
    }
    if (const auto size = slurm_step_tasks(get)) return {"srun", *size};
    if (const auto size = count(get, "PMI_SIZE")) return {"mpiexec", *size};
    return {};
}

std::string singleton_problem(const LaunchEvidence& evidence, int world_size) {
    if (world_size != 1 || evidence.expected_size <= 1) return "";
    const int n = evidence.expected_size;
    const std::string version = MpiSession::library_version();
    std::string hint;
    if (evidence.launcher == "srun") {
        hint = cat("start it with `srun --mpi=pmix -n ", n,
                   " muster ...` (`srun --mpi=list` shows what Slurm "
                   "offers), or inside the job with `mpirun -np ",
                   n, " muster ...`");
    } else {
        hint =
            cat("use the ", evidence.launcher, " of the MPI library that muster was built with (",
                version.substr(0, version.find(',')), "): `", evidence.launcher, " -n ", n,
                " muster ...`");
    }
    return cat(evidence.launcher, " started ", n,
               " processes, but each of them sees a world of one rank; expected one world of ", n,
               " ranks. The launcher and muster's MPI library do not belong together: ", hint);
}

bool no_way_to_connect(const LaunchEvidence& evidence, const std::string& library, Getter get) {
    if (evidence.launcher != "srun" || evidence.expected_size <= 1) return false;
    if (library.find("Open MPI") == std::string::npos) return false;
    for (const char* name : {"PMIX_RANK", "PMIX_NAMESPACE", "PMI_RANK", "PMI_FD", "PMI2_RANK"})
        if (get(name) != nullptr) return false;
    return true;
}

int local_size_evidence(Getter get) {
    for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "PALS_LOCAL_SIZE"}) {
        if (const auto size = count(get, name)) return *size;
    }
    // "2(x3),1": three nodes with two tasks, then one node with one.
    const char* list = get("SLURM_STEP_TASKS_PER_NODE");
    auto node = number(get, "SLURM_NODEID");
    if (list == nullptr || !node || *node < 0) return 0;
    for (const auto& item : split(list, ',')) {
        int tasks = 0, repeats = 1;
        const char* end = item.data() + item.size();
        const auto parsed = std::from_chars(item.data(), end, tasks);
        if (parsed.ec != std::errc()) return 0;
        if (end - parsed.ptr > 2) std::from_chars(parsed.ptr + 2, end, repeats);
        if (*node < repeats) return tasks;
        *node -= repeats;
    }
    return 0;
}

}  // namespace muster
