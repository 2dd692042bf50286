#include "cli/bench_options.h"

#include <doctest/doctest.h>

#include <fstream>

#include "../error_message.h"
#include "../temporary_folder.h"
#include "cli/bench_phases.h"
#include "cli/bench_shapes.h"
#include "muster/base/error.h"

using namespace muster;

namespace {

BenchConfig read(const Arguments& arguments) {
    boost::program_options::options_description description;
    add_bench_options(description);
    return read_bench(Options(arguments, "bench [options]", "", description));
}

std::string error_of(const Arguments& arguments) {
    return test::error_message<UserError>([&] { (void)read(arguments); });
}

bool contains(const std::string& text, const std::string& part) {
    if (text.find(part) != std::string::npos) return true;
    MESSAGE("expected \"", part, "\" in: ", text);
    return false;
}

}  // namespace

TEST_CASE("bench: every flag reaches its member") {
    const BenchConfig none = read({});
    CHECK(none.shape == "llama-1.1b");
    CHECK(none.phases == phase_names());
    CHECK(none.runs == 5);
    const BenchConfig all = read({"--shape",
                                  "llama-135m",
                                  "--phase",
                                  "decode, prefill,decode",
                                  "--prompt",
                                  "11",
                                  "--context",
                                  "12",
                                  "--new",
                                  "13",
                                  "--batch",
                                  "14, 1,14",
                                  "--runs",
                                  "15",
                                  "--questions",
                                  "16",
                                  "--top-k",
                                  "5",
                                  "--dtype",
                                  "float16",
                                  "--threads",
                                  "17",
                                  "--tp",
                                  "2",
                                  "--tp-across-nodes",
                                  "--no-pinning",
                                  "--no-step-recording",
                                  "--step-tokens",
                                  "18",
                                  "--isa",
                                  "avx2",
                                  "--device",
                                  "cuda",
                                  "--device-transport",
                                  "staged",
                                  "--allow-device-sharing",
                                  "--device-timeout",
                                  "19",
                                  "--tp-invariant",
                                  "--profile",
                                  "--sample",
                                  "--json",
                                  "out.json"});
    CHECK(all.shape == "llama-135m");
    CHECK(all.phases == std::vector<std::string>{"decode", "prefill"});
    CHECK(all.prompt_tokens == 11);
    CHECK(all.context_tokens == 12);
    CHECK(all.new_tokens == 13);
    CHECK(all.batches == std::vector<std::int64_t>{14, 1});
    CHECK(all.batch == 14);
    CHECK(at_batch(all, 1).batch == 1);
    CHECK(largest_batch(all) == 14);
    CHECK(all.runs == 15);
    CHECK(all.questions == 16);
    CHECK(all.top_k == 5);
    CHECK(all.sample);
    CHECK(all.dtype == "float16");
    CHECK(all.threads == 17);
    CHECK(all.tensor_parallel == 2);
    CHECK(all.tp_across_nodes);
    CHECK(all.no_pinning);
    CHECK(all.no_step_recording);
    CHECK(all.step_tokens == 18);
    CHECK(all.isa == "avx2");
    CHECK(all.profile);
    CHECK(all.device == "cuda");
    CHECK(all.device_transport == "staged");
    CHECK(all.allow_device_sharing);
    CHECK(all.device_timeout == 19);
    CHECK(all.tp_invariant);
    CHECK(all.json == "out.json");
    const BenchConfig model = read({"--model", "folder"});
    CHECK(model.model == "folder");
    CHECK(model.shape.empty());
    CHECK_FALSE(model.sample);
}

TEST_CASE("bench: what the flags may not say") {
    CHECK(contains(error_of({"--phase", "prefil"}), "did you mean \"prefill\""));
    CHECK(contains(error_of({"--phase", ""}), "unknown phase \"\""));
    CHECK(contains(error_of({"--batch", "0"}), "--batch: expected integers from 1"));
    CHECK(contains(error_of({"--batch", "4,"}), "--batch"));
    CHECK(contains(error_of({"--batch", "1,x"}), "--batch: expected an integer"));
    CHECK(contains(error_of({"--new", "1"}), "--new: expected an integer from 2"));
    CHECK(contains(error_of({"--runs", "many"}), "--runs: expected an integer"));
    CHECK(contains(error_of({"--dtype", "int32"}), "unknown type \"int32\""));
    CHECK(contains(error_of({"--model", "a", "--shape", "b"}), "expected one of them"));
    CHECK(contains(error_of({"--batch", "2,8", "--step-tokens", "4"}), "--step-tokens"));
    CHECK(read({"--batch", "8", "--step-tokens", "4", "--phase", "prefill"}).batch == 8);
    CHECK(contains(error_of({"--json", ""}), "--json: expected FILE"));
    CHECK(contains(error_of({"--device", "gpu"}), "--device: \"gpu\" is none of auto, cpu, cuda"));
    CHECK(contains(error_of({"--device-transport", "mpi"}), "none of auto, nccl, staged"));
    CHECK(contains(error_of({"--device-timeout", "0"}), "--device-timeout: expected an integer"));
    CHECK(read({}).step_tokens == 0);
    CHECK(read({}).device_timeout == 300);
}

TEST_CASE("bench: shapes by name or by file") {
    const ModelConfig small = shape_config("llama-135m", "auto");
    CHECK(small.dtype == DType::bf16);
    CHECK(small.tie_embeddings);
    CHECK(small.head_dim == 64);
    CHECK(shape_config("llama-3-8b", "float32").dtype == DType::f32);
    CHECK(shape_config("llama-3-8b", "auto").rope.theta == 500000.0);
    CHECK(shape_config("qwen2.5-7b", "auto").vocab_size == 152064);
    // 16 of 80 layers: what multiplies per token is 13.7 billion parameters.
    CHECK(flops_per_token(shape_config("llama-3-70b-slice", "auto"), 0) / 2 ==
          doctest::Approx(13.69e9).epsilon(1e-3));
    CHECK(shape_config("mixtral-8x7b", "auto").num_experts == 8);
    CHECK(flops_per_token(shape_config("mixtral-8x7b", "auto"), 0) / 2 ==
          doctest::Approx(12.62e9).epsilon(1e-3));
    const auto error = [](const std::string& shape) {
        return test::error_message<UserError>([&] { (void)shape_config(shape, "auto"); });
    };
    CHECK(contains(error("llama-1.2b"), "did you mean \"llama-1.1b\""));
    test::TemporaryFolder folder;
    const std::string path =
        folder.write("config.json", R"({"architectures": ["LlamaForCausalLM"], "vocab_size": 77})");
    CHECK(shape_config(path, "auto").vocab_size == 77);
    CHECK(shape_config(path, "auto").dtype == DType::f32);
    const std::string bad = folder.write("bad.json", R"({"architectures": ["LlamaForCausalLM"],
        "vocab_size": -1, "num_attention_heads": 3})");
    CHECK(contains(error(bad), "bad.json"));
    CHECK(contains(error(bad), "vocab_size"));
    CHECK(contains(error(bad), "hidden_size: 4096 is not a multiple of 3"));
    const Tokenizer tokenizer = made_up_tokenizer(50);
    CHECK(tokenizer.vocab_size() == 50);
    CHECK(tokenizer.decode({3, 49}, false).find("t49") != std::string::npos);
}
