// The environments below were printed by processes under Open MPI 4.1.4 and Slurm 22.05.8.

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "launcher.h"
#include "muster/mpi/session.h"

using muster::LaunchEvidence;

namespace {

std::map<std::string, std::string> environment;

const char* look_up(const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
}

LaunchEvidence evidence_of(std::map<std::string, std::string> variables) {
    environment = std::move(variables);
    return muster::read_launch_evidence(look_up);
}

int local_size_of(std::map<std::string, std::string> variables) {
    environment = std::move(variables);
    return muster::local_size_evidence(look_up);
}

void check(const LaunchEvidence& evidence, const std::string& launcher, int size) {
    CHECK(evidence.launcher == launcher);
    CHECK(evidence.expected_size == size);
}

}  // namespace

TEST_CASE("no launcher") {
    check(evidence_of({}), "", 1);
    check(evidence_of({{"HOME", "/root"}, {"OMPI_UNIVERSE_SIZE", "8"}}), "", 1);
}

TEST_CASE("launchers say how many they started") {
    check(evidence_of({{"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "2"}}), "mpirun", 4);
    check(evidence_of({{"PMI_SIZE", "3"}, {"PMI_RANK", "0"}}), "mpiexec", 3);
    check(evidence_of({{"PALS_SIZE", "16"}}), "mpiexec", 16);
    check(evidence_of({{"FLUX_JOB_SIZE", "2"}}), "flux run", 2);
    check(evidence_of({{"OMPI_COMM_WORLD_SIZE", "1"}}), "mpirun", 1);
}

TEST_CASE("tasks of a Slurm step") {
    check(evidence_of({{"SLURM_STEP_ID", "0"},
                       {"SLURM_PROCID", "1"},
                       {"SLURM_NTASKS", "4"},
                       {"SLURM_STEP_NUM_TASKS", "4"}}),
          "srun", 4);
    // With --mpi=pmi2 both speak; srun is the name that helps.
    check(evidence_of({{"SLURM_STEPID", "1"},
                       {"SLURM_PROCID", "0"},
                       {"SLURM_STEP_NUM_TASKS", "2"},
                       {"PMI_SIZE", "2"}}),
          "srun", 2);
    check(
        evidence_of({{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}),
        "srun", 1);
}

TEST_CASE("the shells of sbatch and salloc are no tasks") {
    const std::map<std::string, std::string> sbatch{
        {"SLURM_JOB_ID", "3"}, {"SLURM_NTASKS", "8"},  {"SLURM_NPROCS", "8"},
        {"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}, {"SLURM_TASKS_PER_NODE", "4(x2)"}};
    check(evidence_of(sbatch), "", 1);
    auto batch_step = sbatch;
    batch_step.insert({"SLURM_STEP_ID", "4294967291"});
    batch_step.insert({"SLURM_STEP_NUM_TASKS", "8"});
    check(evidence_of(batch_step), "", 1);
    auto interactive_step = sbatch;
    interactive_step.insert({"SLURM_STEP_ID", "4294967290"});
    interactive_step.insert({"SLURM_STEP_NUM_TASKS", "1"});
    check(evidence_of(interactive_step), "", 1);
}

TEST_CASE("mpirun inside a Slurm job: mpirun's own count, not that of the step of its daemons") {
    check(evidence_of({{"OMPI_COMM_WORLD_SIZE", "8"},
                       {"SLURM_STEP_ID", "0"},
                       {"SLURM_PROCID", "0"},
                       {"SLURM_STEP_NUM_TASKS", "2"}}),
          "mpirun", 8);
    check(evidence_of({{"OMPI_COMM_WORLD_SIZE", "1"},
                       {"SLURM_STEP_ID", "0"},
                       {"SLURM_PROCID", "0"},
                       {"SLURM_STEP_NUM_TASKS", "2"}}),
          "mpirun", 1);
}

TEST_CASE("values that are no counts say nothing") {
    for (const char* value : {"", "four", "0", "-3", "4x", "99999999999999999999", "4294967296"}) {
        CAPTURE(value);
        check(evidence_of({{"OMPI_COMM_WORLD_SIZE", value}}), "", 1);
    }
}

TEST_CASE("singletons are refused, everything else is not") {
    CHECK(muster::singleton_problem({"", 1}, 1).empty());
    CHECK(muster::singleton_problem({"mpirun", 4}, 4).empty());
    CHECK(muster::singleton_problem({"mpirun", 1}, 1).empty());
    CHECK(muster::singleton_problem({"srun", 2}, 8).empty());
    const auto with_mpirun = muster::singleton_problem({"mpirun", 4}, 1);
    CHECK(with_mpirun.find("mpirun started 4 processes") == 0);
    CHECK(with_mpirun.find("`mpirun -n 4 muster ...`") != std::string::npos);
    const auto with_srun = muster::singleton_problem({"srun", 2}, 1);
    CHECK(with_srun.find("`srun --mpi=pmix -n 2 muster ...`") != std::string::npos);
}

TEST_CASE("tasks of srun that Open MPI cannot connect are known before MPI_Init") {
    const LaunchEvidence srun{"srun", 2};
    environment = {};
    CHECK(muster::no_way_to_connect(srun, "Open MPI v4.1.4", look_up));
    CHECK_FALSE(muster::no_way_to_connect(srun, "MPICH Version: 4.0", look_up));
    CHECK_FALSE(muster::no_way_to_connect({"srun", 1}, "Open MPI v4.1.4", look_up));
    CHECK_FALSE(muster::no_way_to_connect({"mpirun", 2}, "Open MPI v4.1.4", look_up));
    environment = {{"PMIX_RANK", "0"}};
    CHECK_FALSE(muster::no_way_to_connect(srun, "Open MPI v4.1.4", look_up));
}

TEST_CASE("ranks on this node, before MPI can be asked") {
    CHECK(local_size_of({}) == 0);
    CHECK(local_size_of({{"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}) == 4);
    CHECK(local_size_of({{"MPI_LOCALNRANKS", "2"}}) == 2);
    const std::string list = "3,2(x3),1";
    const int expected[] = {3, 2, 2, 2, 1, 0};
    for (int node = 0; node < 6; ++node) {
        CHECK(local_size_of({{"SLURM_STEP_TASKS_PER_NODE", list},
                             {"SLURM_NODEID", std::to_string(node)}}) == expected[node]);
    }
    CHECK(local_size_of({{"SLURM_STEP_TASKS_PER_NODE", "x"}, {"SLURM_NODEID", "0"}}) == 0);
    CHECK(local_size_of({{"SLURM_STEP_TASKS_PER_NODE", "4("}, {"SLURM_NODEID", "0"}}) == 4);
    CHECK(local_size_of({{"SLURM_STEP_TASKS_PER_NODE", "4"}, {"SLURM_NODEID", "-1"}}) == 0);
}
