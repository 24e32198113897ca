using DualSparse.Benchmarking;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Moe.Balance;

/// <summary>NVFP4 and MXFP4 to the bit of another implementation's: tests/golden/fp4.</summary>
public class Fp4Tests
{
    private const int Rows = 64, Columns = 256;

    [Fact]
    public void Nvfp4_is_that_of_another_implementation_to_the_bit()
    {
        using var golden = SafetensorsFile.Open(Path.Combine(TestPaths.Golden("fp4"), "fp4.safetensors"));
        float[] x = golden.Get("x").ReadFloats(), expected = golden.Get("nvfp4_dequantised").ReadFloats();
        float scale = golden.Get("nvfp4_global_scale").ReadFloats()[0];
        byte[] codes = golden.Get("nvfp4_codes").Bytes.ToArray(), scales = golden.Get("nvfp4_block_scale_e4m3").Bytes.ToArray();
        Assert.Equal(scale, Fp4.NvScale(x.Max(Math.Abs)));
        for (int block = 0; block < x.Length / Fp4.NvBlock; block++)
        {
            var values = x.AsSpan(block * Fp4.NvBlock, Fp4.NvBlock);
            float sc = Fp4.BlockScale(values, scale);
            Assert.Equal(E4M3(scales[block]), sc);
            for (int i = 0; i < values.Length; i++)
                Assert.Equal(Nibble(codes, block * Fp4.NvBlock + i), Fp4.Code(values[i] / (sc * scale)));
        }

        Fp4.RoundNv(x, scale);
        Assert.Equal(expected.Select(BitConverter.SingleToUInt32Bits), x.Select(BitConverter.SingleToUInt32Bits));
    }

    [Fact]
    public void Mxfp4_is_that_of_another_implementation_to_the_bit()
    {
        using var golden = SafetensorsFile.Open(Path.Combine(TestPaths.Golden("fp4"), "fp4.safetensors"));
        float[] x = golden.Get("x").ReadFloats(), expected = golden.Get("mxfp4_dequantised").ReadFloats();
        byte[] codes = golden.Get("mxfp4_codes").Bytes.ToArray(), scales = golden.Get("mxfp4_scale_e8m0").Bytes.ToArray();
        for (int block = 0; block < x.Length / Fp4.MxBlock; block++)
        {
            var values = x.AsSpan(block * Fp4.MxBlock, Fp4.MxBlock);
            float scale = Fp4.MxScale(values);
            Assert.Equal(MathF.ScaleB(1, scales[block] - 127), scale);
            for (int i = 0; i < values.Length; i++)
                Assert.Equal(Nibble(codes, block * Fp4.MxBlock + i), Fp4.Code(values[i] / scale));
        }

        Fp4.RoundMx(x);
        Assert.Equal(expected.Select(BitConverter.SingleToUInt32Bits), x.Select(BitConverter.SingleToUInt32Bits));
    }

    // Ties, what is beyond the largest, zeros with a sign, and blocks that are no whole vectors.
    [Fact]
    public void Many_values_are_rounded_as_one_is()
    {
        float[] x = [.. Enumerable.Range(-150, 301).Select(i => i / 16f), -0f, 0f, float.Epsilon, -float.Epsilon, 448 * 6];
        float[] rounded = [.. x];
        Fp4.RoundNv(rounded, 1);
        for (int i = 0; i < x.Length; i++)
        {
            float sc = Fp4.BlockScale(x.AsSpan(i / Fp4.NvBlock * Fp4.NvBlock, Math.Min(Fp4.NvBlock, x.Length - i / Fp4.NvBlock * Fp4.NvBlock)), 1);
            Assert.Equal(BitConverter.SingleToUInt32Bits(Fp4.Value(Fp4.Code(x[i] / sc)) * sc), BitConverter.SingleToUInt32Bits(rounded[i]));
        }
    }

    [Fact]
    public void Zeros_stay_zeros()
    {
        float[] zeros = new float[Columns];
        Fp4.RoundNv(zeros, Fp4.NvScale(0));
        Fp4.RoundMx(zeros);
        Assert.All(zeros, x => Assert.Equal(0, x));
    }

    // The columns of panels, and of gate and up those of each.
    [Theory]
    [InlineData(nameof(LowFormat.NvFp4))]
    [InlineData(nameof(LowFormat.MxFp4))]
    public unsafe void Experts_are_rounded_projection_by_projection(string format)
    {
        var low = Enum.Parse<LowFormat>(format);
        using var team = new ThreadTeam(1);
        using var work = new Workspace(team, KernelSet.Best());
        using var source = RandomExperts.Make(WeightFormat.Bf16, 2, 64, 128, seed: 3);
        source.MeasureOutputs(team);
        using var made = new LowExperts();
        made.Convert(work, source, [1], [true], low);
        float[][] before = [.. Enumerable.Range(0, 256).Select(o => Output(source.GateUp(1), o))];
        float gate = Largest(isUp: false), up = Largest(isUp: true);
        for (int output = 0; output < before.Length; output++)
        {
            float[] expected = [.. before[output]];
            if (low == LowFormat.NvFp4)
                Fp4.RoundNv(expected, Fp4.NvScale(source.Neurons.NeuronOfOutput(output).IsUp ? up : gate));
            else
                Fp4.RoundMx(expected);
            Assert.Equal(expected, Output(made.Experts.GateUp(0), output));
        }

        float Largest(bool isUp) => Enumerable.Range(0, before.Length).Where(o => source.Neurons.NeuronOfOutput(o).IsUp == isUp).Max(o => before[o].Max(Math.Abs));
    }

    private static unsafe float[] Output(PackedMatrix matrix, int output)
    {
        float[] panel = new float[matrix.Inputs * PanelLayout.Columns];
        fixed (float* steps = panel)
            PanelConvert.Run(matrix.Format, matrix.Panel(output / PanelLayout.Columns), WeightFormat.F32, (byte*)steps, matrix.Inputs);
        return [.. Enumerable.Range(0, matrix.Inputs).Select(i => panel[i * PanelLayout.Columns + output % PanelLayout.Columns])];
    }

    private static int Nibble(byte[] codes, int index) => index % 2 == 0 ? codes[index / 2] & 15 : codes[index / 2] >> 4;

    private static float E4M3(byte code) => (code >> 3 & 15) == 0 ? MathF.ScaleB(code & 7, -9) : MathF.ScaleB(1 + (code & 7) / 8f, (code >> 3 & 15) - 7);
}
