#pragma once
// What the launcher says of this node, before MPI can be asked.

namespace muster {

/// Ranks that the launcher put on this node, or 0 if it does not say. For choosing how to wait and
/// nothing else: the local rank and size of the program come from MPI.
int local_size_evidence(const char* (*get)(const char* name));

}  // namespace muster
