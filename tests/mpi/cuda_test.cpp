// Tensor-parallel groups on the CUDA backend, on emulated devices, through host memory and by the
// emulated NCCL: the same bits whichever way partial sums travel, recorded or not, and with virtual
// shards for every number of ranks.

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "cuda/cuda_backend.h"
#include "mpi_test.h"
#include "unit/model/model_test.h"
#include "unit/model/random_checkpoint.h"

using namespace muster;

namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// A seed that all ranks share.
unsigned common_seed() {
    const auto seed =
        static_cast<unsigned>(test_world().max(static_cast<std::int64_t>(std::random_device{}())));
    MESSAGE("seed ", seed);
    return seed;
}

/// Normal random numbers, the same on ranks whose generators are.
struct NormalFloats {
    std::mt19937& random;
    std::vector<float> operator()(std::int64_t n) const {
        std::vector<float> values(static_cast<std::size_t>(n));
        std::normal_distribution<float> normal;
        for (float& value : values) value = normal(random);
        return values;
    }
};

TestModel::MakeBackend on_device(bool tp_invariant,
                                 DeviceTransport transport = DeviceTransport::staged,
                                 bool record_steps = true) {
    // The ranks share a device, which NCCL allows to those that say they are on different nodes.
    setenv("NCCL_HOSTID", std::to_string(test_world().rank()).c_str(), 1);
    return [=](const Communicator& group) {
        CudaOptions options;
        options.memory_bytes = std::uint64_t{160} << 20;
        options.transport = transport;
        options.record_steps = record_steps;
        options.tp_invariant = tp_invariant;
        options.deadline_seconds = 60;
        return cuda::make_backend(options, group);
    };
}

/// Calls `body(group)` with every degree that fits the world, on the ranks of full groups.
template <typename Body>
void for_degrees(const Body& body) {
    for (const int tp : {1, 2, 4}) {
        if (tp > test_world().size()) continue;
        CAPTURE(tp);
        const int group = test_world().rank() / tp;
        const bool full = (group + 1) * tp <= test_world().size();
        std::optional<Communicator> members =
            test_world().split(full ? group : -1, test_world().rank());
        if (members) body(std::move(*members));
        test_world().barrier();
    }
}

std::vector<std::vector<std::int32_t>> sequences_of(unsigned seed, unsigned vocab) {
    std::mt19937 random(seed);
    std::vector<std::vector<std::int32_t>> sequences = {
        std::vector<std::int32_t>(9), std::vector<std::int32_t>(70), std::vector<std::int32_t>(1)};
    for (auto& sequence : sequences)
        for (std::int32_t& id : sequence) id = static_cast<std::int32_t>(random() % vocab);
    return sequences;
}

}  // namespace

