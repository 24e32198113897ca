using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>What an <see cref="Operator"/> does.</summary>
internal enum OperatorKind
{
    /// <summary>to += attention(norm(from)).</summary>
    Attention,

    /// <summary>to += MLP(norm(from)).</summary>
    Dense,

    /// <summary>Routes the normalised input of one of the half layers up to the experts' own, and sends it to them.</summary>
    BeginExperts,

    /// <summary>The routed experts compute the rows that were sent.</summary>
    Experts,

    /// <summary>to += shared experts(norm(from)), weighed where there is a gate.</summary>
    Shared,

    /// <summary>to += the routed experts' outputs; where a gate weighs these too, behind <see cref="Shared"/>.</summary>
    EndExperts,

    /// <summary>to = from.</summary>
    Copy,

    /// <summary>to += a level of the pictures' rows, that of the layer.</summary>
    Pictures,
}

/// <summary>One step of the forward pass.</summary>
/// <param name="Kind">What the operator does.</param>
/// <param name="Layer">The layer whose weights it uses.</param>
/// <param name="From">The residual stream that is read.</param>
/// <param name="To">The residual stream that is added to.</param>
/// <param name="Back">Of BeginExperts: whose norm the rows are behind, in half layers before the experts' own (<see cref="LayerConfig.Shortcut"/>).</param>
/// <param name="Branch">Of the routed experts: 1 for a token's second routing (<see cref="MoeConfig.Dual"/>), else 0.</param>
internal readonly record struct Operator(OperatorKind Kind, int Layer, int From = 0, int To = 0, int Back = 0, int Branch = 0);

/// <summary>Consecutive layers that run together: rows on their way to experts leave none of them.</summary>
/// <param name="First">The first layer.</param>
/// <param name="Count">Layers.</param>
/// <param name="Operators">Theirs.</param>
internal sealed record LayerGroup(int First, int Count, Operator[] Operators);

/// <summary>
/// THE forward pass between embedding and head: a list of operators and the loop that runs it. The places of BeginExperts and EndExperts
/// are part of the model; the place of Experts between them is a schedule and changes no bit.
/// </summary>
internal static unsafe class LayerProgram
{
    /// <summary>
    /// A model's operators, layer by layer: x += attention(norm(x)), then x += MLP(norm(x)), or shared and routed experts. Routed experts begin
    /// where the input that they read is made, and compute where their layer is. With FarSkip the MLP or experts stand before the layer's attention.
    /// Behind the first layers of a model with pictures these are read again.
    /// </summary>
    public static IReadOnlyList<LayerGroup> Groups(ModelConfig config)
    {
        if (config.Wiring == Wiring.FarSkip)
            return [.. Enumerable.Range(0, config.Layers).Select(layer => new LayerGroup(layer, 1, [.. FarSkip(config, layer)]))];
        var begins = Enumerable.Range(0, config.Layers).Where(l => config.LayerPlan[l].IsMoe).ToLookup(l => 2 * l + 1 - config.LayerPlan[l].Shortcut);
        List<LayerGroup> groups = [];
        List<Operator> operators = [];
        int first = 0, open = 0;
        for (int layer = 0; layer < config.Layers; layer++)
        {
            Begin(2 * layer);
            operators.Add(new(OperatorKind.Attention, layer));
            Begin(2 * layer + 1);
            if (config.LayerPlan[layer].IsMoe)
            {
                operators.AddRange(Experts(config.Moe!, layer));
                open--;
            }
            else
            {
                operators.Add(new(OperatorKind.Dense, layer));
            }

            if (layer < config.Vision?.DeepLayers.Count)
                operators.Add(new(OperatorKind.Pictures, layer));
            if (open > 0)
                continue;
            groups.Add(new LayerGroup(first, layer + 1 - first, [.. operators]));
            operators.Clear();
            first = layer + 1;
        }

        return groups;

        void Begin(int place)
        {
            foreach (int layer in begins[place])
            {
                operators.Add(new(OperatorKind.BeginExperts, layer, Back: config.LayerPlan[layer].Shortcut));
                open++;
            }
        }
    }

