#include "regex_filter.h"

#include "muster/base/error.h"
#include "muster/text/python_string.h"

namespace muster {

RegexFilter::RegexFilter(const std::string& pattern, std::int64_t select, std::string fallback)
    : regex_(pattern), select_(select), fallback_(std::move(fallback)) {}

std::vector<std::string> RegexFilter::operator()(const std::vector<std::string>& responses) const {
    std::vector<std::string> extracted;
    for (const std::string& response : responses) {
        try {
            extracted.push_back(extract(response));
        } catch (const UserError&) {
            extracted.push_back(fallback_);  // the pattern needs too many steps on this text
        }
    }
    return extracted;
}

std::string RegexFilter::extract(const std::string& response) const {
    const std::vector<Regex::Match> matches = regex_.find_all(response);
    const auto count = static_cast<std::int64_t>(matches.size());
    const std::int64_t index = select_ < 0 ? select_ + count : select_;
    // lm-eval fails with IndexError where the wanted match is absent but another is there.
    if (index < 0 || index >= count) return fallback_;
    const Regex::Match& match = matches[static_cast<std::size_t>(index)];
    const auto text_of = [&](std::size_t group) {
        const Regex::Span span = match[group];
        return span.matched() ? std::string_view(response).substr(span.begin, span.end - span.begin)
                              : std::string_view();
    };
    // re.findall: no group gives the whole match, one group gives it, several give a tuple of which
    // the first that is not empty counts.
    const auto groups = static_cast<std::size_t>(regex_.num_groups());
    if (groups <= 1) return std::string(python_strip(text_of(groups)));
    for (std::size_t group = 1; group <= groups && group < match.size(); ++group)
        if (!text_of(group).empty()) return std::string(python_strip(text_of(group)));
    return fallback_.empty() ? fallback_ : std::string(python_strip(fallback_));
}

}  // namespace muster
