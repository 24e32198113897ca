using DualSparse.Models;

namespace DualSparse.Engine;

/// <summary>What an <see cref="Operator"/> does.</summary>
internal enum OperatorKind
{
    /// <summary>to += attention(norm(from)).</summary>
    Attention,

    /// <summary>to += MLP(norm(from)).</summary>
    Dense,

    /// <summary>Routes norm(from) and sends it to the experts.</summary>
    BeginExperts,

    /// <summary>The routed experts compute the rows that were sent.</summary>
    Experts,

    /// <summary>to += shared experts(norm(from)).</summary>
    Shared,

    /// <summary>to += the routed experts' outputs.</summary>
    EndExperts,

    /// <summary>to = from.</summary>
    Copy,
}

/// <summary>One step of the forward pass.</summary>
/// <param name="Kind">What the operator does.</param>
/// <param name="Layer">The layer whose weights it uses.</param>
/// <param name="From">The residual stream that is read.</param>
/// <param name="To">The residual stream that is added to.</param>
internal readonly record struct Operator(OperatorKind Kind, int Layer, int From = 0, int To = 0);

/// <summary>
/// THE forward pass between embedding and head: a list of operators and the loop that runs it. The places of BeginExperts and EndExperts
/// are part of the model; the place of Experts between them is a schedule and changes no bit.
/// </summary>
internal static unsafe class LayerProgram
{
    /// <summary>A layer's operators: x += attention(norm(x)), then x += MLP(norm(x)), or shared and routed experts of norm(x).</summary>
    public static Operator[] Layer(ModelConfig config, int layer)
    {
        if (!config.LayerPlan[layer].IsMoe)
            return [new(OperatorKind.Attention, layer), new(OperatorKind.Dense, layer)];
        Operator[] shared = config.Moe!.SharedIntermediate > 0 ? [new(OperatorKind.Shared, layer)] : [];
        return
        [
            new(OperatorKind.Attention, layer), new(OperatorKind.BeginExperts, layer), new(OperatorKind.Experts, layer),
            .. shared, new(OperatorKind.EndExperts, layer),
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
            var (kind, layer, from, to) = pass.Running = step;
            cancel.ThrowIfCancellationRequested();
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
                    weights.Moe!.Begin(pass, layer, pass.Normalised(from, weights.MlpNorm));
                    continue;
                case OperatorKind.Experts:
                    weights.Moe!.Compute(pass, layer);
                    continue;
                case OperatorKind.Shared:
                    weights.Moe!.Shared(pass, pass.Normalised(from, weights.MlpNorm), y);
                    break;
                case OperatorKind.EndExperts:
                    weights.Moe!.End(pass, layer, y);
                    break;
                case OperatorKind.Copy:
                    nint bytes = (nint)pass.Rows * pass.Hidden * sizeof(float);
                    Buffer.MemoryCopy(pass.Stream(from), y, bytes, bytes);
                    break;
            }

            pass.Wrote(to);
        }
    }
}