TEST_CASE("sums over ranks have the same bits in small and in large calls") {
    const unsigned seed = common_seed();
    for (const int round : {0, 1})
        for_degrees([&](Communicator group) {
            const auto backend = on_device(true)(group);
            // 301 rows of about 500 floats are more than what travels in one go; 504 floats are
            // moved by fours.
            constexpr std::int64_t kRows = 301, kK = 16;
            const std::int64_t kN = round == 0 ? 501 : 504;
            std::mt19937 random(seed);
            const NormalFloats floats{random};
            const std::vector<float> x = floats(kRows * kK), w = floats(kN * kK), bias = floats(kN),
                                     before = floats(kRows * kN);
            const std::int64_t mine = kK / group.size();
            const int shards = 8 / group.size();
            const StoredTensor stored{
                "w", "F32", {kN, kK}, std::as_bytes(std::span(w)), "test.safetensors"};
            const auto matrix = backend->load_matrix(
                DType::f32, {{&stored, 0, kN, group.rank() * mine, (group.rank() + 1) * mine}},
                shards);
            std::vector<float> slice;
            for (std::int64_t row = 0; row < kRows; ++row)
                for (std::int64_t i = 0; i < mine; ++i)
                    slice.push_back(
                        x[static_cast<std::size_t>(row * kK + group.rank() * mine + i)]);
            const Tensor input = backend->allocate(DType::f32, {kRows, mine}),
                         added = backend->allocate(DType::f32, {kN}),
                         out = backend->allocate(DType::f32, {kRows, kN});
            backend->copy_from_host(input, slice.data());
            backend->copy_from_host(added, bias.data());
            const auto compute = [&](std::int64_t step) {
                backend->copy_from_host(out, before.data());
                for (std::int64_t begin = 0; begin < kRows; begin += step) {
                    const std::int64_t end = std::min(begin + step, kRows);
                    backend->matmul_add(input.row_range(begin, end), *matrix, added,
                                        out.row_range(begin, end));
                }
                std::vector<float> got(before.size());
                backend->copy_to_host(got.data(), out);
                return got;
            };
            const std::vector<float> whole = compute(kRows);
            CHECK(same_bits(compute(100), whole));
            // The norm behind the sum, in calls of all sizes.
            const RmsNorm norm{added, 1e-5f};
            const Tensor expected = backend->allocate(DType::f32, {kRows, kN}),
                         normed = backend->allocate(DType::f32, {kRows, kN});
            backend->rms_norm(out, norm.weight, norm.eps, expected);
            const auto values_of = [&](const Tensor& tensor) {
                std::vector<float> got(before.size());
                backend->copy_to_host(got.data(), tensor);
                return got;
            };
            for (const std::int64_t step : {kRows, std::int64_t{100}}) {
                backend->copy_from_host(out, before.data());
                backend->copy_from_host(normed, before.data());
                for (std::int64_t begin = 0; begin < kRows; begin += step) {
                    const std::int64_t end = std::min(begin + step, kRows);
                    backend->matmul_add_norm(input.row_range(begin, end), *matrix, added,
                                             out.row_range(begin, end), norm,
                                             normed.row_range(begin, end));
                }
                CHECK(same_bits(values_of(out), whole));
                CHECK(same_bits(values_of(normed), values_of(expected)));
            }
            double worst = 0;
            for (std::int64_t row = 0; row < kRows; row += 17) {
                for (std::int64_t c = 0; c < kN; ++c) {
                    const auto at = static_cast<std::size_t>(row * kN + c);
                    double sum =
                        static_cast<double>(before[at]) + bias[static_cast<std::size_t>(c)];
                    for (std::int64_t i = 0; i < kK; ++i)
                        sum += static_cast<double>(x[static_cast<std::size_t>(row * kK + i)]) *
                               w[static_cast<std::size_t>(c * kK + i)];
                    worst = std::max(worst, std::abs(whole[at] - sum));
                }
            }
            CHECK(worst < 2e-5);
            // One rank alone adds the eight shards by the same tree.
            std::string bytes(reinterpret_cast<const char*>(whole.data()),
                              whole.size() * sizeof(float));
            std::string root = bytes;
            group.broadcast(root);
            CHECK(root == bytes);
        });
}

