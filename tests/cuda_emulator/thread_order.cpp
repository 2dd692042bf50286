#include "device_data.h"

void muster::test::set_thread_order(bool backwards) {
    emulator::run_threads_backwards(backwards);
}
