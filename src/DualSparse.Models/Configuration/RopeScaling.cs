namespace DualSparse.Models;

/// <summary>A rule that changes RoPE's frequencies so that positions beyond the trained context stay usable.</summary>
internal abstract record RopeScaling
{
    private RopeScaling()
    {
    }

    /// <summary>What cosines and sines are multiplied with.</summary>
    internal virtual double AttentionFactor => 1;

    /// <summary>The positions that the rule makes usable; 0 where it says nothing about them.</summary>
    internal virtual double Positions => 0;

    /// <summary>Changes the unscaled frequencies in place.</summary>
    internal abstract void Apply(Span<float> frequencies, double theta, int size);

    /// <summary>YaRN's growth of attention with length: 0.1 · weight · ln(factor) + 1 (arXiv 2309.00071 §3.4).</summary>
    internal static double Mscale(double factor, double weight = 1) => factor <= 1 ? 1 : 0.1 * weight * Math.Log(factor) + 1;

    /// <summary>All frequencies are divided by the factor.</summary>
    /// <param name="Factor">Trained context times this is the context reached.</param>
    /// <param name="OriginalPositions">The trained context, in positions.</param>
    public sealed record Linear(double Factor, int OriginalPositions) : RopeScaling
    {
        /// <inheritdoc/>
        internal override double Positions => OriginalPositions * Factor;

        /// <inheritdoc/>
        internal override void Apply(Span<float> frequencies, double theta, int size)
        {
            foreach (ref float frequency in frequencies)
                frequency /= (float)Factor;
        }
    }

    /// <summary>
    /// YaRN (arXiv 2309.00071 §3.2): pairs that turn more than <see cref="BetaFast"/> times within the trained context keep their frequency,
    /// those that turn less than <see cref="BetaSlow"/> times are divided by the factor, and a ramp lies between.
    /// </summary>
    public sealed record Yarn : RopeScaling
    {
        /// <summary>Trained context times this is the context reached.</summary>
        public required double Factor { get; init; }

        /// <summary>The trained context, in positions.</summary>
        public required int OriginalPositions { get; init; }

        /// <summary>Turns from which on a pair keeps its frequency.</summary>
        public double BetaFast { get; init; } = 32;

        /// <summary>Turns below which a pair is interpolated.</summary>
        public double BetaSlow { get; init; } = 1;

        /// <summary>Whether the ramp's ends are rounded outwards to whole pairs.</summary>
        public bool Truncate { get; init; } = true;

        /// <summary>DeepSeek's weight of the attention factor; null: not given.</summary>
        public double? MscaleWeight { get; init; }

        /// <summary>DeepSeek's weight of the attention factor of all dimensions, which divides the other; null: not given.</summary>
        public double? MscaleAllDim { get; init; }

        /// <summary>The attention factor where it is given outright; null: it follows from the factor and the weights.</summary>
        public double? GivenAttentionFactor { get; init; }

        /// <inheritdoc/>
        internal override double Positions => OriginalPositions * Factor;

        /// <inheritdoc/>
        internal override double AttentionFactor => GivenAttentionFactor
            ?? (MscaleWeight is > 0 or < 0 && MscaleAllDim is > 0 or < 0
                ? Mscale(Factor, MscaleWeight!.Value) / Mscale(Factor, MscaleAllDim!.Value)
                : Mscale(Factor));

        /// <inheritdoc/>
        internal override void Apply(Span<float> frequencies, double theta, int size)
        {
            double low = PairThatTurns(BetaFast), high = PairThatTurns(BetaSlow);
            if (Truncate)
                (low, high) = (Math.Floor(low), Math.Ceiling(high));
            low = Math.Max(low, 0);
            high = Math.Min(high, size - 1);
            if (low == high)
                high += 0.001; // a ramp needs some width
            for (int i = 0; i < frequencies.Length; i++)
            {
                float keep = 1 - Math.Clamp((i - (float)low) / (float)(high - low), 0, 1);
                frequencies[i] = frequencies[i] / (float)Factor * (1 - keep) + frequencies[i] * keep;
            }

            double PairThatTurns(double turns) => size * Math.Log(OriginalPositions / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
        }
    }

    /// <summary>
    /// Llama 3.1's rule: wavelengths beyond trained context / <see cref="LowFrequencyFactor"/> are divided by the factor, those below
    /// trained context / <see cref="HighFrequencyFactor"/> kept, with a linear blend between.
    /// </summary>
    public sealed record Llama3 : RopeScaling
    {
        /// <summary>Trained context times this is the context reached.</summary>
        public required double Factor { get; init; }

        /// <summary>Turns within the trained context below which a pair is interpolated.</summary>
        public required double LowFrequencyFactor { get; init; }

        /// <summary>Turns within the trained context from which on a pair keeps its frequency.</summary>
        public required double HighFrequencyFactor { get; init; }

        /// <summary>The trained context, in positions.</summary>
        public required int OriginalPositions { get; init; }

        /// <inheritdoc/>
        internal override void Apply(Span<float> frequencies, double theta, int size)
        {
            foreach (ref float frequency in frequencies)
            {
                double turns = OriginalPositions * frequency / (2 * Math.PI);
                double keep = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
                frequency = (float)((1 - keep) * frequency / Factor + keep * frequency);
            }
        }
    }
}
