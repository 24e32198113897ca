namespace DualSparse.Models;

/// <summary>The tensors of one layer; a null is a tensor that the model doesn't have.</summary>
internal sealed class LayerTensors
{
    private readonly ModelConfig model;
    private readonly MoeConfig? moe;
    private readonly string prefix;
    private readonly string moePrefix;
    private readonly TensorSpec[]? stacked;

    internal LayerTensors(ModelConfig model, int layer)
    {
        this.model = model;
        prefix = $"{model.Names.Root}layers.{layer}.";
        moePrefix = $"{prefix}{model.Names.Moe}.";
        int hidden = model.HiddenSize;
        InputNorm = new(prefix + "input_layernorm.weight", hidden);
        PostAttentionNorm = new(prefix + "post_attention_layernorm.weight", hidden);
        Attention = new AttentionTensors(model.Attention, hidden, prefix + "self_attn.");
        var plan = model.LayerPlan[layer];
        if (!plan.IsMoe)
        {
            Mlp = Gated(prefix + "mlp", "gate_proj", "up_proj", "down_proj", plan.DenseIntermediate);
            return;
        }

        moe = model.Moe!;
        Router = new(moePrefix + "gate.weight", moe.Experts, hidden);
        if (model.Names.Experts == ExpertStorage.Stacked)
        {
            string list = $"{moePrefix}{model.Names.ExpertList}.";
            stacked =
            [
                new($"{list}{model.Names.ExpertGate}.weight", moe.Experts, moe.Intermediate, hidden),
                new($"{list}{model.Names.ExpertUp}.weight", moe.Experts, moe.Intermediate, hidden),
                new($"{list}{model.Names.ExpertDown}.weight", moe.Experts, hidden, moe.Intermediate),
            ];
        }
        else if (model.Names.Experts != ExpertStorage.Separate)
        {
            int gateUp = 2 * moe.Intermediate, down = moe.Intermediate;
            ExpertsGateUp = Transposed ? new(GateUpName, moe.Experts, hidden, gateUp) : new(GateUpName, moe.Experts, gateUp, hidden);
            ExpertsDown = Transposed ? new(DownName, moe.Experts, down, hidden) : new(DownName, moe.Experts, hidden, down);
        }

        if (moe.SharedIntermediate > 0)
            SharedExpert = Gated(moePrefix + model.Names.SharedExpert, "gate_proj", "up_proj", "down_proj", moe.SharedIntermediate);
        if (moe.Combine != Models.CombineGate.None)
            CombineGate = new($"{moePrefix}{model.Names.CombineGate}.weight", moe.Combine == Models.CombineGate.Both ? 2 : 1, hidden);
    }

    /// <summary>The norm before attention, [hidden].</summary>
    public TensorSpec InputNorm { get; }

    /// <summary>The norm before the MLP or the experts, [hidden].</summary>
    public TensorSpec PostAttentionNorm { get; }

    /// <summary>Attention's tensors.</summary>
    public AttentionTensors Attention { get; }

    /// <summary>The dense MLP, where the layer has one instead of experts.</summary>
    public MlpTensors? Mlp { get; }

    /// <summary>The router, [experts, hidden].</summary>
    public TensorSpec? Router { get; }

    /// <summary>The shared expert.</summary>
    public MlpTensors? SharedExpert { get; }

    /// <summary>What weighs the shared expert, [1, hidden]; or shared and routed experts, [2, hidden].</summary>
    public TensorSpec? CombineGate { get; }

    /// <summary>
    /// Gate and up of all routed experts, where they are fused: [experts, 2 · neurons, hidden], an expert's gate rows before its up rows,
    /// or the transpose [experts, hidden, 2 · neurons].
    /// </summary>
    public TensorSpec? ExpertsGateUp { get; }

    /// <summary>Down of all routed experts, where they are fused: [experts, hidden, neurons], or the transpose [experts, neurons, hidden].</summary>
    public TensorSpec? ExpertsDown { get; }

    private string GateUpName => $"{moePrefix}{model.Names.ExpertList}.gate_up_proj";

    private string DownName => $"{moePrefix}{model.Names.ExpertList}.down_proj";

    private bool Transposed => model.Names.Experts == ExpertStorage.FusedTransposed;

    /// <summary>One routed expert.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The layer has no such expert.</exception>
    public MlpTensors Expert(int expert)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expert);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(expert, moe?.Experts ?? 0);
        var names = model.Names;
        int neurons = moe!.Intermediate;
        if (stacked is [var gates, var ups, var downs])
            return new MlpTensors(WeightSlice.Of(gates, expert), WeightSlice.Of(ups, expert), WeightSlice.Of(downs, expert));
        if (ExpertsGateUp is null)
            return Gated($"{moePrefix}{names.ExpertList}.{expert}", names.ExpertGate, names.ExpertUp, names.ExpertDown, neurons);
        var gateUp = WeightSlice.Of(ExpertsGateUp, expert, Transposed);
        return new MlpTensors(gateUp.RowRange(0, neurons), gateUp.RowRange(neurons, neurons), WeightSlice.Of(ExpertsDown!, expert, Transposed));
    }

    /// <summary>All of them, each once.</summary>
    public IEnumerable<TensorSpec> All()
    {
        yield return InputNorm;
        foreach (var tensor in Attention.All())
            yield return tensor;
        yield return PostAttentionNorm;
        if (Router is not null)
            yield return Router;
        if (CombineGate is not null)
            yield return CombineGate;
        if (ExpertsGateUp is not null)
            yield return ExpertsGateUp;
        if (ExpertsDown is not null)
            yield return ExpertsDown;
        foreach (var tensor in stacked ?? [])
            yield return tensor;
        var experts = Enumerable.Range(0, ExpertsGateUp is null && stacked is null ? moe?.Experts ?? 0 : 0).Select(Expert);
        foreach (var mlp in new[] { Mlp, SharedExpert }.OfType<MlpTensors>().Concat(experts))
        {
            yield return mlp.Gate.Tensor;
            yield return mlp.Up.Tensor;
            yield return mlp.Down.Tensor;
        }
    }

    private MlpTensors Gated(string block, string gate, string up, string down, int neurons) => new(
        WeightSlice.Of(new TensorSpec($"{block}.{gate}.weight", neurons, model.HiddenSize)),
        WeightSlice.Of(new TensorSpec($"{block}.{up}.weight", neurons, model.HiddenSize)),
        WeightSlice.Of(new TensorSpec($"{block}.{down}.weight", model.HiddenSize, neurons)));
}
