#include "muster/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "muster/base/log.h"
#include "muster/base/text.h"
#include "progress_text.h"
#include "stderr_line.h"

namespace muster {

namespace {

using std::chrono::steady_clock;
constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kLineInterval{30};

std::size_t terminal_width() {
    winsize size{};
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(std::string label, std::string unit, std::uint64_t total)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      start_(steady_clock::now()),
      last_print_(start_),
      terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    try {
        if (terminal_ && printed_ && !finished_) close_stderr_bar();
    } catch (...) {  // a lost line feed is not worth a crash
    }
}

void Progress::update(std::uint64_t done, const std::string& note) {
    if (finished_) return;
    done_ = done;
    note_ = note;
    auto now = steady_clock::now();
    bool first_bar = terminal_ && !printed_;
    if (first_bar || now - last_print_ >= (terminal_ ? steady_clock::duration(kRedraw)
                                                     : steady_clock::duration(kLineInterval)))
        print(false);
}

void Progress::finish() {
    if (finished_) return;
    print(true);
    finished_ = true;
}

void Progress::print(bool last) {
    last_print_ = steady_clock::now();
    if (log_verbosity() == Verbosity::quiet || !log_speaks()) return;
    printed_ = true;
    ProgressState state{label_, unit_,  note_,
                        done_,  total_, std::chrono::duration<double>(last_print_ - start_).count(),
                        last};
    if (!terminal_) return write_stderr_line(progress_line(state));
    // One column stays free: some terminals wrap when the last one is written.
    draw_stderr_bar(progress_bar(state, terminal_width() - 1));
    if (last) close_stderr_bar();
}

}  // namespace muster
