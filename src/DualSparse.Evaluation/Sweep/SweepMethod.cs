using DualSparse.Engine;

namespace DualSparse.Evaluation.Sweep;

/// <summary>Which neurons make up the major halves.</summary>
internal enum NeuronHalves
{
    /// <summary>The checkpoint's own.</summary>
    Own,

    /// <summary>Those of the original model, in its stored order.</summary>
    Original,

    /// <summary>Random orders, one for each expert.</summary>
    Random,

    /// <summary>The checkpoint's minor halves.</summary>
    Reversed,
}

/// <summary>A method of dropping work, with a dial for the amount.</summary>
/// <param name="Name">Its name on the command line; random orders add the seed.</param>
/// <param name="Description">What it does, in a few words.</param>
/// <param name="At">The rule at a dial from 0 to 1, for a text whose gating scores are known; its drop rate increases with the dial.</param>
/// <param name="Halves">Which neurons make up the major halves.</param>
/// <param name="Seed">The seed of <see cref="NeuronHalves.Random"/>.</param>
internal sealed record SweepMethod(
    string Name, string Description, Func<GatingPlans, double, DropRequest> At, NeuronHalves Halves = NeuronHalves.Own, int Seed = 0)
{
    /// <summary>By layer and expert, the neuron at each position; null: the checkpoint's order.</summary>
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

    // Distinct for up to a million experts a layer and a thousand layers a seed.
    private static int HashOf(int seed, int layer, int expert) => unchecked((seed * 1_000 + layer) * 1_000_003 + expert);
}
