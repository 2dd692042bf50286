#pragma once
// How a task's tokens are chosen. As with lm-evaluation-harness on a Hugging Face model, a setting
// comes from the run (command line, then run file), else from the task, else from the checkpoint,
// else from transformers' defaults. Whether and how hot to sample is the task's to say: without a
// temperature decoding is greedy, whatever the checkpoint likes.

#include <string>

#include "muster/config/value.h"
#include "muster/engine/request.h"
#include "muster/model/generation_defaults.h"
#include "muster/task/task_spec.h"

namespace muster {

/// What the requests of `task` are sampled with, without a seed. Throws UserError if the checkpoint
/// asks for something that changes what this task generates and is not offered, or cannot be
/// understood.
SamplingOptions sampling_of(const TaskSpec& task, const GenerationDefaults& defaults);

/// "", or what the checkpoint says about the length of generations and is not followed.
std::string length_warning(const GenerationDefaults& defaults);

/// "greedy, repetition penalty 1.05".
std::string describe(const SamplingOptions& sampling);

/// The task's generation_kwargs with everything filled in.
Object generation_kwargs(const GenerationSpec& spec, const SamplingOptions& sampling);

}  // namespace muster
