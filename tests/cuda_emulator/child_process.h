#pragma once
// Mistakes that end a process, made in a child of it.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

namespace muster::test {

struct End {
    int signal = 0;  ///< that ended the child; 0 if it left by itself
    std::string said;
};

/// Runs `mistake` in a child without doctest's signal handlers.
template <typename Mistake>
End end_of(const Mistake& mistake) {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    std::fflush(nullptr);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (const int signal : {SIGSEGV, SIGBUS, SIGABRT}) std::signal(signal, SIG_DFL);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        alarm(60);
        mistake();
        _exit(0);
    }
    close(pipe_ends[1]);
    End end;
    char buffer[512];
    for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof(buffer))) > 0;)
        end.said.append(buffer, static_cast<std::size_t>(n));
    close(pipe_ends[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    return end;
}
inline bool says(const End& end, const std::string& words) {
    return end.said.find(words) != std::string::npos;
}

}  // namespace muster::test
