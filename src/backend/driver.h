#pragma once
// What the rest of this room asks of NVIDIA's driver besides its devices.

#include <string>

namespace muster {

/// The newest CUDA that the driver of this node can run: 13000 for 13.0. 0, with the reason in
/// `why`, where there is no driver. Needs no device.
int cuda_driver_version(std::string& why);

}  // namespace muster
