using System.Runtime.InteropServices;
using DualSparse.Engine.Vision;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Training.Layers;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;
using DualSparse.Training.Ranks;
using DualSparse.Training.Vision;
using Operator = DualSparse.Engine.Operator;
using OperatorKind = DualSparse.Engine.OperatorKind;

namespace DualSparse.Training;

/// <summary>A model with gradients: a forward pass that keeps what the backward pass needs, and that.</summary>
/// <remarks>Results depend on the batch, the values and the kernel, and on no number of threads.</remarks>
internal sealed unsafe class TrainableModel : IDisposable
{
    // Floats of the logits that are there at a time: 16 MiB.
    private const int LogitsAtOnce = 4 << 20;

    private readonly TrainingWork work;
    private readonly TrainingPass pass;
    private readonly List<IBlock> blocks = [];
    private readonly List<LayerPair> layers = [];
    private readonly FarSkipStreams? streams;
    private readonly PictureTokens? pictures;
    private readonly Parameter embedding;
    private readonly Norm finalNorm;
    private readonly Linear head;
    private readonly ScratchBuffer residual = new(), normalised = new(), gradient = new(), logits = new(), chosen = new(), chosenGradient = new();
    private readonly bool ranked;
    private readonly PassSchedule? schedule;
    private bool packed;

    /// <summary>Makes a model whose values are zero.</summary>
    /// <param name="config">The model.</param>
    /// <param name="team">The threads, which stay the caller's.</param>
    /// <param name="products">In what products are computed.</param>
    /// <param name="parts">Into how many parts a step is cut, and which this process computes; null: the whole.</param>
    /// <exception cref="NotSupportedException">An operator of the model has no gradient; the message names it.</exception>
    /// <exception cref="OutOfMemoryException">There is no room.</exception>
    public TrainableModel(ModelConfig config, ThreadTeam team, ProductFormat products, TrainingParts? parts = null)
    {
        parts ??= TrainingParts.Whole;
        (Config, ranked) = (config, parts.Group is not null);
        Parameters = new ParameterSet(config, parts);
        work = new TrainingWork(team, new Arithmetic(products));
        var axes = config.Rope.GridSections is { } sections ? GridRotation.Axes(sections) : null;
        pass = new TrainingPass(work, new Rope(config.Rope.InverseFrequencies(), config.Rope.AttentionFactor, config.Rope.Interleaved, axes), config.NormEpsilon);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            var attention = new AttentionBlock(work.Arithmetic, Parameters, config, layer);
            blocks.Add(attention);
            int back = config.LayerPlan[layer].Shortcut;
            IMlpBlock mlp = config.LayerPlan[layer].IsMoe
                ? new MoeBlock(work, Parameters, config, layer, back == 0 ? null : blocks[^back].Input, parts)
                : new DenseBlock(work.Arithmetic, Parameters, config, layer);
            blocks.Add(mlp);
            layers.Add(new LayerPair(attention, mlp));
        }

