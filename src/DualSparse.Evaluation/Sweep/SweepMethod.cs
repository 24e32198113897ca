using DualSparse.Engine;

namespace DualSparse.Evaluation.Sweep;

/// <summary>Which neurons make up the major halves.</summary>
internal enum NeuronHalves
{
    /// <summary>The checkpoint's own.</summary>
    Own,

    /// <summary>The model's that it was made from, as that was stored.</summary>
    Original,

    /// <summary>Of random orders, one by expert.</summary>
    Random,

    /// <summary>Those that the checkpoint has in its minor halves.</summary>
    Reversed,
}

/// <summary>One way to leave work out, with a dial for how much.</summary>
/// <param name="Name">As the command line names it; of random orders the seed is added.</param>
/// <param name="Description">What it does, in a few words.</param>
/// <param name="At">The rule at a place of the dial, from 0 to 1, for a text whose gating scores are known; its drop rate rises with the dial.</param>
/// <param name="Halves">Whose major halves are computed.</param>
/// <param name="Seed">Of <see cref="NeuronHalves.Random"/>.</param>
internal sealed record SweepMethod(
    string Name, string Description, Func<GatingPlans, double, DropRequest> At, NeuronHalves Halves = NeuronHalves.Own, int Seed = 0)
{
    /// <summary>Which neuron comes to each place of an expert of a layer; null: as the checkpoint has them.</summary>
    /// <param name="neurons">F.</param>
    public Func<int, int, int[]>? Order(int neurons) => Halves switch
    {
        NeuronHalves.Reversed => (_, _) => [.. Enumerable.Range(0, neurons).Reverse()],
        NeuronHalves.Random => (layer, expert) => Shuffled(neurons, new Random(HashOf(Seed, layer, expert))),
        _ => null,
    };

    private static int[] Shuffled(int neurons, Random random)
    {
        int[] order = [.. Enumerable.Range(0, neurons)];
        random.Shuffle(order);
        return order;
    }

    // Any numbers will do as long as they differ: a million experts a layer, a thousand layers a seed.
    private static int HashOf(int seed, int layer, int expert) => unchecked((seed * 1_000 + layer) * 1_000_003 + expert);
}
