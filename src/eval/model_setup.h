#pragma once
// From a run's configuration to a loaded model and its engine, on all ranks: where they compute, in
// which layout, and how much memory that takes. Set-up errors are agreed on.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "muster/backend/backend.h"
#include "muster/engine/engine.h"
#include "muster/eval/device_memory.h"
#include "muster/eval/devices.h"
#include "muster/eval/run_config.h"
#include "muster/eval/setup.h"
#include "muster/eval/topology.h"
#include "muster/model/model.h"
#include "muster/mpi/communicator.h"
#include "muster/tensor/checkpoint.h"

namespace muster {

struct ModelSetup {
    ModelSetup(const Communicator& world_, RunConfig run_) : world(&world_), run(std::move(run_)) {}

    /// Devices, the model's small files, and the layout unless the degree is to be chosen.
    /// Collective.
    void find_model();
    /// All the rest, for requests of at most `longest` tokens. Collective.
    void load_model(std::int64_t longest);

    const Communicator* world;
    RunConfig run;  ///< what was left open is settled on the way
    JobDevices devices;
    std::optional<Topology> topology;
    std::unique_ptr<ModelFiles> files;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Checkpoint> checkpoint;
    std::unique_ptr<Model> model;
    std::unique_ptr<Engine> engine;
    std::int64_t kv_tokens = 0;
    std::uint64_t program = 0;  ///< bytes of this process besides the model
    MemoryPlan memory;      ///< of this rank
    std::string transport;  ///< between devices, "" where there is nothing to exchange

 private:
    void find_devices();
    void lay_out();
    void choose_degree_for(std::int64_t longest);
    void plan_memory_use(std::int64_t longest);
    void load_weights(std::int64_t longest);
    void choose_cpu_kv_tokens(std::int64_t longest);
    DeviceNeeds needs(std::int64_t longest) const;
    MemoryPlan cpu_plan(std::int64_t tokens) const;
};

/// What this process took and what was planned, for the log.
std::string describe_memory(const MemoryPlan& plan);

}  // namespace muster
