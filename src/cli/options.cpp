#include "cli/options.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace po = boost::program_options;

namespace muster {

namespace {

/// A flag that is given twice counts as given last, so that scripts can append to their arguments.
void keep_last(std::vector<po::option>& options) {
    std::vector<po::option> kept;
    for (auto option = options.rbegin(); option != options.rend(); ++option) {
        const bool again = option->position_key < 0 &&
                           std::any_of(kept.begin(), kept.end(), [&](const po::option& later) {
                               return later.string_key == option->string_key;
                           });
        if (!again) kept.push_back(*option);
    }
    options.assign(kept.rbegin(), kept.rend());
}

}  // namespace

Options::Options(const Arguments& arguments, const std::string& usage, const std::string& about,
                 const po::options_description& description,
                 const std::vector<std::string>& positional)
    : usage_(usage) {
    po::options_description shown(description);
    shown.add_options()("help,h", "print this and exit");
    po::options_description all(shown);
    po::positional_options_description places;
    for (const std::string& name : positional) {
        if (!shown.find_nothrow(name, false))
            all.add_options()(name.c_str(), po::value<std::string>());
        places.add(name.c_str(), 1);
    }
    std::ostringstream help;
    help << "Usage: muster " << usage << "\n\n" << about << "\n\n" << shown;
    help_text_ = help.str();

    const auto style =
        po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    try {
        po::parsed_options parsed =
            po::command_line_parser(arguments).options(all).positional(places).style(style).run();
        keep_last(parsed.options);
        po::store(parsed, values_);
        po::notify(values_);
    } catch (const po::unknown_option& e) {
        std::vector<std::string> known;
        for (const auto& option : all.options()) known.push_back("--" + option->long_name());
        throw UserError(cat("muster ", usage_.substr(0, usage_.find(' ')), ": unknown option ",
                            e.get_option_name(), did_you_mean(e.get_option_name(), known),
                            "; --help lists them"));
    } catch (const po::error& e) {
        throw UserError(cat("muster ", usage_.substr(0, usage_.find(' ')), ": ", e.what(),
                            "; expected muster ", usage_));
    }
}

std::string Options::required(const std::string& name, const std::string& what) const {
    if (!has(name)) throw UserError(cat("missing ", what, "; expected muster ", usage_));
    return get<std::string>(name);
}

std::int64_t parse_integer(const std::string& flag, const std::string& text) {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end)
        throw UserError(cat(flag, ": expected an integer, got \"", text, "\""));
    return value;
}

}  // namespace muster
