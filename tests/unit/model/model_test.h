#pragma once
// A checkpoint loaded with a KV cache, on the CPU backend unless another is made, for tests.

#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "muster/model/model.h"
#include "muster/mpi/communicator.h"

struct TestModel {
    muster::Communicator group;
    std::unique_ptr<muster::Backend> backend;
    std::unique_ptr<muster::Model> model;
    muster::KvCache kv;

    using MakeBackend =
        std::function<std::unique_ptr<muster::Backend>(const muster::Communicator& group)>;

    explicit TestModel(const std::string& directory, const std::string& dtype = "", int threads = 2,
                       muster::Communicator tp_group = muster::Communicator::self())
        : TestModel(
              directory, dtype,
              [threads](const muster::Communicator& ranks) {
                  return muster::make_cpu_backend(threads, ranks);
              },
              std::move(tp_group)) {}
    TestModel(const std::string& directory, const std::string& dtype, const MakeBackend& make,
              muster::Communicator tp_group = muster::Communicator::self())
        : group(std::move(tp_group)), backend(make(group)) {
        const muster::ModelConfig config = muster::ModelConfig::load(directory, dtype);
        model =
            muster::Model::load(muster::Checkpoint::open(directory), config, *backend, 1024, {});
        kv = model->make_kv_cache(64);
    }

    /// Tokens [begin, end) of a sequence that owns the pages `pages`; returns logits [end - begin,
    /// vocab].
    std::vector<float> step(const std::vector<std::int32_t>& ids, std::size_t begin,
                            std::size_t end, const std::vector<std::int32_t>& pages) {
        muster::StepBatch batch;
        batch.tokens.assign(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                            ids.begin() + static_cast<std::ptrdiff_t>(end));
        batch.sequences.push_back(
            {0, static_cast<std::int32_t>(end - begin), static_cast<std::int32_t>(begin), pages});
        batch.lengths.push_back(static_cast<std::int64_t>(ids.size()));
        return run(batch);
    }

    /// Logits of all tokens of all sequences, packed into one step. Pages are dealt out crosswise.
    std::vector<float> logits(const std::vector<std::vector<std::int32_t>>& sequences) {
        std::vector<std::vector<std::int32_t>> pages(sequences.size());
        std::int32_t page = kv.num_pages;
        muster::StepBatch batch;
        for (std::size_t i = 0; i < sequences.size(); ++i) {
            for (std::size_t at = 0; at < sequences[i].size(); at += muster::kKvPageTokens)
                pages[i].push_back(--page);
            batch.sequences.push_back({static_cast<std::int32_t>(batch.tokens.size()),
                                       static_cast<std::int32_t>(sequences[i].size()), 0,
                                       pages[i]});
            batch.tokens.insert(batch.tokens.end(), sequences[i].begin(), sequences[i].end());
            batch.lengths.push_back(static_cast<std::int64_t>(sequences[i].size()));
        }
        return run(batch);
    }

    /// Logits of all rows.
    std::vector<float> run(muster::StepBatch& batch) {
        batch.output_rows.resize(batch.tokens.size());
        std::iota(batch.output_rows.begin(), batch.output_rows.end(), 0);
        std::vector<float> out;
        model->logits(model->forward(batch, kv), batch.output_rows, out);
        return out;
    }
};
