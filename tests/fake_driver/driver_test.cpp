// open_driver() on a made-up driver: what a process sees for every form of CUDA_VISIBLE_DEVICES,
// and what is said of each device.

#include <doctest/doctest.h>

#include <algorithm>

#include "driver.h"
#include "environment.h"
#include "muster/backend/device.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::vector<Device> look() {
    std::string why;
    const std::unique_ptr<DeviceLister> driver = open_driver(why);
    REQUIRE_MESSAGE(driver != nullptr, why);
    return driver->visible();
}

/// First two digits of the UUIDs of what a process sees on a machine of eight: "a0 a1".
std::string seen(const char* cuda_visible_devices) {
    const Environment environment{{"MUSTER_FAKE_DEVICES", "8"},
                                  {"CUDA_VISIBLE_DEVICES", cuda_visible_devices}};
    std::string text;
    int ordinal = 0;
    for (const Device& device : look()) {
        CHECK(device.ordinal == ordinal++);
        text += (text.empty() ? "" : " ") + device.uuid.substr(4, 2);
    }
    return text;
}

/// Two GPUs, one of them in MIG mode with two instances.
constexpr const char* kMig =
    "NVIDIA H200,11000000-0000-4000-8000-000000000000,0000:17:00.0,90,143771,143000;"
    "NVIDIA H200,22000000-0000-4000-8000-000000000000,0000:2a:00.0,90,143771,143000,"
    "aa000000-0000-5000-8000-000000000001:7:0:17408,bb000000-0000-5000-8000-000000000002:9:0:34816";

std::vector<Device> look_at_mig(const char* cuda_visible_devices) {
    const Environment environment{{"MUSTER_FAKE_DEVICES", kMig},
                                  {"CUDA_VISIBLE_DEVICES", cuda_visible_devices}};
    return look();
}

}  // namespace

TEST_SUITE_BEGIN("devices");

TEST_CASE("all devices, none, and lists of indices") {
    CHECK(seen(nullptr) == "a0 a1 a2 a3 a4 a5 a6 a7");
    CHECK(seen("") == "");
    CHECK(seen("-1") == "");
    CHECK(seen("NoDevFiles") == "");
    CHECK(seen("0") == "a0");
    CHECK(seen("2,1") == "a2 a1");
    CHECK(seen("3,2,1,0") == "a3 a2 a1 a0");
    CHECK(seen("4,5,6,7") == "a4 a5 a6 a7");
    CHECK(seen(" 1 , 3 ") == "a1 a3");
    CHECK(seen("1gpu2,2ampere") == "a1 a2");
}

TEST_CASE("an element that names no device ends the list") {
    CHECK(seen("0,2,-1,1") == "a0 a2");
    CHECK(seen("1,,2") == "a1");
    CHECK(seen("0,8,1") == "a0");
    CHECK(seen("8") == "");
    CHECK(seen("0,x,1") == "a0");
}

TEST_CASE("the same device twice leaves none") {
    CHECK(seen("0,0") == "");
    CHECK(seen("1,2,1") == "");
    CHECK(seen("GPU-a1,GPU-a100") == "");
}

TEST_CASE("UUIDs may be cut as long as they fit one device") {
    CHECK(seen("GPU-a3000000-0000-4000-8000-000000000003,GPU-a1") == "a3 a1");
    CHECK(seen("GPU-a") == "");
    CHECK(seen("GPU-a1,GPU-a,GPU-a2") == "a1");
    CHECK(seen("GPU-ff,GPU-a1") == "");
    CHECK(seen("GPU-a1,2") == "a1");
    CHECK(seen("2,GPU-a1") == "a2");
    CHECK(seen("a1") == "");
}

