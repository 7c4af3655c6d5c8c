// Connectionist temporal classification. Graves et al. 2006, "Connectionist temporal classification: labelling
// unsegmented sequence data with recurrent neural networks".
//
// Note [CTC]
// A target of S labels has 2 S + 1 states: the labels, and a blank before, between and after them. At each step a path
// stays, moves to the next state, or skips a blank between different labels. alpha[t][s] is the logarithm of the
// probability of all paths that are in state s at step t. beta[t][s] is the logarithm of the probability of all
// continuations of these paths. The derivative is the one with respect to the logits: softmax minus the share of each
// class in all paths. It is equal to the derivative with respect to log_probs after a backward pass through
// log_softmax.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "core/working_memory.h"
#include "cuda/layers/ctc.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"

namespace flambeau {

namespace {

struct Sequences {
  int64_t steps, batch, classes, blank, states;  // states: number of states of the longest target
  Tensor targets;                                // int64, contiguous
  // For each sample: position of the first label, number of labels, number of steps.
  std::vector<int64_t> first, labels, times;

  void check_labels(size_t n) const {
    for (int64_t i = 0; i < labels[n]; ++i) {
      const int64_t label = targets.data<int64_t>()[first[n] + i];
      require(label >= 0 && label < classes, "ctc_loss: target ", label, " is out of range: there are ", classes,
              " classes");
    }
  }
  int64_t label(int64_t n, int64_t s) const {  // class of a state: the label, or the blank
    return s % 2 ? targets.data<int64_t>()[first[size_t(n)] + s / 2] : blank;
  }
  int64_t row() const { return states + 2; }  // length of a row of states, including the unreachable ones
  bool may_skip(int64_t n, int64_t s) const {
    return s >= 2 && s % 2 && s <= 2 * labels[size_t(n)] && label(n, s) != label(n, s - 2);
  }
};

constexpr int64_t kFront = 2;  // number of unreachable states at the beginning of each row

template <class T>
constexpr T kLogZero = -std::numeric_limits<T>::infinity();

// The states of one sequence, in the order of a row: the states that a path may reach by skipping a blank, and the
// logarithms of the probabilities of the states' classes. The first kFront states of each row are unreachable.
// `backwards`: the states are in reverse order.
template <class T>
class SequenceStates {
 public:
  SequenceStates(const Sequences& q, int64_t n, const T* logs, bool backwards)
      : states(2 * q.labels[size_t(n)] + 1),
        steps(q.times[size_t(n)]),
        step_(q.batch * q.classes),
        logs_(logs + n * q.classes),
        labels_(size_t(states)),
        skip_(size_t(states)),
        class_logarithms_(size_t(states)) {
    for (int64_t s = 0; s < states; ++s) {
      labels_[size_t(s)] = q.label(n, backwards ? states - 1 - s : s);
      skip_[size_t(s)] = q.may_skip(n, backwards ? states + 1 - s : s) && s >= 2;
    }
  }
  // Returns, for each state, the logarithm of the probability of its class at step t.
  const char* class_logarithms(int64_t t) {
    for (int64_t s = 0; s < states; ++s) class_logarithms_[size_t(s)] = logs_[t * step_ + labels_[size_t(s)]];
    return reinterpret_cast<const char*>(class_logarithms_.data());
  }
  void begin(int64_t t, T* row) {
    class_logarithms(t);
    for (int64_t s = 0; s < std::min<int64_t>(2, states); ++s) row[s] = class_logarithms_[size_t(s)];
  }
  void advance(int64_t t, const T* before, T* now) {
    kernels::networks().ctc_step[sizeof(T) == 8](reinterpret_cast<const char*>(before), skip_.data(),
                                                 class_logarithms(t), reinterpret_cast<char*>(now), states);
  }
  int64_t label(int64_t s) const { return labels_[size_t(s)]; }

  const int64_t states, steps;

