using DualSparse.Engine;
using DualSparse.Engine.Moe;

namespace DualSparse.Sparsify;

/// <summary>Runs text through a model and keeps what its routed experts did: neurons' importance and gating scores, layer by layer.</summary>
public sealed class Calibration
{
    private Calibration(IReadOnlyList<NeuronImportance?> importance, IReadOnlyList<ScoreHistogram?> scores, int windows, long tokens) =>
        (Importance, Scores, Windows, Tokens) = (importance, scores, windows, tokens);

    /// <summary>By layer; null where it has no routed experts.</summary>
    public IReadOnlyList<NeuronImportance?> Importance { get; }

    /// <summary>By layer, the normalised gating scores ŝ; null where there is no router.</summary>
    public IReadOnlyList<ScoreHistogram?> Scores { get; }

    /// <summary>Windows of text.</summary>
    public int Windows { get; }

    /// <summary>Tokens in them.</summary>
    public long Tokens { get; }

    /// <summary>Runs the windows, each as a text of its own, with nothing dropped.</summary>
    /// <param name="model">The model; its drop rule must be none.</param>
    /// <param name="windows">Token ids, none longer than the model's context.</param>
    /// <param name="progress">Told the share of windows done.</param>
    /// <param name="cancel">Ends it between two windows.</param>
    /// <exception cref="ArgumentException">There is no window, an id is outside the vocabulary, or the model drops or has no routed experts.</exception>
    public static Calibration Run(
        Transformer model, IReadOnlyList<int[]> windows, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        if (windows.Count == 0)
            throw new ArgumentException("there is no text to calibrate on");
        if (model.Config.Moe is not { } moe)
            throw new ArgumentException("the model has no routed experts, so there is nothing to calibrate");
        if (!model.Drop.IsNone)
            throw new ArgumentException("calibration needs a model that drops nothing");
        var layers = model.MoeLayers;
        var importance = new NeuronImportance?[layers.Count];
        var scores = new ScoreHistogram?[layers.Count];
        for (int l = 0; l < layers.Count; l++)
        {
            if (!model.Config.LayerPlan[l].IsMoe)
                continue;
            var sums = importance[l] = new NeuronImportance(moe.Experts, moe.Intermediate);
            scores[l] = new ScoreHistogram();
            layers[l].Observer = sums.Add;
        }

        long tokens = 0;
        try
        {
            for (int w = 0; w < windows.Count; w++)
            {
                cancel.ThrowIfCancellationRequested();
                using var cache = model.NewCache(windows[w].Length);
                model.Forward(cache, windows[w], LogitRows.None);
                for (int l = 0; l < layers.Count; l++)
                    scores[l]?.Add(layers[l].Plan);
                tokens += windows[w].Length;
                progress?.Report((w + 1.0) / windows.Count);
            }
        }
        finally
        {
            foreach (var layer in layers)
                layer.Observer = null;
        }

        return new Calibration(importance, scores, windows.Count, tokens);
    }
}
