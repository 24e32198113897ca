using DualSparse.Models;

namespace DualSparse.Tests.Models.Configuration;

/// <summary>RoPE's frequencies against the papers' formulas in double precision; f32 powers are good to about 2⁻²² here.</summary>
public class RopeTests
{
    private const double Tolerance = 1e-6;

    [Theory]
    [InlineData(16, 1e4)]
    [InlineData(128, 1e6)]
    public void Unscaled(int size, double theta) =>
        Check(new RopeConfig { Theta = theta, Size = size }, (_, frequency) => frequency);

    [Fact]
    public void Linear() =>
        Check(new RopeConfig { Theta = 1e4, Size = 64, Scaling = new RopeScaling.Linear(4, 512) }, (_, frequency) => frequency / 4);

    [Theory]
    [InlineData(64, 1e4, 40, 4096, true)]
    [InlineData(64, 150000, 32, 4096, false)]
    [InlineData(8, 1e4, 40, 64, true)]
    [InlineData(8, 1e4, 4, 2, true)]
    public void Yarn(int size, double theta, double factor, int trained, bool truncate)
    {
        var scaling = new RopeScaling.Yarn { Factor = factor, OriginalPositions = trained, Truncate = truncate };
        double low = Pair(32), high = Pair(1);
        if (truncate)
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, size - 1));
        high += high == low ? 0.001 : 0;
        Check(new RopeConfig { Theta = theta, Size = size, Scaling = scaling }, (i, frequency) =>
        {
            double interpolated = Math.Clamp((i - low) / (high - low), 0, 1);
            return frequency * (1 - interpolated) + frequency / factor * interpolated;
        });

        double Pair(double turns) => size * Math.Log(trained / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    [Fact]
    public void Llama3()
    {
        var scaling = new RopeScaling.Llama3 { Factor = 8, LowFrequencyFactor = 1, HighFrequencyFactor = 4, OriginalPositions = 8192 };
        var seen = new HashSet<string>();
        Check(new RopeConfig { Theta = 5e5, Size = 128, Scaling = scaling }, (_, frequency) =>
        {
            double wavelength = 2 * Math.PI / frequency;
            seen.Add(wavelength < 8192 / 4.0 ? "kept" : wavelength > 8192 ? "divided" : "blended");
            if (wavelength < 8192 / 4.0)
                return frequency;
            if (wavelength > 8192)
                return frequency / 8;
            double keep = (8192 / wavelength - 1) / (4 - 1);
            return (1 - keep) * frequency / 8 + keep * frequency;
        });
        Assert.Equal(3, seen.Count);
    }

    [Fact]
    public void The_attention_factor_follows_from_what_is_given()
    {
        var yarn = new RopeScaling.Yarn { Factor = 40, OriginalPositions = 4096 };
        double mscale = 0.1 * Math.Log(40) + 1, half = 0.05 * Math.Log(40) + 1;
        Assert.Equal(mscale, yarn.AttentionFactor, 1e-9);
        Assert.Equal(1, (yarn with { MscaleWeight = 0.5, MscaleAllDim = 0.5 }).AttentionFactor, 1e-9);
        Assert.Equal(mscale / half, (yarn with { MscaleWeight = 1, MscaleAllDim = 0.5 }).AttentionFactor, 1e-9);
        Assert.Equal(mscale, (yarn with { MscaleWeight = 0.5 }).AttentionFactor, 1e-9);
        Assert.Equal(mscale, (yarn with { MscaleWeight = 0.5, MscaleAllDim = 0 }).AttentionFactor, 1e-9);
        Assert.Equal(1.25, (yarn with { GivenAttentionFactor = 1.25 }).AttentionFactor, 1e-9);
        Assert.Equal(1, (yarn with { Factor = 0.5 }).AttentionFactor, 1e-9);
    }

    private static void Check(RopeConfig rope, Func<int, double, double> expected)
    {
        var frequencies = rope.InverseFrequencies();
        Assert.Equal(rope.Size / 2, frequencies.Length);
        for (int i = 0; i < frequencies.Length; i++)
        {
            double wanted = expected(i, Math.Pow(rope.Theta, -2.0 * i / rope.Size));
            Assert.InRange(frequencies[i], wanted * (1 - Tolerance), wanted * (1 + Tolerance));
        }
    }
}
