using DualSparse.Training.Optimisation;

namespace DualSparse.Tests.Training.Optimisation;

public unsafe class GradientNormTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(13)]
    [InlineData(200_003)]
    public void Norm_is_the_root_of_the_sum_of_squares(int length)
    {
        var gradients = FloatBlock.Random(length, 1);
        double norm = 0;
        GradientCheck.WithAnyThreads(team =>
        {
            norm = GradientNorm.Of(team, gradients.Pointer, length);
            // Both halves of its bits.
            long bits = BitConverter.DoubleToInt64Bits(norm);
            return [BitConverter.Int32BitsToSingle((int)bits), BitConverter.Int32BitsToSingle((int)(bits >> 32))];
        });
        double expected = Math.Sqrt(gradients.Values.Sum(g => (double)g * g));
        Assert.Equal(expected, norm, 1e-12 * expected);
    }

    [Fact]
    public void Clipping_only_shrinks()
    {
        Assert.Equal(1, GradientNorm.ClippingFactor(0, 1));
        Assert.Equal(1, GradientNorm.ClippingFactor(0.9, 1));
        Assert.Equal(2 / (5 + 1e-6), GradientNorm.ClippingFactor(5, 2));
        Assert.Equal(1, GradientNorm.ClippingFactor(5, double.PositiveInfinity));
        Assert.True(double.IsNaN(GradientNorm.ClippingFactor(double.NaN, 1)));
    }
}