TEST_CASE(
    "a mixture of experts has the same bits for tp = 1, 2, 4 with virtual shards, near without") {
    const unsigned seed = common_seed();
    constexpr std::int64_t kRows = 45, kHidden = 24, kF = 64;
    constexpr int kExperts = 5;
    constexpr auto kCount = static_cast<std::size_t>(kExperts);
    std::mt19937 random(seed);
    const NormalFloats floats{random};
    const std::vector<float> x = floats(kRows * kHidden), logits = floats(kRows * kExperts),
                             before = floats(kRows * kHidden);
    std::vector<std::vector<float>> gates, ups, downs;
    for (int e = 0; e < kExperts; ++e) {
        gates.push_back(floats(kF * kHidden));
        ups.push_back(floats(kF * kHidden));
        downs.push_back(floats(kHidden * kF));
    }
    const auto compute = [&](const Communicator& group, int all_shards) {
        const auto backend = on_device(true)(group);
        const std::int64_t mine = kF / group.size(), begin = group.rank() * mine;
        std::vector<std::unique_ptr<Matrix>> kept;
        std::vector<Expert> experts;
        const auto stored = [](const std::vector<float>& values, std::int64_t n, std::int64_t k) {
            return StoredTensor{"w", "F32", {n, k}, std::as_bytes(std::span(values)), "test"};
        };
        for (std::size_t e = 0; e < kCount; ++e) {
            const StoredTensor gate = stored(gates[e], kF, kHidden),
                               up = stored(ups[e], kF, kHidden),
                               down = stored(downs[e], kHidden, kF);
            kept.push_back(backend->load_gate_up(DType::f32,
                                                 {&gate, begin, begin + mine, 0, kHidden},
                                                 {&up, begin, begin + mine, 0, kHidden}));
            kept.push_back(backend->load_matrix(
                DType::f32, {{&down, 0, kHidden, begin, begin + mine}}, all_shards / group.size()));
            experts.push_back({kept[2 * e].get(), kept[2 * e + 1].get()});
        }
        const auto there = [&](const std::vector<float>& values, std::int64_t width) {
            const Tensor tensor = backend->allocate(DType::f32, {kRows, width});
            backend->copy_from_host(tensor, values.data());
            return tensor;
        };
        const Tensor rows = there(x, kHidden), scores = there(logits, kExperts),
                     sum = there(before, kHidden);
        // In two calls, the second of one row.
        for (const auto& [first, end] : {std::pair{0, 44}, std::pair{44, 45}})
            backend->experts_add(rows.row_range(first, end), scores.row_range(first, end),
                                 {2, true}, experts, sum.row_range(first, end));
        std::vector<float> got(before.size());
        backend->copy_to_host(got.data(), sum);
        return got;
    };
    const std::vector<float> alone = compute(Communicator::self(), 8);
    for_degrees([&](Communicator group) {
        CHECK(same_bits(compute(group, 8), alone));
        const std::vector<float> fast = compute(group, group.size());
        double worst = 0;
        for (std::size_t i = 0; i < fast.size(); ++i)
            worst = std::max(
                worst, std::abs(static_cast<double>(fast[i]) - static_cast<double>(alone[i])));
        CHECK(worst < 2e-3);  // of sums of hundreds
        CHECK(worst == worst);
    });
}

TEST_CASE("models on devices: the same bits for tp = 1, 2, 4 with virtual shards, near without") {
    const unsigned seed = common_seed();
    struct Form {
        DType dtype;
        std::int64_t experts;
    };
    for (const auto& [dtype, experts] :
         {Form{DType::f32, 0}, Form{DType::bf16, 0}, Form{DType::f32, 5}}) {
        CAPTURE(experts);
        RandomCheckpoint odd;
        odd.head_dim = 8;
        odd.dtype = dtype;
        odd.biases = dtype == DType::f32 && experts == 0;
        odd.experts = experts;
        odd.layers = experts > 0 ? 1 : 2;
        odd.seed = seed;
        odd.write();
        const auto sequences = sequences_of(seed, 301);
        const std::vector<float> cpu = TestModel(odd.directory, "").logits(sequences);
        const std::vector<float> alone =
            TestModel(odd.directory, "", on_device(true)).logits(sequences);
        double scale = 0, largest = 0;
        for (const float logit : cpu) scale = std::max(scale, std::abs(static_cast<double>(logit)));
        for_degrees([&](Communicator group) {
            const std::vector<float> invariant =
                TestModel(odd.directory, "", on_device(true), group.duplicate()).logits(sequences);
            CHECK(same_bits(invariant, alone));
            TestModel fast(odd.directory, "", on_device(false), group.duplicate());
            const std::vector<float> together = fast.logits(sequences);
            for (std::size_t i = 0; i < cpu.size(); ++i) {
                const double d =
                    std::abs(static_cast<double>(cpu[i]) - static_cast<double>(together[i]));
                if (!(d <= largest)) largest = d;
            }
            std::vector<float> apart;
            for (const auto& sequence : sequences) {
                const std::vector<float> one = fast.logits({sequence});
                apart.insert(apart.end(), one.begin(), one.end());
            }
            CHECK(same_bits(apart, together));
        });
        // bf16 rounds inputs of products to 8 bits, differently where sums differ in the last one.
        CHECK(largest < (dtype == DType::f32 ? 1e-5 : 5e-2) * scale);
        test_world().barrier();
    }
}