        streams = config.Wiring == Wiring.FarSkip ? new FarSkipStreams(layers, config.HiddenSize) : null;
        if (streams is not null && config.Vision is not null)
            throw new NotSupportedException("a vision tower behind two streams ('wiring' is 'farskip') has no gradient here");
        pictures = config.Vision is { } vision ? new PictureTokens(work, Parameters, config, vision) : null;
        schedule = streams is null ? PassSchedule.Of(config, parts.Group) : null;
        embedding = Parameters.Find(config.Tensors.Embedding);
        finalNorm = new Norm(Parameters, Parameters.Find(config.Tensors.FinalNorm));
        head = new Linear(work.Arithmetic, Parameters, Parameters.Find(config.Tensors.Head));
    }

    /// <summary>The model.</summary>
    public ModelConfig Config { get; }

    /// <summary>Its tensors. Who changes values calls <see cref="ValuesChanged"/>.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>Where experts compute over ranks; null: nothing may move.</summary>
    public PassSchedule? Schedule => schedule;

    /// <summary>The threads.</summary>
    public ThreadTeam Team => work.Team;

    /// <summary>The kernel that multiplies and the form of its operands, such as <c>avx512 f32</c>: a run goes on to the bit only with the same one.</summary>
    public string Kernel => work.Arithmetic.Name;

    /// <summary>In what products are computed.</summary>
    public Arithmetic Arithmetic => work.Arithmetic;

    private IEnumerable<MoeBlock> MoeBlocks => blocks.OfType<MoeBlock>();

    private int Merge => Config.Vision?.Merge ?? 1;

    /// <summary>Floating-point operations of a forward and a backward pass: two a multiply-add of every product, the backward pass twice the forward one.</summary>
    public double Operations(WindowBatch batch)
    {
        double maps = blocks.SelectMany(block => block.Maps).Sum(map => (double)map.Inputs * map.Outputs);
        double experts = MoeBlocks.Count() * (double)(Config.Moe?.ExpertsPerToken ?? 0) * 3 * Config.HiddenSize * (Config.Moe?.Intermediate ?? 0);
        // A query sees half of its window on average; scores and sums.
        double attention = (double)Config.Layers * Config.Attention.Heads * Config.Attention.HeadSize * (batch.Length + 1);
        double logits = (double)head.Inputs * head.Outputs * batch.Targets.Count(target => target >= 0);
        return 3 * (2 * (batch.Tokens * (maps + experts + attention) + logits) + (pictures?.Operations(batch) ?? 0));
    }

    /// <summary>Sets all gradients to 0.</summary>
    public void ClearGradients()
    {
        Parameters.ClearGradients(work.Team);
        foreach (var block in MoeBlocks)
            block.Experts.ClearParts(work.Team);
    }

    /// <summary>Adds the gradients that other ranks' rows gave the experts here, in the order of ranks.</summary>
    public void AddParts()
    {
        foreach (var block in MoeBlocks)
            block.Experts.AddParts(work.Team);
    }

    /// <summary>The values are new: what is derived from them is made anew before the next pass.</summary>
    public void ValuesChanged() => packed = false;

    /// <summary>Computes the losses of a batch, and adds the gradient of <c>scale · losses.Total(coefficients)</c> to <see cref="ParameterSet.Gradients"/>.</summary>
    /// <param name="batch">The windows.</param>
    /// <param name="coefficients">What is added to the cross-entropy.</param>
    /// <param name="scale">Of the gradient: 1 / batches where several are accumulated.</param>
    /// <param name="teacher">[windows · length, vocabulary] another model's logits: the loss is their mean KL divergence, KL(teacher ‖ model), instead of the cross-entropy; null: the cross-entropy.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, or a window longer than the context.</exception>
    public Losses Backward(WindowBatch batch, LossCoefficients coefficients, float scale = 1, float[]? teacher = null)
    {
        schedule?.Begin(pass);
        float* h = ForwardLayers(batch);
        nint size = (nint)batch.Tokens * Config.HiddenSize;
        float* dh = gradient.Floats(size);
        var losses = Head(batch, h, dh, scale, logits: null, teacher);
        finalNorm.Backward(pass, dh, h, 1, dh, add: false);
        var (balance, z) = Balance();
        int router = 0;
        foreach (var branch in MoeBlocks.SelectMany(block => block.Branches))
        {
            branch.Balance = balance!.Gradient(router++, scale * coefficients.Balance);
            branch.RouterZ = scale * coefficients.RouterZ / (batch.Tokens * (float)pass.Routers.Count);
        }

        pass.IsBackward = true;
        streams?.Backward(pass, dh);
        for (int b = streams is null ? blocks.Count - 1 : -1; b >= 0; b--)
        {
            if (b % 2 == 1)
                pictures?.BackwardAdd(batch, b / 2, dh);
            var step = Step(b);
            pass.Clock?.Begin(step);
            blocks[b].Backward(pass, dh);
            // The block whose input they read has had them compute before it ended.
            foreach (int layer in Behind(place => place.Backward, step).Where(layer => b != 2 * layer + 1 - Config.LayerPlan[layer].Shortcut))
                Moe(layer).ComputeBackward(pass);
        }

        pass.Clock?.End();
        schedule?.End(pass);
        pictures?.BackwardEmbed(batch, dh);
        EmbeddingOp.Backward(work.Team, dh, batch.Inputs, Config.HiddenSize, Parameters.Gradients + embedding.Offset);
        return losses with { Balance = balance?.Value ?? 0, RouterZ = z };
    }

    /// <summary>Computes the losses of a batch alone.</summary>
    /// <param name="batch">The windows.</param>
    /// <param name="logits">[windows · length, vocabulary] to fill; null: they aren't wanted.</param>
    /// <exception cref="ArgumentException">An id is outside the vocabulary, or a window longer than the context.</exception>
    public Losses Forward(WindowBatch batch, float[]? logits = null)
    {
        float* h = ForwardLayers(batch);
        var losses = Head(batch, h, null, 0, logits, teacher: null);
        var (balance, z) = Balance();
        return losses with { Balance = balance?.Value ?? 0, RouterZ = z };
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach (var block in blocks)
            block.Dispose();
        foreach (var one in new IDisposable?[] { streams, pictures, finalNorm, head, residual, normalised, gradient, logits, chosen, chosenGradient, pass, work, Parameters })
            one?.Dispose();
    }

    private float* ForwardLayers(WindowBatch batch)
    {
        Check(batch);
        if (!packed)
            Pack();
        pass.Begin(batch.Texts, batch.Places(Merge));
        float* h = residual.Floats((nint)batch.Tokens * Config.HiddenSize);
        EmbeddingOp.Forward(work.Team, Parameters.Values + embedding.Offset, batch.Inputs, Config.HiddenSize, h);
        pictures?.Embed(batch, h);
        foreach (var (layer, place) in schedule?.Places ?? [])
            (Moe(layer).ForwardPlace, Moe(layer).BackwardPlace) = (place.Forward.Kind, place.Backward.Kind);
        streams?.Forward(pass, h);
        for (int b = 0; b < blocks.Count && streams is null; b++)
        {
            var step = Step(b);
            pass.Clock?.Begin(step);
            blocks[b].Forward(pass, h);
            foreach (int layer in Behind(place => place.Forward, step))
                Moe(layer).Compute(pass);
            if (b % 2 == 1)
                pictures?.Add(batch, b / 2, h);
        }

        pass.Clock?.End();
        return h;
    }

    private static Operator Step(int block) => new(block % 2 == 0 ? OperatorKind.Attention : OperatorKind.Dense, block / 2);

    private MoeBlock Moe(int layer) => (MoeBlock)blocks[2 * layer + 1];

    // The layers whose experts compute behind a block, by the schedule.
    private int[] Behind(Func<(Operator Forward, Operator Backward), Operator> of, Operator step) =>
        schedule is null ? [] : [.. schedule.Places.Where(pair => of(pair.Value) == step).Select(pair => pair.Key)];

    private void Pack()
    {
        foreach (var map in blocks.SelectMany(block => block.Maps).Concat(pictures?.Maps ?? []))
            map.Pack(work);
        foreach (var block in MoeBlocks)
            block.Experts.Pack(work);
        head.Pack(work);
        packed = true;
    }

    // Some tokens' logits at a time: they are the largest rows there are. dh: null, or receives the gradient of the final norm's output.
    private Losses Head(WindowBatch batch, float* h, float* dh, float scale, float[]? logits, float[]? teacher)
    {
        int hidden = Config.HiddenSize, vocabulary = Config.VocabSize;
        int targets = batch.Targets.Count(target => target >= 0);
        // Tokens that predict nothing need no logits, unless somebody asks for them.
        int[]? places = logits is null && teacher is null && targets < batch.Tokens ? [.. batch.Targets.Index().Where(one => one.Item >= 0).Select(one => one.Index)] : null;
        int[] wanted = places is null ? batch.Targets : [.. places.Select(place => batch.Targets[place])];
        int rowCount = wanted.Length, together = Math.Min(Math.Max(1, rowCount), Math.Max(Product.Block, LogitsAtOnce / vocabulary / Product.Block * Product.Block));
        float* n = normalised.Floats((nint)batch.Tokens * hidden), rows = this.logits.Floats((nint)together * vocabulary), dn = dh;
        finalNorm.Forward(pass, h, 1, n);
        if (places is not null)
        {
            float* some = chosen.Floats((nint)rowCount * hidden);
            EmbeddingOp.Forward(work.Team, n, places, hidden, some);
            n = some;
            dn = dh is null ? null : chosenGradient.Floats((nint)rowCount * hidden);
        }

        double loss = 0;
        for (int first = 0; first < rowCount; first += together)
        {
            int count = Math.Min(together, rowCount - first);
            float* some = n + (nint)first * hidden;
            head.Forward(work, some, count, rows);
            if (logits is not null)
                new ReadOnlySpan<float>(rows, count * vocabulary).CopyTo(logits.AsSpan(first * vocabulary));
            var ids = wanted.AsMemory(first, count);
            if (dh is null)
            {
                loss += CrossEntropy.Forward(work.Team, rows, vocabulary, ids);
                continue;
            }

            loss += teacher is null
                ? CrossEntropy.Backward(work.Team, rows, vocabulary, ids, scale / Math.Max(1, targets))
                : Distillation.Backward(work.Team, rows, vocabulary, teacher.AsMemory(first * vocabulary, count * vocabulary), ids, scale / Math.Max(1, targets));
            head.BackwardWeight(work, rows, some, count);
            head.BackwardInput(work, rows, count, dn + (nint)first * hidden, add: false);
        }

        if (places is not null && dh is not null)
        {
            NativeMemory.Clear(dh, (nuint)batch.Tokens * (nuint)hidden * sizeof(float));
            EmbeddingOp.Backward(work.Team, dn, places, hidden, dh);
        }

        return new Losses(loss / Math.Max(1, targets), 0, 0, targets);
    }

    private (BalanceLoss? Loss, double RouterZ) Balance()
    {
        if (pass.Routers.Count == 0)
            return (null, 0);
        var rule = Config.Moe!.BalancesEachLayer ? BalanceRule.EachLayer : BalanceRule.AllLayers;
        return (new BalanceLoss(rule, pass.Routers, Config.Moe.TopK), pass.Routers.Sum(r => r.SquaredLogSums / r.Tokens) / pass.Routers.Count);
    }

    private void Check(WindowBatch batch)
    {
        // A rank with no windows of its own computes others' rows.
        if (batch.Windows < (ranked ? 0 : 1) || batch.Length < 1 || batch.Length > Config.MaxPositions)
            throw new ArgumentException($"expected at least one window of 1 to {Config.MaxPositions} tokens, found {batch.Windows} of {batch.Length}");
        if (batch.Inputs.Length != batch.Tokens || batch.Targets.Length != batch.Tokens)
            throw new ArgumentException($"expected {batch.Tokens} inputs and targets, found {batch.Inputs.Length} and {batch.Targets.Length}");
        RequireInVocabulary(batch.Inputs, least: 0);
        RequireInVocabulary(batch.Targets, least: int.MinValue);
        PictureTokens.Check(batch, Config);
    }

    private void RequireInVocabulary(int[] ids, int least)
    {
        int wrong = Array.FindIndex(ids, id => id < least || id >= Config.VocabSize);
        if (wrong >= 0)
            throw new ArgumentException($"the token id {ids[wrong]} is outside the vocabulary of {Config.VocabSize}");
    }
}
