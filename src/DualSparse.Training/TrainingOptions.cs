using System.Text.Json.Serialization;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training;

/// <summary>How a run trains. A null is chosen when the run starts; what was chosen stands in the run's <see cref="Trainer.Options"/>.</summary>
public sealed record TrainingOptions
{
    // What a null becomes: a batch and a context that small models learn well from, and a rate that is common for them; a model that has
    // learned already is moved by less.
    private const int DefaultBatchTokens = 4096, DefaultContext = 512, MostWarmUp = 100;
    private const double NewRate = 1e-3, FineTuningRate = 1e-4;

    // More than any run has, and what a resumed run could count no further.
    private const long MostSteps = int.MaxValue;

    /// <summary>Tokens of a step: windows times <see cref="Context"/>. Null: 4096, or as many windows of the context as fit into that, one at least.</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Tokens of a window, at least 2. Null: 512, or the model's context where that is less.</summary>
    public int? Context { get; init; }

    /// <summary>In how many passes a part's windows are computed, one after another: more take less memory. Balance losses are each pass's own.</summary>
    public int Accumulation { get; init; } = 1;

    /// <summary>
    /// Into how many parts a step's windows are cut, each with a gradient of its own, added in their order. Ranks compute one each; one process that
    /// computes all has the same result, to the bit.
    /// </summary>
    public int Parts { get; init; } = 1;

    /// <summary>Steps of the run. At most one of this, <see cref="Tokens"/> and <see cref="Epochs"/> is given; null and none of them: one epoch.</summary>
    public int? Steps { get; init; }

    /// <summary>Tokens of the run, rounded up to whole steps.</summary>
    public long? Tokens { get; init; }

    /// <summary>How often the run reads the text, such as 0.5; rounded up to whole steps.</summary>
    public double? Epochs { get; init; }

    /// <summary>The highest learning rate. Null: 0.001 for a new model, 0.0001 for one that is fine-tuned.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Steps in which the learning rate rises to its highest. Null: 100, or a tenth of the run where that is less.</summary>
    public int? WarmUpSteps { get; init; }

    /// <summary>How the learning rate falls after that.</summary>
    public RateDecay Decay { get; init; } = RateDecay.Cosine;

    /// <summary>The learning rate at the run's end as a share of the highest, 0 to 1.</summary>
    public double FinalRate { get; init; } = 0.1;

    /// <summary>β₁ of AdamW.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>β₂ of AdamW.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>ε of AdamW.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Weight decay, on tensors of two or more dimensions, embeddings and routers included.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>The largest norm of a step's gradient as a whole; a longer one is shortened.</summary>
    public double Clip { get; init; } = 1;

    /// <summary>The factor of the family's balance loss. Null: the configuration's <c>router_aux_loss_coef</c>, or the family's default.</summary>
    public double? Balance { get; init; }

    /// <summary>The factor of the routers' z-loss (ST-MoE, arXiv 2202.08906, eq. 5); its authors' 0.001 unless given.</summary>
    public double RouterZ { get; init; } = 1e-3;

    /// <summary>The seed of the first values and of the order of windows.</summary>
    public ulong Seed { get; init; }

    /// <summary>In what products are computed: <see cref="WeightFormat.F32"/>, or <see cref="WeightFormat.Bf16"/> with sums in f32. Null: the faster on this machine.</summary>
    public WeightFormat? Products { get; init; }

    /// <summary>Threads to compute on. Null: as many as this process may use. They change no bit of the result.</summary>
    public int? Threads { get; init; }

    /// <summary>Texts to measure the held-out loss on; none: the last part of the text.</summary>
    public IReadOnlyList<string> Validation { get; init; } = [];

    /// <summary>The share of the text's windows that is held out where there is no <see cref="Validation"/>, 0 to 0.5.</summary>
    public double ValidationShare { get; init; } = 0.01;

    /// <summary>Tokens that the held-out loss is measured on at most.</summary>
    public int ValidationTokens { get; init; } = 32768;

    /// <summary>The held-out loss is measured each time after so many steps, and at the end; 0: never.</summary>
    public int ValidationSteps { get; init; } = 100;

    /// <summary>A checkpoint is written each time after so many steps; 0: by time alone.</summary>
    public int CheckpointSteps { get; init; }

    /// <summary>A checkpoint is written once so many seconds have passed since the last.</summary>
    public double CheckpointSeconds { get; init; } = 300;

    /// <summary>The folder of a model with the same vocabulary whose predictions are learned, by KL divergence, instead of the texts' next tokens; null: none.</summary>
    public string? Teacher { get; init; }

    /// <summary>The type of the model's weights as written: <see cref="WeightFormat.Bf16"/> or <see cref="WeightFormat.F32"/>.</summary>
    public WeightFormat Weights { get; init; } = WeightFormat.Bf16;

    /// <summary>Windows of a step.</summary>
    [JsonIgnore]
    internal int Windows => BatchTokens!.Value / Context!.Value;

