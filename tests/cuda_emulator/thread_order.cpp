#include "attention_scene.h"

void muster::test::set_thread_order(bool backwards) {
    emulator::run_threads_backwards(backwards);
}
