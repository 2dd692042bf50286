#include "byte_tokenizer.h"

#include "muster/base/text.h"
#include "muster/base/utf8.h"

namespace muster::test {

Tokenizer byte_tokenizer() {
    // GPT-2's spelling of bytes: printable ones as themselves, the others from U+0100 on.
    std::string vocab;
    char32_t other = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
        const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
        std::string spelling;
        append_utf8(spelling, printable ? static_cast<char32_t>(byte) : other++);
        const char* escape = spelling == "\"" || spelling == "\\" ? "\\" : "";
        vocab += cat(byte ? "," : "", "\"", escape, spelling, "\":", byte);
    }
    const auto special = [](const char* content, int id) {
        return cat(
            R"({"id":)", id, R"(,"content":")", content,
            R"(","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true})");
    };
    const std::string json = cat(
        R"({"version":"1.0","added_tokens":[)", special("<eos>", kEos), ",",
        special("<|im_end|>", kImEnd),
        R"(],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,)",
        R"("use_regex":true},"post_processor":null,"decoder":{"type":"ByteLevel"},"model":{"type":"BPE",)",
        R"("dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,)",
        R"("fuse_unk":false,"byte_fallback":false,"vocab":{)", vocab, R"(},"merges":[]}})");
    return Tokenizer::from_json(json, "", "byte tokenizer of the engine tests");
}

std::vector<std::int32_t> bytes_as_tokens(const std::string& text) {
    std::vector<std::int32_t> tokens;
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
}

}  // namespace muster::test
