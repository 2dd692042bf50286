#include "fewshot.h"

#include "muster/base/error.h"
#include "muster/base/text.h"

namespace muster {

namespace {

bool is_python_number(const Value& value) {
    return value.is_number() || value.is_bool();
}

double number(const Value& value) {
    return value.is_bool() ? static_cast<double>(value.as_bool()) : value.as_real();
}

}  // namespace

bool python_equal(const Value& a, const Value& b) {
    if (a.is_integer() && b.is_integer()) return a.as_integer() == b.as_integer();
    if (is_python_number(a) && is_python_number(b)) return number(a) == number(b);
    if (a.kind() != b.kind()) return false;
    if (a.is_array()) {
        if (a.as_array().size() != b.as_array().size()) return false;
        for (std::size_t i = 0; i < a.as_array().size(); ++i)
            if (!python_equal(a.as_array()[i], b.as_array()[i])) return false;
        return true;
    }
    if (a.is_object()) {
        if (a.as_object().size() != b.as_object().size()) return false;
        for (const auto& [key, value] : a.as_object().members()) {
            const Value* other = b.find(key);
            if (other == nullptr || !python_equal(value, *other)) return false;
        }
        return true;
    }
    return a == b;
}

FewshotSampler::FewshotSampler(const std::vector<Value>& pool, std::string sampler,
                               std::uint64_t seed, std::string place)
    : pool_(pool), first_n_(sampler == "first_n"), random_(seed), place_(std::move(place)) {}

std::vector<const Value*> FewshotSampler::draw(std::size_t count, const Value* tested) {
    if (count == 0) return {};
    if (first_n_) return draw_first(count, tested);
    // `if not eval_doc` in lm-eval: an empty document is dropped like none.
    if (tested != nullptr && tested->is_object() && tested->as_object().empty()) tested = nullptr;
    return draw_random(count, tested);
}

std::vector<const Value*> FewshotSampler::draw_random(std::size_t count, const Value* tested) {
    const std::size_t drawn =
        tested == nullptr ? count : count + 1;  // one to spare for the tested document
    if (drawn > pool_.size())
        throw UserError(cat(place_, ": ", count, " examples wanted",
                            tested == nullptr ? "" : " beside the tested document", ", ",
                            pool_.size(), " documents to draw from"));
    std::vector<const Value*> examples;
    for (std::size_t index : random_.sample(pool_.size(), drawn))
        if (examples.size() < count && (tested == nullptr || !python_equal(pool_[index], *tested)))
            examples.push_back(&pool_[index]);
    if (examples.size() == count) return examples;
    // Copies of the tested document were drawn: draw again from the others.
    std::vector<const Value*> others;
    for (const Value& document : pool_)
        if (!python_equal(document, *tested)) others.push_back(&document);
    if (others.size() < count)
        throw UserError(cat(place_, ": ", count, " examples wanted, ", others.size(),
                            " documents differ from the tested one"));
    examples.clear();
    for (std::size_t index : random_.sample(others.size(), count))
        examples.push_back(others[index]);
    return examples;
}

std::vector<const Value*> FewshotSampler::draw_first(std::size_t count, const Value* tested) const {
    std::vector<const Value*> examples;
    for (const Value& document : pool_) {
        if (examples.size() == count) break;
        if (tested == nullptr || !python_equal(document, *tested)) examples.push_back(&document);
    }
    if (examples.size() < count)
        throw UserError(cat(place_, ": ", count, " examples wanted, ", examples.size(),
                            " documents available"));
    return examples;
}

}  // namespace muster
