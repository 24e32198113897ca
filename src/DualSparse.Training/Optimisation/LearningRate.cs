namespace DualSparse.Training.Optimisation;

/// <summary>How a learning rate falls after its warm-up.</summary>
public enum RateDecay
{
    /// <summary>It doesn't.</summary>
    Constant,

    /// <summary>By half a period of a cosine.</summary>
    Cosine,

    /// <summary>Along a line.</summary>
    Linear,
}

/// <summary>The learning rate of each step of a run: it rises along a line, stays, and falls to a floor that it reaches at the run's end.</summary>
internal sealed record LearningRate
{
    /// <summary>The highest rate.</summary>
    public required double Peak { get; init; }

    /// <summary>Steps of the run.</summary>
    public required long Steps { get; init; }

    /// <summary>Steps of the warm-up; its last has the peak.</summary>
    public long WarmUp { get; init; }

    /// <summary>How it falls.</summary>
    public RateDecay Decay { get; init; } = RateDecay.Cosine;

    /// <summary>The share of the run, 0 to 1, before which it stays at the peak.</summary>
    public double DecayFrom { get; init; }

    /// <summary>The floor as a share of the peak.</summary>
    public double Floor { get; init; }

    /// <summary>The rate of a step, from 0; past the run's end that of its end.</summary>
    public double At(long step)
    {
        if (step < WarmUp)
            return Peak * (step + 1) / WarmUp;
        double begin = Math.Max(WarmUp, DecayFrom * Steps);
        double way = step >= Steps ? 1 : Math.Max(0, (step - begin) / (Steps - begin));
        double share = Decay switch
        {
            RateDecay.Cosine => (1 + Math.Cos(Math.PI * way)) / 2,
            RateDecay.Linear => 1 - way,
            _ => 1,
        };
        return Peak * (Floor + (1 - Floor) * share);
    }
}