TEST_CASE("what is known of a device") {
    const Environment environment{
        {"MUSTER_FAKE_DEVICES",
         "NVIDIA A100,0123abcd-4567-89ef-0123-456789abcdef,0000:c1:00.0,80,81920,1234"}};
    const std::vector<Device> devices = look();
    REQUIRE(devices.size() == 1);
    CHECK(devices[0].name == "NVIDIA A100");
    CHECK(devices[0].uuid == "GPU-0123abcd-4567-89ef-0123-456789abcdef");
    CHECK(devices[0].pci_bus_id == "0000:c1:00.0");
    CHECK(devices[0].compute_capability == 80);
    CHECK_FALSE(devices[0].mig);
    CHECK(devices[0].total_bytes == 81920 * kMiB);
    CHECK(devices[0].free_bytes == 1234 * kMiB);
    const Environment hidden{{"MUSTER_FAKE_NVML", "off"}};
    CHECK(look().at(0).free_bytes == 81920 * kMiB);
}

TEST_CASE("an instance of a GPU in MIG mode is a device of its own") {
    const std::vector<Device> second = look_at_mig("MIG-bb000000-0000-5000-8000-000000000002");
    REQUIRE(second.size() == 1);
    CHECK(second[0].mig);
    CHECK(second[0].ordinal == 0);
    CHECK(second[0].uuid == "MIG-bb000000-0000-5000-8000-000000000002");
    CHECK(second[0].pci_bus_id == "0000:2a:00.0");
    CHECK(second[0].total_bytes == 34816 * kMiB);
    CHECK(second[0].free_bytes == 33792 * kMiB);

    // A process has one instance, by whatever name it is asked for.
    const std::vector<Device> first = look_at_mig(
        "MIG-GPU-22000000-0000-4000-8000-000000000000/7/0,"
        "MIG-bb000000-0000-5000-8000-000000000002");
    REQUIRE(first.size() == 1);
    CHECK(first[0].uuid == "MIG-aa000000-0000-5000-8000-000000000001");
    CHECK(look_at_mig("1").at(0).mig);
    CHECK(look_at_mig("MIG-cc").empty());
    CHECK_FALSE(look_at_mig(nullptr).at(0).mig);
}

TEST_CASE("an instance is recognised where NVML is hidden, too") {
    const Environment hidden{{"MUSTER_FAKE_NVML", "off"}};
    const std::vector<Device> devices = look_at_mig("MIG-aa000000-0000-5000-8000-000000000001");
    REQUIRE(devices.size() == 1);
    CHECK(devices[0].mig);
    CHECK(devices[0].free_bytes == 17408 * kMiB);
}

TEST_CASE("the order of devices is the driver's") {
    const char* mixed =
        "A100,11000000-0000-4000-8000-000000000000,0000:17:00.0,80,81920,80000;"
        "H200,22000000-0000-4000-8000-000000000000,0000:2a:00.0,90,143771,143000";
    {
        const Environment environment{{"MUSTER_FAKE_DEVICES", mixed}};
        CHECK(look().at(0).name == "H200");
    }
    const Environment environment{{"MUSTER_FAKE_DEVICES", mixed},
                                  {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"}};
    CHECK(look().at(0).name == "A100");
}

TEST_CASE("a machine without devices has a driver all the same") {
    std::string why;
    CHECK(look().empty());
    CHECK(cuda_driver_version(why) == 13000);
}

TEST_CASE("a driver that does not start says why") {
    const auto reason = [](const char* code) {
        const Environment environment{{"MUSTER_FAKE_INIT", code}};
        std::string why;
        CHECK(open_driver(why) == nullptr);
        return why;
    };
    CHECK(reason("803") ==
          "cuInit: system has unsupported display driver / cuda driver combination (error 803)");
    CHECK(reason("34").find("stub") != std::string::npos);
    CHECK(reason("999") == "cuInit: unknown error (error 999)");
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("none");

TEST_CASE("no driver, and the reason") {
    std::string why;
    CHECK(open_driver(why) == nullptr);
    CHECK(why.find("libcuda.so.1") != std::string::npos);
    why.clear();
    CHECK(cuda_driver_version(why) == 0);
    CHECK(why.find("libcuda.so.1") != std::string::npos);
}

TEST_SUITE_END();
