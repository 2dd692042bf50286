#pragma once
// What the launcher says of this node, before MPI can be asked.

#include <string>

namespace muster {

struct LaunchEvidence;

/// Ranks that the launcher put on this node, or 0 if it does not say. For choosing how to wait and
/// nothing else: the local rank and size of the program come from MPI.
int local_size_evidence(const char* (*get)(const char* name));

/// True if srun started several tasks and left nothing by which Open MPI (`library`) could connect
/// them: no PMIx, no PMI. MPI_Init would end the process with a message about how Open MPI was
/// built.
bool no_way_to_connect(const LaunchEvidence& evidence, const std::string& library,
                       const char* (*get)(const char* name));

}  // namespace muster