TEST_CASE(
    "candidates and draws on devices: the same bits for tp = 1, 2, 4 with virtual shards, near the "
    "CPU's") {
    const unsigned seed = common_seed();
    RandomCheckpoint checkpoint;
    checkpoint.head_dim = 8;
    checkpoint.dtype = DType::f32;
    checkpoint.vocab = 1000;
    checkpoint.seed = seed;
    checkpoint.write();
    const auto sequence = sequences_of(seed, 1000)[0];
    const std::vector<float> inverse = {1, 2, 0.1f};
    constexpr int kCount = 30;
    const auto hidden_of = [&](TestModel& test) {
        const std::vector<std::int32_t> pages = {3};
        StepBatch batch;
        batch.tokens = sequence;
        batch.sequences.push_back({0, static_cast<std::int32_t>(sequence.size()), 0, pages});
        batch.lengths = {static_cast<std::int64_t>(sequence.size())};
        batch.output_rows = {0, 4, 8};
        return test.model->forward(batch, test.kv);
    };
    const auto candidates = [&](TestModel test) {
        RowCandidates found;
        test.model->candidates(hidden_of(test), kCount, inverse, found);
        return found;
    };
    const auto drawn = [&](TestModel test) {
        std::vector<TokenDraw> draws;
        for (int i = 0; i < 300; ++i)
            draws.push_back({i / 100, inverse[static_cast<std::size_t>(i / 100)],
                             (i % 10 + 0.5) / 10, (i % 100 + 0.5) / 100});
        std::vector<std::int32_t> tokens;
        test.model->draw(hidden_of(test), draws, tokens);
        return tokens;
    };
    const auto near = [](const RowCandidates& a, const RowCandidates& b) {
        for (std::size_t i = 0; i < a.best.size(); ++i)
            CHECK(a.best[i].logit == doctest::Approx(b.best[i].logit).epsilon(1e-4));
        for (std::size_t i = 0; i < a.totals.size(); ++i)
            CHECK(a.totals[i] == doctest::Approx(b.totals[i]).epsilon(1e-4));
    };
    const RowCandidates cpu = candidates(TestModel(checkpoint.directory, "")),
                        alone = candidates(TestModel(checkpoint.directory, "", on_device(true)));
    REQUIRE(alone.best.size() == 3 * kCount);
    near(alone, cpu);
    const std::vector<std::int32_t> tokens = drawn(TestModel(checkpoint.directory, "")),
                                    on_one =
                                        drawn(TestModel(checkpoint.directory, "", on_device(true)));
    // In the same blocks, but where a sum's last bits decide.
    int moved = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) moved += tokens[i] != on_one[i];
    CHECK(moved <= 3);
    for_degrees([&](Communicator group) {
        CHECK(drawn(TestModel(checkpoint.directory, "", on_device(true), group.duplicate())) ==
              on_one);
        const RowCandidates invariant =
            candidates(TestModel(checkpoint.directory, "", on_device(true), group.duplicate()));
        CHECK(invariant.totals == alone.totals);
        REQUIRE(invariant.best.size() == alone.best.size());
        CHECK(std::memcmp(invariant.best.data(), alone.best.data(),
                          alone.best.size() * sizeof(TopLogit)) == 0);
        near(candidates(TestModel(checkpoint.directory, "", on_device(false), group.duplicate())),
             cpu);
    });
}

TEST_CASE("a plan made without a device is what a model takes of one") {
    struct Form {
        DType dtype;
        bool biases, tied;
        std::int64_t vocab, experts;
    };
    for (const Form& form :
         {Form{DType::f32, false, false, 301, 0}, Form{DType::bf16, true, false, 4000, 0},
          Form{DType::bf16, false, true, 640, 0}, Form{DType::bf16, false, false, 301, 7}}) {
        RandomCheckpoint checkpoint;
        checkpoint.head_dim = 16;
        checkpoint.dtype = form.dtype;
        checkpoint.biases = form.biases;
        checkpoint.tied = form.tied;
        checkpoint.vocab = form.vocab;
        checkpoint.experts = form.experts;
        checkpoint.write();
        for_degrees([&](Communicator group) {
            for (const bool invariant : {false, true}) {
                CAPTURE(invariant);
                const int tp = group.size();
                TestModel test(checkpoint.directory, "", on_device(invariant), group.duplicate());
                const ModelConfig& config = test.model->config();
                const auto& arena = dynamic_cast<cuda::CudaBackend&>(*test.backend).arena();
                const MemoryPlan plan =
                    plan_cuda_memory(config, {.tp = tp,
                                              .tp_invariant = invariant,
                                              .kv_tokens = 64 * kKvPageTokens,
                                              .max_step_rows = 1024,
                                              .max_context = config.max_positions,
                                              .stored = form.dtype});
                // Logits are allocated when they are asked for; holes are left when biases are put
                // together.
                constexpr std::uint64_t kHoles = std::uint64_t{1} << 20;
                const std::uint64_t logits =
                    cuda_matrix_bytes(DType::f32, 16, config.vocab_size, 1) * 2 +
                    cuda_matrix_bytes(config.dtype, 16, config.hidden_size, 1);
                CHECK(arena.used() <= plan.total());
                CHECK(arena.used() + kHoles + logits >= plan.total());
                (void)test.logits(sequences_of(1, static_cast<unsigned>(form.vocab)));
                CHECK(arena.used() <= plan.total());
            }
        });
        test_world().barrier();
    }
}

