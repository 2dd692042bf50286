#include "muster/base/log.h"

#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "stderr_line.h"

namespace muster {

namespace {

struct LogState {
    std::mutex mutex;
    Verbosity verbosity = Verbosity::normal;
    std::string prefix;
    bool speaks = true;
    bool bar_open = false;
};

// Never destroyed: an error may be logged while statics are.
LogState& state() {
    static LogState* const instance = new LogState;
    return *instance;
}

// One write per line, so that lines of different ranks do not mix. Nothing can be done about a
// standard error that does not take them.
void write_all(const std::string& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        ssize_t n = ::write(STDERR_FILENO, bytes.data() + done, bytes.size() - done);
        if (n > 0)
            done += static_cast<std::size_t>(n);
        else if (errno != EINTR)
            return;
    }
}

constexpr const char* kClearLine = "\r\033[K";

void write_line_locked(LogState& log, std::string_view line) {
    std::string bytes = log.bar_open ? kClearLine : "";
    log.bar_open = false;
    bytes += line;
    bytes += '\n';
    write_all(bytes);
}

}  // namespace

void configure_log(Verbosity verbosity, std::string prefix, bool speaks) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    log.verbosity = verbosity;
    log.prefix = std::move(prefix);
    log.speaks = speaks;
}

Verbosity log_verbosity() {
    std::lock_guard lock(state().mutex);
    return state().verbosity;
}

std::string log_prefix() {
    std::lock_guard lock(state().mutex);
    return state().prefix;
}

bool log_speaks() {
    std::lock_guard lock(state().mutex);
    return state().speaks;
}

void info(std::string_view message) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    if (log.speaks && log.verbosity != Verbosity::quiet) write_line_locked(log, message);
}

void detail(std::string_view message) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    if (log.speaks && log.verbosity == Verbosity::verbose) write_line_locked(log, message);
}

void warn(std::string_view message) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    if (log.speaks) write_line_locked(log, "warning: " + std::string(message));
}

void warn_here(std::string_view message) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    write_line_locked(log, log.prefix + "warning: " + std::string(message));
}

void error_line(std::string_view message) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    write_line_locked(log, log.prefix + "error: " + std::string(message));
}

void write_stderr_line(std::string_view line) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    write_line_locked(log, line);
}

void draw_stderr_bar(std::string_view line) {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    log.bar_open = true;
    write_all(kClearLine + std::string(line));
}

void close_stderr_bar() {
    LogState& log = state();
    std::lock_guard lock(log.mutex);
    if (log.bar_open) write_all("\n");
    log.bar_open = false;
}

}  // namespace muster
