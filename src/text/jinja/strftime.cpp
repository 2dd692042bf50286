#include "strftime.h"

#include <cstdio>

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster::jinja {

namespace {

constexpr const char* kMonths[] = {"January",   "February", "March",    "April",
                                   "May",       "June",     "July",     "August",
                                   "September", "October",  "November", "December"};
constexpr const char* kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                 "Thursday", "Friday", "Saturday"};

struct Moment {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;

    static bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }
    static int days_in(int year, int month) {
        constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        return month == 2 && is_leap(year) ? 29 : kLengths[month - 1];
    }
    /// 1 for the first of January.
    int day_of_year() const {
        int days = day;
        for (int m = 1; m < month; ++m) days += days_in(year, m);
        return days;
    }
    /// 0 for Sunday.
    int weekday() const {
        const int before = year - 1;
        return (before * 365 + before / 4 - before / 100 + before / 400 + day_of_year()) % 7;
    }
};

Moment parse(const std::string& now) {
    Moment moment;
    char separator = 0;
    int used = 0;
    const char* text = now.c_str();
    const bool has_date =
        std::sscanf(text, "%4d-%2d-%2d%n", &moment.year, &moment.month, &moment.day, &used) == 3;
    bool valid = has_date && moment.year >= 1 && moment.month >= 1 && moment.month <= 12 &&
                 moment.day >= 1 && moment.day <= Moment::days_in(moment.year, moment.month);
    if (valid && text[used] != '\0') {
        valid = std::sscanf(text + used, "%c%2d:%2d:%2d", &separator, &moment.hour, &moment.minute,
                            &moment.second) == 4 &&
                moment.hour >= 0 && moment.hour < 24 && moment.minute >= 0 && moment.minute < 60 &&
                moment.second >= 0 && moment.second < 60;
    }
    if (!valid)
        throw UserError(
            cat("the date \"", now, "\" is not valid; expected 2026-11-20 or 2026-11-20T10:30:00"));
    return moment;
}

std::string number(int value, int width) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "%0*d", width, value);
    return buffer;
}

std::string field(const Moment& moment, char code) {
    const int hour12 = moment.hour % 12 == 0 ? 12 : moment.hour % 12;
    switch (code) {
        case 'Y':
            return number(moment.year, 4);
        case 'y':
            return number(moment.year % 100, 2);
        case 'm':
            return number(moment.month, 2);
        case 'd':
            return number(moment.day, 2);
        case 'e':
            return moment.day < 10 ? cat(" ", moment.day) : number(moment.day, 2);
        case 'H':
            return number(moment.hour, 2);
        case 'I':
            return number(hour12, 2);
        case 'M':
            return number(moment.minute, 2);
        case 'S':
            return number(moment.second, 2);
        case 'f':
            return "000000";
        case 'p':
            return moment.hour < 12 ? "AM" : "PM";
        case 'j':
            return number(moment.day_of_year(), 3);
        case 'A':
            return kDays[moment.weekday()];
        case 'a':
            return std::string(kDays[moment.weekday()]).substr(0, 3);
        case 'w':
            return number(moment.weekday(), 1);
        case 'B':
            return kMonths[moment.month - 1];
        case 'b':
        case 'h':
            return std::string(kMonths[moment.month - 1]).substr(0, 3);
        case 'F':
            return cat(field(moment, 'Y'), "-", field(moment, 'm'), "-", field(moment, 'd'));
        case 'T':
            return field(moment, 'H') + ":" + field(moment, 'M') + ":" + field(moment, 'S');
        case 'D':
        case 'x':
            return field(moment, 'm') + "/" + field(moment, 'd') + "/" + field(moment, 'y');
        case 'X':
            return field(moment, 'T');
        case 'R':
            return field(moment, 'H') + ":" + field(moment, 'M');
        case 'Z':
        case 'z':
            return "";
        case 'n':
            return "\n";
        case 't':
            return "\t";
        case '%':
            return "%";
        default:
            throw UserError(cat("strftime_now(): %", code, " is not supported"));
    }
}

}  // namespace

std::string format_date(const std::string& now, std::string_view format) {
    const Moment moment = parse(now);
    std::string out;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%' || i + 1 == format.size()) {
            out += format[i];
            continue;
        }
        ++i;
        if (format[i] == '-' && i + 1 < format.size()) {  // GNU: without padding
            const std::string padded = field(moment, format[++i]);
            const std::size_t first = padded.find_first_not_of("0 ");
            out += first == std::string::npos ? "0" : padded.substr(first);
        } else {
            out += field(moment, format[i]);
        }
    }
    return out;
}

}  // namespace muster::jinja
