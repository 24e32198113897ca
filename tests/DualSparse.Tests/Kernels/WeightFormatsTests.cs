using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

public class WeightFormatsTests
{
    [Fact]
    public void Every_format_has_one_line_in_order() =>
        Assert.Equal(Enum.GetValues<WeightFormat>(), WeightFormats.All.Select(f => f.Format));

    [Fact]
    public void Names_are_found_and_others_are_not()
    {
        Assert.All(WeightFormats.All, f => Assert.Equal(f.Format, WeightFormats.Named(f.Name)));
        Assert.Null(WeightFormats.Named("fp8"));
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightFormats.Of((WeightFormat)4));
        Assert.Throws<ArgumentOutOfRangeException>(() => WeightFormats.Of((WeightFormat)(-1)));
    }

    // The kernels have these numbers as constants.
    [Theory]
    [InlineData(WeightFormat.F32, 0, 64 * PanelLayout.StepBytes)]
    [InlineData(WeightFormat.Bf16, 0, 32 * PanelLayout.StepBytes)]
    [InlineData(WeightFormat.Int8, PanelLayout.Int8HeaderBytes, 16 * PanelLayout.StepBytes)]
    [InlineData(WeightFormat.Int4, 0, 2 * PanelLayout.GroupBytes)]
    public void Panels_have_the_layouts_sizes(WeightFormat format, int header, int sixtyFourInputs)
    {
        var entry = WeightFormats.Of(format);
        Assert.Equal(header, entry.HeaderBytes);
        for (int blocks = 0; blocks < 20; blocks++)
            Assert.Equal(header + blocks * sixtyFourInputs, PanelLayout.PanelBytes(format, 64 * blocks));
        Assert.Equal(PanelLayout.StepBytes, PanelLayout.Columns * entry.StepInputs * entry.Bits / 8);
    }
}