 private:
  int64_t step_;
  const T* logs_;
  std::vector<int64_t> labels_;
  std::vector<uint8_t> skip_;
  std::vector<T> class_logarithms_;
};

// Fills alpha (steps, row) for one sequence. Returns the sequence's negative log-likelihood.
template <class T>
T walk_forward(const Sequences& q, int64_t n, const T* logs, T* alpha) {
  SequenceStates<T> forward(q, n, logs, false);
  std::fill(alpha, alpha + q.steps * q.row(), kLogZero<T>);
  if (forward.steps == 0) return forward.states == 1 ? T(0) : -kLogZero<T>;
  forward.begin(0, alpha + kFront);
  for (int64_t t = 1; t < forward.steps; ++t)
    forward.advance(t, alpha + (t - 1) * q.row() + kFront, alpha + t * q.row() + kFront);
  // A path ends at the last label or at the blank after it.
  const T* last = alpha + (forward.steps - 1) * q.row() + kFront + forward.states - 1;
  const T a = last[0], b = last[-1], largest = std::max(a, b);
  return largest == kLogZero<T> ? -largest : -(largest + std::log1p(std::exp(-std::abs(a - b))));
}

// Writes the gradient of the loss of one sequence, times `scale`, to grad (steps, batch, classes).
template <class T>
void walk_backward(const Sequences& q, int64_t n, const T* logs, const T* alpha, T loss, T scale, T* grad) {
  SequenceStates<T> forward(q, n, logs, false), backward(q, n, logs, true);
  const int64_t states = forward.states, step = q.batch * q.classes;
  std::vector<T> rows[2] = {std::vector<T>(size_t(states + kFront), kLogZero<T>),
                            std::vector<T>(size_t(states + kFront), kLogZero<T>)};
  std::vector<T> beta(static_cast<size_t>(states)), shares(static_cast<size_t>(states));
  for (int64_t t = forward.steps - 1; t >= 0; --t) {
    T* now = rows[t % 2].data() + kFront;
    if (t == forward.steps - 1)
      backward.begin(t, now);
    else
      backward.advance(t, rows[(t + 1) % 2].data() + kFront, now);
    std::reverse_copy(now, now + states, beta.begin());
    kernels::networks().ctc_shares[sizeof(T) == 8](
        reinterpret_cast<const char*>(alpha + t * q.row() + kFront), reinterpret_cast<const char*>(beta.data()),
        forward.class_logarithms(t), reinterpret_cast<char*>(shares.data()), states, double(loss));
    T* to = grad + t * step + n * q.classes;
    const T* from = logs + t * step + n * q.classes;
    for (int64_t c = 0; c < q.classes; ++c) to[c] = std::exp(from[c]) * scale;
    for (int64_t s = 0; s < states; ++s) to[forward.label(s)] -= shares[size_t(s)] * scale;
    if (std::isinf(loss)) std::fill(to, to + q.classes, std::numeric_limits<T>::quiet_NaN());
  }
}

Sequences checked(const Tensor& logs, const Tensor& targets, const Shape& input_lengths, const Shape& target_lengths,
                  int64_t blank) {
  require(is_floating(logs.dtype()), "ctc_loss: expected log_probs of a floating dtype, got ", logs.dtype());
  require(category(targets.dtype()) == Category::Integer, "ctc_loss: targets must be integers, got ", targets.dtype());
  require(logs.dim() == 3, "ctc_loss: expected log_probs (T, N, C), got shape ", logs.shape());
  Sequences q{logs.size(0), logs.size(1), logs.size(2), blank, 1, contiguous(to(targets, Dtype::int64)), {}, {}, {}};
  require(blank >= 0 && blank < q.classes, "blank must be in label range: got ", blank, " of ", q.classes, " classes");
  require(int64_t(input_lengths.size()) == q.batch, "input_lengths must be of size batch_size: got ", input_lengths,
          " for a batch of ", q.batch);
  require(int64_t(target_lengths.size()) == q.batch, "target_lengths must be of size batch_size: got ", target_lengths,
          " for a batch of ", q.batch);
  require(targets.dim() == 1 || (targets.dim() == 2 && targets.size(0) == q.batch),
          "ctc_loss: expected targets (N, S), or all of them in one dimension, got shape ", targets.shape(),
          " for a batch of ", q.batch);
  int64_t at = 0;
  for (int64_t n = 0; n < q.batch; ++n) {
    const int64_t labels = target_lengths[size_t(n)], steps = input_lengths[size_t(n)];
    require(labels >= 0, "Expected target_lengths to have value at least 0, but got value ", labels);
    require(steps >= 0 && steps <= q.steps, "Expected input_lengths to have value at most ", q.steps,
            " and at least 0, but got value ", steps, " (while checking arguments for ctc_loss)");
    require(targets.dim() == 1 || labels <= targets.size(1), "Expected tensor to have size at least ", labels,
            " at dimension 1, but got targets of size ", targets.shape());
    q.first.push_back(targets.dim() == 2 ? n * targets.size(1) : at);
    q.labels.push_back(labels);
    q.times.push_back(steps);
    at += labels;
    require(targets.dim() == 2 || at <= targets.numel(), "ctc_loss: target_lengths ", target_lengths,
            " add up to more than the number of targets, which have shape ", targets.shape());
    q.states = std::max(q.states, 2 * labels + 1);
    if (!cuda::runs_on_gpu(q.targets)) q.check_labels(size_t(n));  // on a GPU the kernel checks the labels
  }
  require(targets.dim() == 2 || at == targets.numel(), "ctc_loss: target_lengths ", target_lengths,
          " do not add up to the number of targets, which have shape ", targets.shape());
  return q;
}

cuda::CtcTensors run_on_gpu(const Sequences& q, const Tensor& logs) {
  Tensor lengths;
  {
    const OnDevice cpu(DeviceType::Cpu);
    lengths = empty({3, q.batch}, Dtype::int64);
    int64_t* to = lengths.data<int64_t>();
    for (const auto* numbers : {&q.first, &q.labels, &q.times}) to = std::copy(numbers->begin(), numbers->end(), to);
  }
  cuda::CtcTensors c{q.blank, q.states, logs, to(q.targets, logs.device()), to(lengths, logs.device()), {}, {}, {}};
  cuda::ctc_forward(c);
  return c;
}

}  // namespace

Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Shape& input_lengths, const Shape& target_lengths,
                int64_t blank, bool zero_infinity) {
  auto q = std::make_shared<const Sequences>(checked(log_probs, targets, input_lengths, target_lengths, blank));
  const Dtype type = log_probs.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  Tensor logs, alpha, losses, out;
  std::shared_ptr<const cuda::CtcTensors> gpu_result;
  const int64_t grain = std::max<int64_t>(1, 2000 / (q->steps * q->states + 1));
  {
    NoRecording off;
    logs = contiguous(to(log_probs, type));
    if (cuda::runs_on_gpu(logs)) {
      gpu_result = std::make_shared<const cuda::CtcTensors>(run_on_gpu(*q, logs));
      alpha = gpu_result->alpha, losses = gpu_result->losses;
    } else {
      alpha = empty({q->batch, q->steps, q->row()}, type);
      losses = empty({q->batch}, type);
      dispatch_real(type, [&](auto tag) {
        using T = typename decltype(tag)::type;
        parallel_items(q->batch, grain, [&](int64_t begin, int64_t end) {
          for (int64_t n = begin; n < end; ++n)
            losses.data<T>()[n] = walk_forward<T>(*q, n, logs.data<T>(), alpha.data<T>() + n * q->steps * q->row());
        });
      });
    }
    out = zero_infinity ? where(isinf(losses), Scalar(0.0), losses) : losses;
    out = to(out.same(losses) ? clone(losses) : out, log_probs.dtype());
  }
  if (recording(log_probs))
    record("CtcLoss", out, {&log_probs}, {&logs, &alpha, &losses, &q->targets},
           [all = q, gpu_result, type, grain, zero_infinity](const Context& c) {
             require<NotImplementedError>(!recording(c.gradient()),
                                          "the second derivative of ctc_loss is not implemented");
             const Tensor &logs = c.saved(0), &alpha = c.saved(1), &losses = c.saved(2);
             const Tensor scale = contiguous(to(c.gradient(), type));
             if (gpu_result) return c.set(0, cuda::ctc_backward(*gpu_result, scale, zero_infinity));
             Sequences q = *all;
             q.targets = c.saved(3);  // use the saved targets, because the caller may have changed the original ones
             for (size_t n = 0; n < q.labels.size(); ++n) q.check_labels(n);  // hooks may have changed these targets
             Tensor grad = zeros(logs.shape(), type);
             dispatch_real(type, [&](auto tag) {
               using T = typename decltype(tag)::type;
               parallel_items(q.batch, grain, [&](int64_t begin, int64_t end) {
                 for (int64_t n = begin; n < end; ++n) {
                   const T loss = losses.data<T>()[n];
                   if (zero_infinity && std::isinf(loss)) continue;
                   walk_backward<T>(q, n, logs.data<T>(), alpha.data<T>() + n * q.steps * q.row(), loss,
                                    scale.data<T>()[n], grad.data<T>());
                 }
               });
             });
             c.set(0, grad);
           });
  return out;
}

const Operator _ctc_loss_operator(
    {.signature = "_ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, zero_infinity=False)",
     .forms = kPrivate | kFloat32,
     .doc = "Compute the negative log-likelihood of each target (N). The gradient of log_probs is the gradient of the "
            "logits from which log_probs was computed. Gradient: log_probs, first order only.",
     .forward = ctc_loss});

}  // namespace flambeau
