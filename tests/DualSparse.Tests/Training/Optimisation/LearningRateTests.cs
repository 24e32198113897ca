using DualSparse.Training.Optimisation;

namespace DualSparse.Tests.Training.Optimisation;

public class LearningRateTests
{
    [Fact]
    public void Warm_up_rises_to_the_peak()
    {
        var rate = new LearningRate { Peak = 8, Steps = 100, WarmUp = 4 };
        Assert.Equal([2.0, 4, 6, 8, 8], Enumerable.Range(0, 5).Select(s => rate.At(s)));
    }

    [Fact]
    public void Cosine_and_line_fall_from_where_the_warm_up_ends_to_the_floor()
    {
        var cosine = new LearningRate { Peak = 2, Steps = 110, WarmUp = 10, Floor = 0.1 };
        var line = cosine with { Decay = RateDecay.Linear };
        Assert.Equal(2, cosine.At(10));
        Assert.Equal(0.2 + 1.8 * (1 + Math.Sqrt(0.5)) / 2, cosine.At(35), 1e-12);
        Assert.Equal(1.1, cosine.At(60), 1e-12);
        Assert.Equal(0.2 + 1.8 * 0.75, line.At(35), 1e-12);
        Assert.Equal(0.2, line.At(110), 1e-12);
        Assert.Equal(0.2, cosine.At(1000), 1e-12);
    }

    [Fact]
    public void Decay_may_begin_late_or_not_at_all()
    {
        var rate = new LearningRate { Peak = 1, Steps = 100, WarmUp = 5, Decay = RateDecay.Linear, DecayFrom = 0.8 };
        Assert.Equal(1, rate.At(80));
        Assert.Equal(0.5, rate.At(90), 1e-12);
        Assert.Equal(1, (rate with { DecayFrom = 1 }).At(99));
        Assert.Equal(1, (rate with { Decay = RateDecay.Constant }).At(1000));
        Assert.Equal(0, (rate with { WarmUp = 100 }).At(100));
    }
}