    /// <summary>All groups' operators.</summary>
    public static Operator[] Of(ModelConfig config) => [.. Groups(config).SelectMany(group => group.Operators)];

    // Stream 0 is whole, stream 1 lacks the routed experts of the layer before. The layer's own attention isn't in what its MLP or experts read.
    private static IEnumerable<Operator> FarSkip(ModelConfig config, int layer)
    {
        bool isMoe = config.LayerPlan[layer].IsMoe;
        if (layer == 0)
            yield return new(OperatorKind.Copy, layer, From: 0, To: 1);
        yield return new(isMoe ? OperatorKind.BeginExperts : OperatorKind.Dense, layer);
        if (isMoe && config.Moe!.SharedIntermediate > 0)
            yield return new(OperatorKind.Shared, layer);
        yield return new(OperatorKind.Attention, layer, From: 1, To: 0);
        yield return new(OperatorKind.Copy, layer, From: 0, To: 1);
        if (!isMoe)
            yield break;
        yield return new(OperatorKind.Experts, layer);
        yield return new(OperatorKind.EndExperts, layer);
    }

    // What follows once the rows of a token's first routing are on their way.
    private static IEnumerable<Operator> Experts(MoeConfig moe, int layer)
    {
        int[] branches = moe.Dual ? [0, 1] : [0];
        Operator[] second = moe.Dual ? [new(OperatorKind.BeginExperts, layer, Branch: 1)] : [], shared = moe.SharedIntermediate > 0 ? [new(OperatorKind.Shared, layer)] : [];
        return
        [
            .. second, .. branches.Select(branch => new Operator(OperatorKind.Experts, layer, Branch: branch)),
            .. shared, .. branches.Select(branch => new Operator(OperatorKind.EndExperts, layer, Branch: branch)),
        ];
    }

    /// <summary>Runs operators in order.</summary>
    /// <param name="program">The operators.</param>
    /// <param name="layers">Returns a layer's weights.</param>
    /// <param name="pass">The rows; their residual streams change.</param>
    /// <param name="cancel">Checked before each operator.</param>
    public static void Run(ReadOnlySpan<Operator> program, Func<int, LayerWeights> layers, Pass pass, CancellationToken cancel)
    {
        foreach (var step in program)
        {
            var (kind, layer, from, to, back, branch) = pass.Running = step;
            cancel.ThrowIfCancellationRequested();
            pass.Clock?.Begin(step);
            // A rank without rows still has experts for those of others.
            if (pass.Rows == 0 && kind is not (OperatorKind.BeginExperts or OperatorKind.Experts or OperatorKind.EndExperts))
                continue;
            var weights = layers(layer);
            float* y = pass.Stream(to);
            switch (kind)
            {
                case OperatorKind.Attention:
                    weights.Attention.Forward(pass, pass.Normalised(from, weights.AttentionNorm), y);
                    break;
                case OperatorKind.Dense:
                    weights.Dense!.Forward(pass, pass.Normalised(from, weights.MlpNorm), y);
                    break;
                case OperatorKind.BeginExperts:
                    int place = 2 * layer + 1 - back;
                    var read = layers(place / 2);
                    weights.Moe!.Begin(pass, layer, branch, pass.Normalised(from, place % 2 == 0 ? read.AttentionNorm : read.MlpNorm));
                    continue;
                case OperatorKind.Experts:
                    weights.Moe!.Compute(pass, layer, branch);
                    continue;
                case OperatorKind.Shared:
                    weights.Moe!.Shared(pass, pass.Normalised(from, weights.MlpNorm), y);
                    break;
                case OperatorKind.EndExperts:
                    weights.Moe!.End(pass, layer, y, branch);
                    break;
                case OperatorKind.Pictures:
                    pass.ReadPictures(1 + layer, y);
                    break;
                case OperatorKind.Copy:
                    nint bytes = (nint)pass.Rows * pass.Hidden * sizeof(float);
                    Buffer.MemoryCopy(pass.Stream(from), y, bytes, bytes);
                    break;
            }

            pass.Wrote(to);
        }

        pass.Clock?.End();
    }
}
