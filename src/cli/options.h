#pragma once
// Boost.Program_options with muster's manners: --help, one clear error with a suggestion.

#include <boost/program_options.hpp>
#include <string>

#include "cli/command.h"

namespace muster {

/// The arguments of one command. Options are given as a Boost description; positional arguments by
/// name.
class Options {
 public:
    /// `usage` is the line behind "Usage: muster ". Throws UserError for unknown, repeated or
    /// ill-formed arguments.
    Options(const Arguments& arguments, const std::string& usage, const std::string& about,
            const boost::program_options::options_description& description,
            const std::vector<std::string>& positional = {});

    /// True if --help was given; help_text() says the rest.
    bool help() const { return has("help"); }
    const std::string& help_text() const { return help_text_; }
    bool has(const std::string& name) const { return values_.count(name) > 0; }
    template <typename T>
    const T& get(const std::string& name) const {
        return values_[name].as<T>();
    }
    std::string string_or(const std::string& name, const std::string& fallback) const {
        return has(name) ? get<std::string>(name) : fallback;
    }
    /// The value of a required argument, or UserError naming it.
    std::string required(const std::string& name, const std::string& what) const;

 private:
    boost::program_options::variables_map values_;
    std::string help_text_, usage_;
};

/// An integer from text; `flag` names it in the UserError.
std::int64_t parse_integer(const std::string& flag, const std::string& text);

}  // namespace muster
