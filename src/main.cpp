// The composition: finds the command and turns what it throws into one line and an exit code.

#include <csignal>
#include <iostream>
#include <new>

#include "cli/command.h"
#include "muster/base/build_info.h"
#include "muster/base/error.h"
#include "muster/base/text.h"

namespace {

struct Command {
    const char* name;
    const char* about;
    int (*run)(const muster::Arguments&);
};

constexpr Command kCommands[] = {
    {"run", "evaluate a model on tasks and write one HDF5 file", muster::run_command},
    {"plan", "show what a run would do: layout, memory, documents, tokens", muster::plan_command},
    {"bench", "measure the engine against what this machine can do", muster::bench_command},
    {"report", "print the scores of a result file", muster::report_command},
    {"show", "print samples of a result file", muster::show_command},
    {"verify", "recompute every score of a result file", muster::verify_command},
    {"tasks", "list tasks, or show one with its first prompt", muster::tasks_command},
    {"tokenize", "show how a checkpoint's tokenizer splits a text", muster::tokenize_command},
};

void print_usage(std::ostream& out) {
    out << "muster " << muster::build_info().version
        << ": evaluates language models on HPC clusters\n\nUsage: muster COMMAND [arguments]\n\n";
    for (const Command& command : kCommands)
        out << "  " << command.name << std::string(10 - std::string_view(command.name).size(), ' ')
            << command.about << "\n";
    out << "\nmuster COMMAND --help explains a command; srun or mpirun starts `run` on several "
           "ranks.\n";
}

int dispatch(const std::string& name, const muster::Arguments& arguments) {
    std::vector<std::string> names;
    for (const Command& command : kCommands) {
        if (name == command.name) return command.run(arguments);
        names.emplace_back(command.name);
    }
    throw muster::UserError(muster::cat("unknown command \"", name, "\"",
                                        muster::did_you_mean(name, names),
                                        "; muster --help lists them"));
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGXFSZ, SIG_IGN);  // a file size limit shall be an error of write(), not the end
    const muster::Arguments arguments(argv + 1, argv + argc);
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" ||
        arguments[0] == "help") {
        print_usage(arguments.empty() ? std::cerr : std::cout);
        return arguments.empty() ? 2 : 0;
    }
    if (arguments[0] == "--version") {
        std::cout << "muster " << muster::build_info().version << " "
                  << muster::build_info().git_commit << "\n";
        return 0;
    }
    try {
        return dispatch(arguments[0], {arguments.begin() + 1, arguments.end()});
    } catch (const muster::Error& e) {
        std::cerr << "error: " << e.what() << "\n";
        return e.exit_code();
    } catch (const std::bad_alloc&) {
        std::cerr << "error: out of memory\n";
        return 3;
    } catch (const std::exception& e) {
        std::cerr << "internal error: " << e.what() << "\n";
        return 70;
    }
}
