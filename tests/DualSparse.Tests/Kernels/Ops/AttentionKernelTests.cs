using DualSparse.Kernels;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Kernels.Ops;

public abstract class AttentionKernelTests(bool wide)
{
    // query heads, key-value heads, key size, value size, window, positions, first query
    public static TheoryData<int, int, int, int, int?, int, int> Cases => new()
    {
        { 1, 1, 8, 8, null, 1, 0 },
        { 4, 4, 16, 16, null, 33, 0 },
        { 4, 2, 20, 24, null, 70, 0 },
        { 8, 2, 64, 64, null, 130, 97 },
        { 14, 2, 64, 64, null, 300, 299 },
        { 5, 1, 12, 40, null, 140, 0 },
        { 2, 2, 192, 128, null, 200, 150 },
        { 16, 1, 96, 64, null, 700, 698 },
        { 4, 2, 32, 32, 10, 150, 0 },
        { 4, 2, 32, 32, 64, 600, 590 },
        { 2, 1, 16, 16, 300, 900, 0 },
        { 3, 3, 16, 16, 1, 80, 0 },
        { 1, 1, 128, 128, null, 1500, 1499 },
        { 16, 1, 576, 512, null, 300, 297 },
        { 6, 2, 21, 5, null, 140, 100 },
        { 5, 1, 72, 50, 30, 300, 200 },
        { 1, 1, 64, 64, null, 400, 130 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_its_definition(int heads, int shared, int keySize, int valueSize, int? window, int positions, int first)
    {
        var shape = new AttentionShape(heads, new KvLayout(shared, keySize, valueSize, WeightFormat.F32), 1 / MathF.Sqrt(keySize), window);
        // Scores of size 4 carry a rounding for each of their products, about √n of them adding up; values are of size 4.
        // Beside what is collected, whose size is what the values' random signs leave of them, that is 1e-5 at most.
        Agrees(shape, positions, first, 4 * 4 * (Math.Sqrt(keySize) + 4) / (1 << 24), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_its_definition_to_the_rounding_of_bf16(int heads, int shared, int keySize, int valueSize, int? window, int positions, int first)
    {
        var shape = new AttentionShape(heads, new KvLayout(shared, keySize, valueSize, WeightFormat.Bf16), 1 / MathF.Sqrt(keySize), window);
        // Of a score's products each carries a rounding of 2⁻⁹ from its query, √n of size 1/√n adding up; a weight carries another; values are of size 4.
        // On the average a rounding to bf16 is 0.6 · 2⁻⁹, and a weight carries two of this size: 1.6e-3 of what is collected; twice that,
        // where a scale that is wrong by 1 % would show as 1e-2.
        Agrees(shape, positions, first, 4 * 4 * 2.0 / (1 << 9), 3.2e-3);
    }

    [Theory]
    [InlineData(2, 8, 8, 1)]
    [InlineData(3, 12, 20, 31)]
    [InlineData(4, 72, 72, 140)]
    [InlineData(16, 24, 24, 700)]
    public void Without_causality_every_query_sees_all(int heads, int keySize, int valueSize, int positions)
    {
        var shape = new AttentionShape(heads, new KvLayout(heads, keySize, valueSize, WeightFormat.F32), 1 / MathF.Sqrt(keySize), Causal: false);
        Agrees(shape, positions, 0, 4 * 4 * (Math.Sqrt(keySize) + 4) / (1 << 24), 1e-5);
        var narrow = shape with { Cache = shape.Cache with { Format = WeightFormat.Bf16 } };
        Agrees(narrow, positions, 0, 4 * 4 * 2.0 / (1 << 9), 3.2e-3);
    }

    private void Agrees(AttentionShape shape, int positions, int first, double tolerance, double relative)
    {
        using var team = new ThreadTeam(2);
        using var sample = new AttentionCase(shape, positions, positions);
        var actual = sample.Kernel(wide, team, first, positions - first);
        var expected = sample.Reference(first, positions - first);
        double error = 0, norm = 0;
        for (int i = 0; i < actual.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], tolerance);
            error += Math.Pow(actual[i] - expected[i], 2);
            norm += expected[i] * expected[i];
        }

        Assert.InRange(Math.Sqrt(error / norm), 0, relative);
    }

    [Theory]
    [InlineData(null, WeightFormat.F32)]
    [InlineData(100, WeightFormat.F32)]
    [InlineData(null, WeightFormat.Bf16)]
    [InlineData(100, WeightFormat.Bf16)]
    public void Results_are_batch_invariant_in_any_chunks_and_on_any_threads(int? window, WeightFormat format)
    {
        var shape = new AttentionShape(6, new KvLayout(2, 24, 40, format), 0.25f, window);
        const int positions = 620;
        using var one = new ThreadTeam(1);
        using var three = new ThreadTeam(3);
        using var sample = new AttentionCase(shape, positions, 1);
        using var other = new AttentionCase(shape, positions, 2);
        var whole = sample.Kernel(wide, one, 0, positions);
        foreach (int chunk in new[] { 1, 7, 64, 311 })
        {
            for (int first = 0; first < positions; first += chunk)
            {
                int count = Math.Min(chunk, positions - first);
                Assert.Equal(whole.AsSpan(first * sample.OutputWidth, count * sample.OutputWidth).ToArray(), sample.Kernel(wide, three, first, count));
            }
        }

        float[] beside = new float[50 * sample.OutputWidth], last = new float[sample.OutputWidth];
        AttentionCase.Kernel(wide, three, [(other, 0, 50, beside), (sample, positions - 1, 1, last)]);
        Assert.Equal(whole.AsSpan((positions - 1) * sample.OutputWidth).ToArray(), last);
        Assert.Equal(other.Kernel(wide, one, 0, 50), beside);
    }

    [Theory]
    [InlineData(WeightFormat.F32)]
    [InlineData(WeightFormat.Bf16)]
    public void Has_room_for_whole_tiles(WeightFormat format)
    {
        var shape = new AttentionShape(6, new KvLayout(2, 24, 40, format), 0.25f);
        using var team = new ThreadTeam(2);
        using var sample = new AttentionCase(shape, 300, 5);
        foreach (int first in new[] { 0, 150, 299 })
            Assert.Equal(sample.Kernel(wide, team, first, 300 - first), sample.Kernel(wide, team, first, 300 - first, SpoilingKernel.All));
    }

    [Fact]
    public void A_NaN_is_seen_by_its_own_row_and_head_only()
    {
        var shape = new AttentionShape(2, new KvLayout(1, 8, 8, WeightFormat.F32), 1);
        using var team = new ThreadTeam(1);
        using var sample = new AttentionCase(shape, 400, 3);
        sample.Queries[(390 * 2 + 1) * 8] = float.NaN;
        var output = sample.Kernel(wide, team, 380, 20);
        for (int i = 0; i < output.Length; i++)
            Assert.Equal(i / 8 == 10 * 2 + 1, float.IsNaN(output[i]));
    }
}

public class PortableAttentionTests() : AttentionKernelTests(wide: false);

// On machines without AVX-512 the runtime does it in halves: slow, and as correct.
public class WideAttentionTests() : AttentionKernelTests(wide: true);
