#include "rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace muster {

namespace {

/// base^(2i/d) for i < d/2. Powers and, below, cosines are computed in double and rounded, which is
/// f32's correctly rounded value but for one case in many millions.
std::vector<float> powers(float base, std::int64_t half) {
    std::vector<float> result;
    for (std::int64_t i = 0; i < half; ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
        result.push_back(
            static_cast<float>(std::pow(static_cast<double>(base), static_cast<double>(exponent))));
    }
    return result;
}

std::vector<float> standard(float base, std::int64_t half) {
    std::vector<float> inverse = powers(base, half);
    for (float& value : inverse) value = 1.0f / value;
    return inverse;
}

std::vector<float> linear(const RopeSpec& spec, std::int64_t half) {
    std::vector<float> inverse = standard(static_cast<float>(spec.theta), half);
    for (float& value : inverse) value /= static_cast<float>(spec.factor);
    return inverse;
}

std::vector<float> llama3(const RopeSpec& spec, std::int64_t half) {
    std::vector<float> inverse = standard(static_cast<float>(spec.theta), half);
    const auto original = static_cast<double>(spec.original_max_positions);
    const auto low_wavelength = static_cast<float>(original / spec.low_freq_factor);
    const auto high_wavelength = static_cast<float>(original / spec.high_freq_factor);
    const auto factor = static_cast<float>(spec.factor),
               low = static_cast<float>(spec.low_freq_factor);
    for (float& value : inverse) {
        const float wavelength = static_cast<float>(2.0 * std::numbers::pi) / value;
        const float smooth = (static_cast<float>(original) / wavelength - low) /
                             static_cast<float>(spec.high_freq_factor - spec.low_freq_factor);
        if (wavelength > low_wavelength) {
            value /= factor;
        } else if (wavelength >= high_wavelength) {
            value = (1.0f - smooth) * value / factor + smooth * value;
        }
    }
    return inverse;
}

/// The dimension whose angle makes `rotations` turns over `positions`.
double correction_dimension(double rotations, std::int64_t half, double base, double positions) {
    return static_cast<double>(2 * half) *
           std::log(positions / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(base));
}

/// YaRN (arXiv 2309.00071): low dimensions keep their frequency, high ones are interpolated, a ramp
/// between.
std::vector<float> yarn(const RopeSpec& spec, std::int64_t half) {
    const auto positions = static_cast<double>(spec.original_max_positions);
    double low = correction_dimension(spec.beta_fast, half, spec.theta, positions);
    double high = correction_dimension(spec.beta_slow, half, spec.theta, positions);
    if (spec.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, static_cast<double>(2 * half - 1));
    if (low == high) high += 0.001;
    std::vector<float> inverse = powers(static_cast<float>(spec.theta), half);
    for (std::int64_t i = 0; i < half; ++i) {
        float& value = inverse[static_cast<std::size_t>(i)];
        const float ramp = std::clamp(
            (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low),
            0.0f, 1.0f);
        const float extrapolated = 1.0f - ramp;
        value = 1.0f / (static_cast<float>(spec.factor) * value) * (1.0f - extrapolated) +
                1.0f / value * extrapolated;
    }
    return inverse;
}

std::vector<float> dynamic(const RopeSpec& spec, std::int64_t half, std::int64_t length) {
    const auto theta = static_cast<float>(spec.theta), factor = static_cast<float>(spec.factor);
    if (length <= spec.original_max_positions) return standard(theta, half);
    const float ratio =
        factor * static_cast<float>(length) / static_cast<float>(spec.original_max_positions) -
        (factor - 1.0f);
    const double exponent = static_cast<double>(2 * half) / static_cast<double>(2 * half - 2);
    return standard(theta * static_cast<float>(std::pow(static_cast<double>(ratio), exponent)),
                    half);
}

std::vector<float> frequencies(const RopeSpec& spec, std::int64_t half, std::int64_t length) {
    switch (spec.type) {
        case RopeType::standard:
            break;
        case RopeType::linear:
            return linear(spec, half);
        case RopeType::llama3:
            return llama3(spec, half);
        case RopeType::dynamic:
            return dynamic(spec, half, length);
        case RopeType::yarn:
            return yarn(spec, half);
    }
    return standard(static_cast<float>(spec.theta), half);
}

double attention_scaling(const RopeSpec& spec) {
    if (spec.type != RopeType::yarn) return 1.0;
    if (spec.attention_factor) return *spec.attention_factor;
    const auto mscale = [&](double weight) {
        return spec.factor <= 1.0 ? 1.0 : 0.1 * weight * std::log(spec.factor) + 1.0;
    };
    const double numerator = spec.mscale.value_or(0.0),
                 denominator = spec.mscale_all_dim.value_or(0.0);
    return numerator != 0.0 && denominator != 0.0 ? mscale(numerator) / mscale(denominator)
                                                  : mscale(1.0);
}

}  // namespace

Rope::Rope(const RopeSpec& spec, std::int64_t head_dim)
    : spec_(spec),
      half_(head_dim / 2),
      scaling_(static_cast<float>(attention_scaling(spec))),
      inverse_(frequencies(spec, half_, 0)) {}

std::vector<float> Rope::inverse_frequencies(std::int64_t length) const {
    const bool original = !depends_on_length() || length <= spec_.original_max_positions;
    return original ? inverse_ : frequencies(spec_, half_, length);
}

void Rope::compute(const std::vector<float>& inverse, std::int64_t first_position,
                   std::int64_t num_rows, float* out) const {
    for (std::int64_t row = 0; row < num_rows; ++row) {
        const auto position = static_cast<float>(first_position + row);
        for (std::int64_t i = 0; i < half_; ++i) {
            const float angle = position * inverse[static_cast<std::size_t>(i)];
            out[i] = static_cast<float>(std::cos(static_cast<double>(angle))) * scaling_;
            out[half_ + i] = static_cast<float>(std::sin(static_cast<double>(angle))) * scaling_;
        }
        out += 2 * half_;
    }
}

void Rope::fill(std::int64_t first_position, std::int64_t num_rows, std::int64_t length,
                float* out) {
    if (depends_on_length())
        return compute(inverse_frequencies(length), first_position, num_rows, out);
    const std::int64_t kept = static_cast<std::int64_t>(kept_.size()) / (2 * half_),
                       end = first_position + num_rows;
    if (end > kept) {
        kept_.resize(static_cast<std::size_t>(end * 2 * half_));
        compute(inverse_, kept, end - kept, kept_.data() + kept * 2 * half_);
    }
    std::copy_n(kept_.data() + first_position * 2 * half_, num_rows * 2 * half_, out);
}

}  // namespace muster
