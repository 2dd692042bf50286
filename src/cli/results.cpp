// The commands that read a result file.

#include <iostream>

#include "cli/options.h"
#include "muster/base/error.h"
#include "muster/base/text.h"
#include "muster/eval/report.h"
#include "muster/eval/verify.h"
#include "muster/results/result_file.h"

namespace po = boost::program_options;

namespace muster {

int report_command(const Arguments& arguments) {
    po::options_description description("Options", 110);
    description.add_options()("format,f",
                              po::value<std::string>()->value_name("F")->default_value("text"),
                              "text, markdown, csv or json");
    const Options options(arguments, "report FILE.h5 [options]",
                          "Prints the scores of a result file.", description, {"file"});
    if (options.help()) {
        std::cout << options.help_text();
        return 0;
    }
    const std::vector<std::pair<std::string, ReportFormat>> formats{
        {"text", ReportFormat::text},
        {"markdown", ReportFormat::markdown},
        {"csv", ReportFormat::csv},
        {"json", ReportFormat::json}};
    const std::string wanted = options.get<std::string>("format");
    for (const auto& [name, format] : formats) {
        if (name != wanted) continue;
        std::cout << format_report(ResultReader(options.required("file", "result file")), format);
        return 0;
    }
    throw UserError(
        cat("--format: unknown format \"", wanted, "\"; expected text, markdown, csv or json"));
}

int show_command(const Arguments& arguments) {
    po::options_description description("Options", 110);
    description.add_options()("task,t", po::value<std::string>()->value_name("NAME"),
                              "task to show (needed if the file holds several)")(
        "doc,d", po::value<std::string>()->value_name("ID"), "only the document with this id")(
        "wrong,w", "only samples that were answered wrong")(
        "limit,n", po::value<std::string>()->value_name("N")->default_value("10"),
        "at most so many samples");
    const Options options(arguments, "show FILE.h5 [options]",
                          "Prints samples of a result file: prompt, answers, scores.", description,
                          {"file"});
    if (options.help()) {
        std::cout << options.help_text();
        return 0;
    }
    ShowOptions show;
    show.task = options.string_or("task", "");
    if (options.has("doc")) show.doc_id = parse_integer("--doc", options.get<std::string>("doc"));
    show.only_wrong = options.has("wrong");
    show.limit = parse_integer("--limit", options.get<std::string>("limit"));
    std::cout << format_samples(ResultReader(options.required("file", "result file")), show);
    return 0;
}

int verify_command(const Arguments& arguments) {
    const Options options(
        arguments, "verify FILE.h5",
        "Recomputes every score of a result file from its records and checks counts, ids and "
        "checksums.\n"
        "Exit code 0: all is well; 1: something is off, named line by line; 2: not a result file.",
        po::options_description(), {"file"});
    if (options.help()) {
        std::cout << options.help_text();
        return 0;
    }
    const std::string path = options.required("file", "result file");
    const std::vector<std::string> problems = verify_result(path);
    for (const std::string& problem : problems) std::cout << path << ": " << problem << "\n";
    if (problems.empty()) std::cout << path << ": verified\n";
    return problems.empty() ? 0 : kVerifyFailed;
}

}  // namespace muster
