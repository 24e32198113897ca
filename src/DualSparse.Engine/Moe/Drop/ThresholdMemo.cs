namespace DualSparse.Engine.Moe.Drop;

/// <summary>
/// The thresholds of tokens that are routed twice: those that the first routing was given, so that what is dropped of the second doesn't depend
/// on how a text is cut into passes. Only the first is observed.
/// </summary>
internal sealed class ThresholdMemo
{
    private readonly List<DropThresholds[]> tokens = [];
    private int next;

    /// <summary>The source that writes down what another gives; it begins anew.</summary>
    public void Clear() => tokens.Clear();

    /// <summary>Another source, whose thresholds are written down.</summary>
    public IThresholdSource Recording(IThresholdSource source) => new Recorder(this, source);

    /// <summary>What was written down, from the first token on.</summary>
    public IThresholdSource Replayed()
    {
        next = 0;
        return new Player(this);
    }

    private sealed class Recorder(ThresholdMemo memo, IThresholdSource source) : IThresholdSource
    {
        public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
        {
            var thresholds = source.Next(rule, experts, scores);
            memo.tokens.Add([.. thresholds]);
            return thresholds;
        }

        public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) => source.Observe(rule, experts, scores);
    }

    private sealed class Player(ThresholdMemo memo) : IThresholdSource
    {
        public ReadOnlySpan<DropThresholds> Next(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores) => memo.tokens[memo.next++];

        public void Observe(LayerRule rule, ReadOnlySpan<int> experts, ReadOnlySpan<float> scores)
        {
            // The first routing's scores have been observed.
        }
    }
}
