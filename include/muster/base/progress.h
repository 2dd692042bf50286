#pragma once
// Progress of long work: a bar on a terminal, a line every 30 s otherwise, nothing with --quiet.

#include <chrono>
#include <cstdint>
#include <string>

namespace muster {

class Progress {
 public:
    /// `total` work units named `unit` ("tokens"). Prints nothing before the first update.
    Progress(std::string label, std::string unit, std::uint64_t total);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Sets the units done so far; `note` is shown behind the bar ("mmlu 120/1531"). Cheap: prints only when due.
    void update(std::uint64_t done, const std::string& note = "");
    /// Corrects the total: the work turned out to be less or more.
    void set_total(std::uint64_t total) { total_ = total; }
    /// Prints the last state and ends the line.
    void finish();

 private:
    void print(bool last);

    std::string label_, unit_, note_;
    std::uint64_t total_, done_ = 0;
    std::chrono::steady_clock::time_point start_, last_print_;
    bool terminal_, printed_ = false, finished_ = false;
};

}  // namespace muster
