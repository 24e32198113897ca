using DualSparse.Models;

namespace DualSparse.Training.Checking;

/// <summary>The tensors behind a name in an oracle's file: one, or all experts' matrices in a row.</summary>
/// <param name="Shape">The shape that the oracle's tensor must have.</param>
/// <param name="Parts">Whose elements follow one another there.</param>
internal sealed record OracleSlot(long[] Shape, IReadOnlyList<Parameter> Parts);

/// <summary>
/// What oracles call a model's tensors: as its checkpoint does, or as transformers holds them in memory, where a layer's experts are two
/// tensors and the router is <c>mlp.gate</c> in every family.
/// </summary>
internal sealed class OracleNames
{
    // The block that transformers 5 has in memory, whatever the checkpoint calls it.
    private const string InMemory = "mlp";

    private readonly Dictionary<string, OracleSlot> slots = new(StringComparer.Ordinal);

    /// <summary>Lists the names.</summary>
    /// <param name="config">The model, each expert with tensors of its own.</param>
    /// <param name="parameters">Its tensors.</param>
    public OracleNames(ModelConfig config, ParameterSet parameters)
    {
        foreach (var parameter in parameters.All)
            slots.Add(parameter.Name, new OracleSlot(parameter.Shape, [parameter]));
        if (config.TieEmbeddings)
            slots.TryAdd(config.Names.Head, slots[config.Tensors.Embedding.Name]);
        for (int l = 0; l < config.Layers; l++)
        {
            if (!config.LayerPlan[l].IsMoe)
                continue;
            var layer = config.Tensors.Layer(l);
            foreach (string block in new[] { InMemory, config.Names.Moe })
                AddFused($"{config.Names.Root}layers.{l}.{block}.", layer, config.Moe!, config.HiddenSize, parameters);
        }
    }

    /// <summary>The tensors that a name means; null where the model has none of that name.</summary>
    public OracleSlot? Find(string name) => slots.GetValueOrDefault(name);

    private void AddFused(string prefix, LayerTensors layer, MoeConfig moe, int hidden, ParameterSet parameters)
    {
        var experts = Enumerable.Range(0, moe.Experts).Select(layer.Expert).ToArray();
        slots.TryAdd(prefix + "experts.gate_up_proj", new OracleSlot(
            [moe.Experts, 2 * moe.Intermediate, hidden], [.. experts.SelectMany(e => new[] { parameters.Find(e.Gate.Tensor), parameters.Find(e.Up.Tensor) })]));
        slots.TryAdd(prefix + "experts.down_proj", new OracleSlot([moe.Experts, hidden, moe.Intermediate], [.. experts.Select(e => parameters.Find(e.Down.Tensor))]));
        var router = parameters.Find(layer.Router!);
        slots.TryAdd(prefix + "gate.weight", new OracleSlot(router.Shape, [router]));
    }
}
