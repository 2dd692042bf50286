#include <iostream>
#include <iterator>

#include "cli/options.h"
#include "muster/base/error.h"
#include "muster/base/file.h"
#include "muster/base/text.h"
#include "muster/config/parse.h"
#include "muster/text/tokenizer.h"

namespace po = boost::program_options;

namespace muster {

namespace {

std::string input_text(const Options& options) {
    if (options.has("text")) return options.get<std::string>("text");
    if (options.has("file")) return read_file(options.get<std::string>("file"));
    return {std::istreambuf_iterator<char>(std::cin), {}};
}

std::vector<TokenId> parse_ids(const std::string& text, const Tokenizer& tokenizer) {
    std::vector<TokenId> ids;
    for (const std::string& part : split(text, ',')) {
        const std::int64_t id = parse_integer("--decode", std::string(trim(part)));
        if (id < 0 || id >= tokenizer.vocab_size())
            throw UserError(
                cat("--decode: id ", id, " is outside the vocabulary of ", tokenizer.vocab_size()));
        ids.push_back(static_cast<TokenId>(id));
    }
    return ids;
}

}  // namespace

int tokenize_command(const Arguments& arguments) {
    po::options_description description("Options", 110);
    description.add_options()("model", po::value<std::string>()->value_name("DIR"),
                              "checkpoint directory (required)")(
        "text", po::value<std::string>()->value_name("TEXT"),
        "text to split (default: standard input)")(
        "file", po::value<std::string>()->value_name("FILE"), "file to split")(
        "no-special", "without BOS and other special tokens")("ids", "only the ids, on one line")(
        "decode", po::value<std::string>()->value_name("1,2,3"),
        "print the text of these ids instead");
    const Options options(arguments, "tokenize --model DIR [options]",
                          "Shows how a checkpoint's tokenizer splits a text.", description);
    if (options.help()) {
        std::cout << options.help_text();
        return 0;
    }
    const Tokenizer tokenizer = Tokenizer::load(options.required("model", "--model"));
    if (options.has("decode")) {
        std::cout << tokenizer.decode(parse_ids(options.get<std::string>("decode"), tokenizer),
                                      false)
                  << "\n";
        return 0;
    }
    const std::vector<TokenId> ids =
        tokenizer.encode(input_text(options), !options.has("no-special"));
    if (options.has("ids")) {
        for (std::size_t i = 0; i < ids.size(); ++i) std::cout << (i ? " " : "") << ids[i];
        std::cout << "\n";
        return 0;
    }
    for (TokenId id : ids)
        std::cout << id << "\t" << to_json(tokenizer.decode({id}, false)) << "\t"
                  << tokenizer.id_to_token(id) << (tokenizer.is_special(id) ? "\tspecial" : "")
                  << "\n";
    std::cout << ids.size() << " tokens; " << tokenizer.description() << "\n";
    return 0;
}

}  // namespace muster