namespace {

struct Decoded {
    std::vector<float> logits;  ///< of every row of every step
    std::uint64_t replays = 0;  ///< of recorded steps
};

/// Grows three sequences token by token.
Decoded decode(TestModel model, unsigned seed, std::int32_t tokens = 12) {
    std::mt19937 random(seed);
    const std::vector<std::vector<std::int32_t>> pages = {{9, 2, 31}, {4, 5, 6}, {7, 1, 3}};
    Decoded decoded;
    for (std::int32_t at = 0; at < tokens; ++at) {
        StepBatch batch;
        for (std::int32_t i = 0; i < 3; ++i) {
            batch.tokens.push_back(static_cast<std::int32_t>(random() % 301));
            batch.sequences.push_back({i, 1, at, pages[static_cast<std::size_t>(i)]});
            batch.lengths.push_back(tokens);
        }
        const std::vector<float> logits = model.run(batch);
        decoded.logits.insert(decoded.logits.end(), logits.begin(), logits.end());
    }
    decoded.replays = dynamic_cast<cuda::CudaBackend&>(*model.backend).recordings().replays();
    return decoded;
}

}  // namespace

TEST_CASE(
    "steps of a group are recorded with NCCL's copies in them, and not with those of the host") {
    const unsigned seed = common_seed();
    RandomCheckpoint checkpoint;
    checkpoint.head_dim = 8;
    checkpoint.dtype = DType::bf16;
    checkpoint.seed = seed;
    checkpoint.write();
    for (const bool tp_invariant : {false, true})
        for_degrees([&](Communicator group) {
            const auto run = [&](DeviceTransport transport, bool record_steps) {
                return decode(
                    TestModel(checkpoint.directory, "",
                              on_device(tp_invariant, transport, record_steps), group.duplicate()),
                    seed);
            };
            const Decoded staged = run(DeviceTransport::staged, true),
                          plain = run(DeviceTransport::nccl, false),
                          recorded = run(DeviceTransport::nccl, true);
            // The first step of a kind runs as it is; a group of one exchanges nothing.
            CHECK(recorded.replays == 11);
            CHECK(staged.replays == (group.size() == 1 ? recorded.replays : 0));
            CHECK(plain.replays == 0);
            CHECK(same_bits(plain.logits, staged.logits));
            CHECK(same_bits(recorded.logits, staged.logits));
        });
}

TEST_CASE("where one rank of a group cannot record, none replays, and the bits stay") {
    const unsigned seed = common_seed();
    RandomCheckpoint checkpoint;
    checkpoint.head_dim = 8;
    checkpoint.dtype = DType::bf16;
    checkpoint.seed = seed;
    checkpoint.write();
    using emulator::Refusal;
    for_degrees([&](Communicator group) {
        const auto run = [&](bool record_steps) {
            return decode(
                TestModel(checkpoint.directory, "",
                          on_device(true, DeviceTransport::nccl, record_steps), group.duplicate()),
                seed, 4);
        };
        const Decoded plain = run(false);
        for (const Refusal refusal : {Refusal::of_capture, Refusal::of_graph}) {
            if (group.rank() + 1 == group.size()) emulator::refuse_recordings(refusal);
            const Decoded refused = run(true);
            emulator::refuse_recordings(Refusal::none);
            CHECK(refused.replays == 0);
            CHECK(same_bits(refused.logits, plain.logits));
        }
    });
}
