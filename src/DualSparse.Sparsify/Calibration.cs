using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Models;

namespace DualSparse.Sparsify;

/// <summary>Runs text through a model and collects its routed experts' neuron importance and gating scores, layer by layer.</summary>
internal sealed class Calibration
{
    private Calibration(IReadOnlyList<NeuronImportance?> importance, IReadOnlyList<ScoreHistogram?> scores, int windows, long tokens) =>
        (Importance, Scores, Windows, Tokens) = (importance, scores, windows, tokens);

    /// <summary>The importance by layer; null where a layer has no routed experts.</summary>
    public IReadOnlyList<NeuronImportance?> Importance { get; }

    /// <summary>By layer, the normalised gating scores ŝ; null where there is no router.</summary>
    public IReadOnlyList<ScoreHistogram?> Scores { get; }

    /// <summary>The number of windows.</summary>
    public int Windows { get; }

    /// <summary>The number of tokens in them.</summary>
    public long Tokens { get; }

    /// <summary>Runs the windows, each as a separate text, without a drop; one layer at a time is in memory.</summary>
    /// <param name="stream">The model.</param>
    /// <param name="windows">Token ids, none longer than the model's context.</param>
    /// <param name="progress">Receives the share done, from 0 to 1.</param>
    /// <param name="cancel">Cancels between two windows of a layer.</param>
    /// <exception cref="ArgumentException">There is no window, an id is outside the vocabulary, or the model has no routed experts.</exception>
    /// <exception cref="ModelFormatException">A weight can't be read, or a layer is larger than the memory that is free.</exception>
    public static Calibration Run(
        LayerStream stream, IReadOnlyList<int[]> windows, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        if (windows.Count == 0)
            throw new ArgumentException("there is no text to calibrate on");
        if (stream.Config.Moe is not { } moe)
            throw new ArgumentException("the model has no routed experts, so there is nothing to calibrate");
        var plan = stream.Config.LayerPlan;
        NeuronImportance?[] importance = [.. plan.Select(l => l.IsMoe ? new NeuronImportance(moe.Experts, moe.Intermediate) : null)];
        ScoreHistogram?[] scores = [.. plan.Select(l => l.IsMoe ? new ScoreHistogram() : null)];
        var hooks = new StreamHooks
        {
            Watch = _ => new PassWatch { Neurons = (layer, _) => importance[layer]!.Add, Routed = (layer, routing) => scores[layer]!.Add(routing) },
        };
        stream.Run(windows, [stream.Plan(DropRequest.None)], hooks, progress, cancel);
        return new Calibration(importance, scores, windows.Count, windows.Sum(w => (long)w.Length));
    }
}
