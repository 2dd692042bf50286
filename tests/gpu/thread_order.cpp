#include "cuda_emulator/attention_scene.h"

/// Threads of a device run as they like.
void muster::test::set_thread_order(bool) {}