    /// <summary>Checks what needs no model.</summary>
    /// <exception cref="ArgumentException">A number is out of its range, or two contradict each other; the message says which.</exception>
    internal void Check()
    {
        Require(Context is null or >= 2, "context", Context, "at least 2 tokens: a window of one predicts nothing");
        Require(BatchTokens is null or >= 2, "batch", BatchTokens, "at least a window's tokens");
        Require(Accumulation >= 1, "accumulation", Accumulation, "at least 1 pass a step");
        Require(Parts is >= 1 and <= MostParts, "number of parts", Parts, $"1 to {MostParts}");
        if (new object?[] { Steps, Tokens, Epochs }.Count(given => given is not null) > 1)
            throw new ArgumentException("steps, tokens and epochs are three ways to say how long a run is: give one of them");
        Require(Steps is null or >= 1, "number of steps", Steps, "at least 1");
        Require(Tokens is null or >= 1, "number of tokens", Tokens, "at least 1");
        Require(Epochs is null || Positive(Epochs.Value), "number of epochs", Epochs, "a number above 0");
        Require(LearningRate is null || Positive(LearningRate.Value), "learning rate", LearningRate, "a number above 0");
        Require(WarmUpSteps is null or >= 0, "number of warm-up steps", WarmUpSteps, "0 or more");
        Require(Enum.IsDefined(Decay), "decay", Decay, "constant, cosine or linear");
        Require(FinalRate is >= 0 and <= 1, "final rate", FinalRate, "a share from 0 to 1 of the learning rate");
        Require(Beta1 is >= 0 and < 1, "β₁", Beta1, "0 or more, and less than 1");
        Require(Beta2 is >= 0 and < 1, "β₂", Beta2, "0 or more, and less than 1");
        Require(Positive(Epsilon), "ε", Epsilon, "a number above 0");
        Require(NotNegative(WeightDecay), "weight decay", WeightDecay, "0 or more");
        Require(Positive(Clip), "norm at which gradients are clipped", Clip, "a number above 0");
        Require(Balance is null || NotNegative(Balance.Value), "factor of the balance loss", Balance, "0 or more");
        Require(NotNegative(RouterZ), "factor of the router's z-loss", RouterZ, "0 or more");
        Require(Products is null or WeightFormat.F32 or WeightFormat.Bf16, "format of the products", Products, "F32 or Bf16");
        Require(Weights is WeightFormat.F32 or WeightFormat.Bf16, "type of the written weights", Weights, "F32 or Bf16");
        Require(Threads is null or (>= 1 and <= MostThreads), "number of threads", Threads, $"1 to {MostThreads}");
        Require(ValidationShare is >= 0 and <= 0.5, "share of the text that is held out", ValidationShare, "0 to 0.5");
        Require(ValidationTokens >= 0, "number of held-out tokens", ValidationTokens, "0 or more");
        Require(ValidationSteps >= 0, "number of steps between held-out losses", ValidationSteps, "0 or more");
        Require(CheckpointSteps >= 0, "number of steps between checkpoints", CheckpointSteps, "0 or more");
        Require(Positive(CheckpointSeconds), "time between checkpoints", CheckpointSeconds, "a number of seconds above 0");
    }

    /// <summary>The same with all that the model decides.</summary>
    /// <param name="config">The model.</param>
    /// <param name="balance">Its configuration's factor of the balance loss.</param>
    /// <param name="fineTuning">Whether the model has learned before.</param>
    /// <exception cref="ArgumentException">The numbers don't fit together, or not the model; the message says which.</exception>
    internal TrainingOptions For(ModelConfig config, double balance, bool fineTuning)
    {
        Check();
        int context = Context ?? Math.Min(DefaultContext, config.MaxPositions);
        Require(context >= 2, "model's context", context, "at least 2 tokens: a window of one predicts nothing");
        Require(context <= config.MaxPositions, "context", context, $"at most the model's {config.MaxPositions} tokens");
        int passes = checked(Accumulation * Parts), windows = Math.Max(passes, DefaultBatchTokens / context / passes * passes), batch = BatchTokens ?? checked(windows * context);
        Require(batch % context == 0, "batch", batch, $"a multiple of the context, {context} tokens, such as {Math.Max(1, batch / context) * context}");
        Require(batch / context % passes == 0, Parts == 1 ? "accumulation" : "number of passes, of all parts,", passes, $"a divisor of the batch's {batch / context} windows");
        return this with
        {
            Context = context,
            BatchTokens = batch,
            LearningRate = LearningRate ?? (fineTuning ? FineTuningRate : NewRate),
            Balance = Balance ?? balance,
        };
    }

    /// <summary>The same with the length of the run, in steps alone.</summary>
    /// <param name="windows">Windows of an epoch.</param>
    internal TrainingOptions Over(int windows)
    {
        double steps = Steps ?? Math.Ceiling(Tokens is { } tokens ? (double)tokens / BatchTokens!.Value : (Epochs ?? 1) * windows / Windows);
        Require(steps <= MostSteps, "number of steps", steps, $"at most {MostSteps}");
        return this with { Steps = (int)steps, Tokens = null, Epochs = null, WarmUpSteps = WarmUpSteps ?? Math.Min(MostWarmUp, (int)steps / 10) };
    }

    /// <summary>What is added to the cross-entropy.</summary>
    internal LossCoefficients Coefficients() => new((float)Balance!.Value, (float)RouterZ);

    /// <summary>The learning rate of each step.</summary>
    internal LearningRate Rates() => new() { Peak = LearningRate!.Value, Steps = Steps!.Value, WarmUp = WarmUpSteps!.Value, Decay = Decay, Floor = Decay == RateDecay.Constant ? 1 : FinalRate };

    // As many as a command takes: beyond it a typing error would start threads until the system refuses.
    private const int MostThreads = 1024, MostParts = 1024;

    private static bool Positive(double number) => number > 0 && double.IsFinite(number);

    private static bool NotNegative(double number) => number >= 0 && double.IsFinite(number);

    private static void Require(bool holds, string what, object? found, string expected)
    {
        if (!holds)
            throw new ArgumentException(FormattableString.Invariant($"the {what} is {found}, expected {expected}"));
    }
}
