using DualSparse.Kernels;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Kernels;

public unsafe class PackedSetTests
{
    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Matrices_lie_one_after_another_and_fill_the_block(WeightFormat format)
    {
        (int, int)[] shapes = [(70, 100), (32, 64), (1, 1)];
        using var set = new PackedSet(format, 3, shapes);
        Assert.Equal(9, set.Matrices.Count);
        byte* next = set.Matrices[0].Panel(0);
        for (int i = 0; i < 9; i++)
        {
            var matrix = set.Matrices[i];
            var (outputs, inputs) = shapes[i % 3];
            Assert.Equal((format, outputs, PanelLayout.PadInputs(inputs)), (matrix.Format, matrix.Outputs, matrix.Inputs));
            Assert.True(matrix.Panel(0) == next);
            Assert.Equal(0, (nint)next % 64);
            next += matrix.Bytes;
        }

        Assert.Equal(set.Bytes, (nuint)(next - set.Matrices[0].Panel(0)));
        Assert.Equal(set.Bytes, 3 * PackedSet.SizeBytes(format, shapes));
    }

    [Fact]
    public void Freed_weights_are_gone()
    {
        var set = new PackedSet(WeightFormat.F32, 1, (32, 64));
        set.Dispose();
        Assert.Throws<ObjectDisposedException>(() => { set.Matrices[0].Panel(0); });
    }
}
