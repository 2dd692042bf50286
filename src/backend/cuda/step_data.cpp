#include "cuda/step_data.h"

#include <algorithm>
#include <cstring>

#include "cuda/sizes.h"

namespace muster::cuda {

namespace {

static_assert(sizeof(DeviceSequence) == 16 && sizeof(RowPlace) == 8);

std::int64_t pages_in(const AttentionSequence& s) {
    return pages_of(std::int64_t{s.first_position} + s.num_rows);
}

}  // namespace

void StepData::reserve(std::int64_t rows, std::int64_t sequences, std::int64_t pages) {
    const std::uint64_t bytes = step_bytes(rows, sequences, pages);
    if (bytes <= capacity_) return;
    memory_.reset();
    capacity_ = 0;
    memory_ = arena_.allocate(bytes);
    capacity_ = bytes;
}

void StepData::upload(std::span<const std::int32_t> ids,
                      std::span<const AttentionSequence> sequences) {
    rows_ = max_rows_ = max_context_ = 0;
    num_sequences_ = static_cast<std::int32_t>(sequences.size());
    std::int64_t pages = 0;
    for (const AttentionSequence& s : sequences) {
        rows_ += s.num_rows;
        max_rows_ = std::max(max_rows_, s.num_rows);
        max_context_ = std::max(max_context_, s.first_position + s.num_rows);
        pages += pages_in(s);
    }
    rows_ = std::max(rows_, static_cast<std::int32_t>(ids.size()));
    reserve(rows_, num_sequences_, pages);

    // Sequences, places, ids, pages: what has a fixed size for a number of rows comes first.
    const auto rows = static_cast<std::size_t>(rows_);
    const std::size_t places_at = sequences.size() * sizeof(DeviceSequence),
                      ids_at = places_at + rows * sizeof(RowPlace),
                      pages_at = ids_at + rows * sizeof(std::int32_t);
    block_.assign(pages_at + static_cast<std::size_t>(pages) * sizeof(std::int32_t), std::byte{0});
    auto* to_sequence = reinterpret_cast<DeviceSequence*>(block_.data());
    auto* to_place = reinterpret_cast<RowPlace*>(block_.data() + places_at);
    auto* to_page = reinterpret_cast<std::int32_t*>(block_.data() + pages_at);
    if (!ids.empty()) std::memcpy(block_.data() + ids_at, ids.data(), ids.size_bytes());
    std::int32_t first_page = 0;
    for (const AttentionSequence& s : sequences) {
        *to_sequence++ = {s.first_row, s.num_rows, s.first_position, first_page};
        for (std::int32_t i = 0; i < s.num_rows; ++i) {
            const std::int32_t position = s.first_position + i;
            to_place[s.first_row + i] = {
                s.pages[static_cast<std::size_t>(position / kKvPageTokens)],
                position % kKvPageTokens};
        }
        const auto count = static_cast<std::size_t>(pages_in(s));
        std::copy_n(s.pages.begin(), count, to_page + first_page);
        first_page += static_cast<std::int32_t>(count);
    }
    auto* device = static_cast<std::byte*>(memory_.get());
    staging_.upload(device, block_.data(), block_.size());
    sequences_ = reinterpret_cast<const DeviceSequence*>(device);
    places_ = reinterpret_cast<const RowPlace*>(device + places_at);
    ids_ = reinterpret_cast<const std::int32_t*>(device + ids_at);
    pages_ = reinterpret_cast<const std::int32_t*>(device + pages_at);
}

}  // namespace muster::cuda
