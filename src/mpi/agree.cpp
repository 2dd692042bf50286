#include "muster/mpi/agree.h"

#include <new>
#include <system_error>

#include "mpi_api.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/mpi/host.h"

namespace muster {

namespace {

/// An error on its way between ranks: one letter for the type, then exit code, blank, message.
std::string encode(char type, int exit_code, const std::string& message) {
    return cat(type, exit_code, ' ', message);
}

std::string describe_current_exception(const std::string& what) {
    try {
        throw;
    } catch (const UserError& error) {
        return encode('U', error.exit_code(), error.what());
    } catch (const SystemError& error) {
        return encode('S', error.exit_code(), error.what());
    } catch (const InternalError& error) {
        return encode('I', error.exit_code(), error.what());
    } catch (const Error& error) {
        return encode('E', error.exit_code(), error.what());
    } catch (const std::bad_alloc&) {
        return encode('S', 3, cat(what, ": out of memory"));
    } catch (const std::system_error& error) {
        return encode('S', 3, cat(what, ": ", error.what()));
    } catch (const std::exception& error) {
        return encode('I', 70, cat(what, ": ", error.what()));
    } catch (...) {
        return encode('I', 70, cat(what, ": unknown exception"));
    }
}

template <typename E>
[[noreturn]] void throw_marked(E error, bool agreed) {
    if (agreed) error.mark_agreed();
    throw error;
}

[[noreturn]] void throw_encoded(const std::string& error, const std::string& prefix, bool agreed) {
    const std::size_t blank = error.find(' ');
    const std::string message = prefix + error.substr(blank + 1);
    switch (error[0]) {
        case 'U':
            throw_marked(UserError(message), agreed);
        case 'S':
            throw_marked(SystemError(message), agreed);
        case 'I':
            throw_marked(InternalError(message), agreed);
        default:
            throw_marked(Error(message, std::stoi(error.substr(1, blank - 1))), agreed);
    }
}

}  // namespace

void agree(const Communicator& comm, const std::string& what, const std::function<void()>& step) {
    std::string error;
    try {
        step();
    } catch (...) {
        error = describe_current_exception(what);
    }
    const auto first = static_cast<int>(comm.min(error.empty() ? comm.size() : comm.rank()));
    if (first == comm.size()) return;
    comm.broadcast(error, first);
    std::string place = cat("[rank ", first, " on ", host_name(), "] ");
    comm.broadcast(place, first);
    // A part of the world may agree on an error that the rest knows nothing of.
    const bool everywhere = comm.size() == world_size();
    throw_encoded(error, comm.size() > 1 ? place : "", everywhere);
}

}  // namespace muster
