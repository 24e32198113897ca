using DualSparse.Kernels.Memory;
using DualSparse.Models;
using DualSparse.Training.Ops;
using DualSparse.Training.Products;

namespace DualSparse.Training.Layers;

/// <summary>h += attention(norm(h)).</summary>
internal sealed unsafe class AttentionBlock : IBlock
{
    private readonly int hidden, heads, keyValueHeads, size;
    private readonly Norm? queryNorm, keyNorm;
    private readonly bool perHead;
    private readonly Linear query, key, value, output;
    private readonly WindowAttention attention;
    private readonly ScratchBuffer rawQueries = new(), rawKeys = new(), queries = new(), keys = new(), values = new(), attended = new(), logSums = new();

    /// <summary>Takes a layer's tensors.</summary>
    /// <exception cref="NotSupportedException">An operator has no gradient.</exception>
    public AttentionBlock(Arithmetic arithmetic, ParameterSet set, ModelConfig model, int layer)
    {
        var config = model.Attention;
        Refuse(model, layer);
        var tensors = model.Tensors.Layer(layer);
        (hidden, heads, keyValueHeads, size) = (model.HiddenSize, config.Heads, config.KeyValueHeads, config.HeadSize);
        Input = new BlockInput(set, set.Find(tensors.InputNorm));
        perHead = config.QueryKeyNorm == QueryKeyNorm.PerHead;
        queryNorm = set.Find(tensors.Attention.QueryNorm) is { } q ? new Norm(set, q) : null;
        keyNorm = set.Find(tensors.Attention.KeyNorm) is { } k ? new Norm(set, k) : null;
        query = Of(tensors.Attention.Query!, tensors.Attention.QueryBias);
        key = Of(tensors.Attention.Key!, tensors.Attention.KeyBias);
        value = Of(tensors.Attention.Value!, tensors.Attention.ValueBias);
        output = Of(tensors.Attention.Output, tensors.Attention.OutputBias);
        attention = new WindowAttention(arithmetic, heads, keyValueHeads, size, config.SoftmaxScale);

        Linear Of(TensorSpec weight, TensorSpec? bias) => new(arithmetic, set, set.Find(weight), set.Find(bias));
    }

    /// <inheritdoc/>
    public BlockInput Input { get; }

    /// <inheritdoc/>
    public IEnumerable<Linear> Maps => [query, key, value, output];

    /// <inheritdoc/>
    public void Forward(TrainingPass pass, float* h) => Forward(pass, h, h);

    /// <inheritdoc/>
    public void Backward(TrainingPass pass, float* dh) => Backward(pass, dh, dh);

    /// <summary>to += attention(norm(from)).</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="from">[tokens, hidden] f32.</param>
    /// <param name="to">[tokens, hidden] f32; may be <paramref name="from"/> itself.</param>
    public void Forward(TrainingPass pass, float* from, float* to)
    {
        var work = pass.Work;
        int tokens = pass.Tokens;
        nint queryRows = (nint)tokens * heads * size, keyRows = (nint)tokens * keyValueHeads * size;
        float* n = Input.Forward(pass, from), q = queries.Floats(queryRows), k = keys.Floats(keyRows), v = values.Floats(keyRows), o = attended.Floats(queryRows);
        Project(pass, query, queryNorm, rawQueries, n, heads, q);
        Project(pass, key, keyNorm, rawKeys, n, keyValueHeads, k);
        value.Forward(work, n, tokens, v);
        attention.Forward(work, pass.Windows, q, k, v, o, logSums.Floats((nint)tokens * heads));
        output.Forward(work, o, tokens, to, add: true);
    }

    /// <summary>dFrom += the gradient through attention; those of its tensors are added.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="dTo">[tokens, hidden] f32: the gradient of what was added to.</param>
    /// <param name="dFrom">[tokens, hidden] f32; may be <paramref name="dTo"/> itself.</param>
    public void Backward(TrainingPass pass, float* dTo, float* dFrom)
    {
        var work = pass.Work;
        int tokens = pass.Tokens;
        nint queryRows = (nint)tokens * heads * size, keyRows = (nint)tokens * keyValueHeads * size;
        float* dO = pass.Attended.Floats(queryRows), dq = pass.Queries.Floats(queryRows), dk = pass.Keys.Floats(keyRows), dv = pass.Values.Floats(keyRows);
        float* n = Input.Rows, dn = pass.Normalised.Floats((nint)tokens * hidden);
        output.BackwardWeight(work, dTo, attended.Current, tokens);
        output.BackwardInput(work, dTo, tokens, dO, add: false);
        attention.Backward(work, pass.Windows, queries.Current, keys.Current, values.Current, attended.Current, logSums.Current, dO, dq, dk, dv);
        BackwardProject(pass, query, queryNorm, rawQueries, dq, n, heads, dn, add: false);
        BackwardProject(pass, key, keyNorm, rawKeys, dk, n, keyValueHeads, dn, add: true);
        value.BackwardWeight(work, dv, n, tokens);
        value.BackwardInput(work, dv, tokens, dn, add: true);
        Input.Backward(pass, dn, dFrom);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var one in new IDisposable?[] { Input, queryNorm, keyNorm, query, key, value, output, rawQueries, rawKeys, queries, keys, values, attended, logSums })
            one?.Dispose();
    }

    private static void Refuse(ModelConfig model, int layer)
    {
        if (model.Attention.Mla is not null)
            throw new NotSupportedException($"multi-head latent attention has no gradient here: '{model.ModelType}' can't be trained");
        if (model.Attention.ClipQkv is not null)
            throw new NotSupportedException("clipping of queries, keys and values ('clip_qkv') has no gradient here");
        if (model.LayerPlan[layer].SlidingWindow is { } window && window < model.MaxPositions)
            throw new NotSupportedException($"attention with a sliding window ({window} tokens in layer {layer}) has no gradient here");
    }

    // to = rope(norm(map(n))); the norm's input is kept.
    private void Project(TrainingPass pass, Linear map, Norm? norm, ScratchBuffer raw, float* n, int count, float* to)
    {
        float* from = norm is null ? to : raw.Floats((nint)pass.Tokens * count * size);
        map.Forward(pass.Work, n, pass.Tokens, from);
        norm?.Forward(pass, from, perHead ? count : 1, to);
        RopeOp.Forward(pass.Work.Team, pass.Rope, Heads(to, count), pass.Places, count, size);
    }

    private void BackwardProject(TrainingPass pass, Linear map, Norm? norm, ScratchBuffer raw, float* d, float* n, int count, float* dn, bool add)
    {
        RopeOp.Backward(pass.Work.Team, pass.Rope, Heads(d, count), pass.Places, count, size);
        norm?.Backward(pass, d, raw.Current, perHead ? count : 1, d, add: false);
        map.BackwardWeight(pass.Work, d, n, pass.Tokens);
        map.BackwardInput(pass.Work, d, pass.Tokens, dn, add);
    }

    private HeadRows Heads(float* rows, int count) => new(rows, (nint)count * size, size);
}
