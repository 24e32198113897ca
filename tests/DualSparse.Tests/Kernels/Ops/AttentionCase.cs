using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Kernels.Ops;

/// <summary>One sequence with random queries, keys and values; attention by the kernel, and by its definition in double.</summary>
internal sealed unsafe class AttentionCase : IDisposable
{
    private readonly AttentionShape shape;
    private readonly int positions;
    private readonly float[] keys;
    private readonly float[] values;
    private readonly List<AlignedBuffer> pages = [];

    public AttentionCase(AttentionShape shape, int positions, int seed)
    {
        this.shape = shape;
        this.positions = positions;
        var random = new Random(seed);
        var cache = shape.Cache;
        Queries = Normal(random, positions * shape.Heads * cache.KeySize);
        keys = Normal(random, positions * cache.Heads * cache.KeySize);
        values = Normal(random, positions * cache.Heads * cache.ValueSize);
        if (cache.Format == WeightFormat.Bf16)
        {
            // Numbers that the cache holds exactly: what is left of rounding are the scaled queries and the weights.
            foreach (ref float value in keys.AsSpan())
                value = Bf16.ToSingle(Bf16.FromSingle(value));
            foreach (ref float value in values.AsSpan())
                value = Bf16.ToSingle(Bf16.FromSingle(value));
        }

        for (int p = 0; p < positions; p++)
        {
            if (p % KvLayout.PageKeys == 0)
            {
                pages.Add(new AlignedBuffer(cache.PageBytes));
                pages[^1].AsSpan<byte>().Fill(0xFF);
                cache.Clear(pages[^1].Pointer, positions - p);
            }

            for (int h = 0; h < cache.Heads; h++)
            {
                int row = p * cache.Heads + h;
                cache.Write(
                    pages[^1].Pointer, p % KvLayout.PageKeys, h,
                    keys.AsSpan(row * cache.KeySize, cache.KeySize), values.AsSpan(row * cache.ValueSize, cache.ValueSize));
            }
        }
    }

    public float[] Queries { get; }

    public int OutputWidth => shape.Heads * shape.Cache.ValueSize;

    /// <summary>The kernel's output for positions first…first+count−1: [count, heads · value size].</summary>
    public float[] Kernel(bool wide, ThreadTeam team, int first, int count, KernelSet? kernels = null)
    {
        var output = new float[count * OutputWidth];
        Kernel(wide, team, [(this, first, count, output)], kernels);
        return output;
    }

    public static void Kernel(bool wide, ThreadTeam team, (AttentionCase Case, int First, int Count, float[] Output)[] parts, KernelSet? kernels = null)
    {
        using var work = new Workspace(team, kernels ?? KernelSet.Best());
        var pins = new List<PinnedPart>();
        try
        {
            foreach (var (part, first, count, output) in parts)
                pins.Add(new PinnedPart(part, first, count, output));
            AttentionSegment[] segments = [.. pins.Select(p => p.Segment)];
            if (wide)
                AttentionKernel.Forward<WideSimd, Vector512<float>>(work, parts[0].Case.shape, segments);
            else
                AttentionKernel.Forward<PortableSimd, Vector<float>>(work, parts[0].Case.shape, segments);
        }
        finally
        {
            pins.ForEach(p => p.Dispose());
        }
    }

    /// <summary>The definition, in double.</summary>
    public double[] Reference(int first, int count)
    {
        var cache = shape.Cache;
        var output = new double[count * OutputWidth];
        for (int i = 0; i < count; i++)
        {
            int position = first + i, from = Math.Max(0, position + 1 - (shape.Window ?? int.MaxValue)), last = shape.Causal ? position : first + count - 1;
            for (int h = 0; h < shape.Heads; h++)
            {
                int shared = h / shape.Group;
                var weights = new double[last + 1];
                for (int j = from; j <= last; j++)
                {
                    for (int d = 0; d < cache.KeySize; d++)
                    {
                        weights[j] += (double)Queries[(position * shape.Heads + h) * cache.KeySize + d]
                            * keys[(j * cache.Heads + shared) * cache.KeySize + d];
                    }

                    weights[j] *= shape.Scale;
                }

                double largest = weights[from..].Max(), sum = 0;
                for (int j = from; j <= last; j++)
                    sum += weights[j] = Math.Exp(weights[j] - largest);
                for (int j = from; j <= last; j++)
                {
                    for (int d = 0; d < cache.ValueSize; d++)
                    {
                        output[i * OutputWidth + h * cache.ValueSize + d] +=
                            weights[j] / sum * values[(j * cache.Heads + shared) * cache.ValueSize + d];
                    }
                }
            }
        }

        return output;
    }

    public void Dispose() => pages.ForEach(p => p.Dispose());

    private static float[] Normal(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    private sealed class PinnedPart : IDisposable
    {
        private readonly AlignedBuffer table;
        private GCHandle queries;
        private GCHandle output;

        public PinnedPart(AttentionCase part, int first, int count, float[] target)
        {
            table = new AlignedBuffer((nuint)(part.pages.Count * sizeof(byte*)));
            var pages = (byte**)table.Pointer;
            for (int i = 0; i < part.pages.Count; i++)
                pages[i] = part.pages[i].Pointer;
            queries = GCHandle.Alloc(part.Queries, GCHandleType.Pinned);
            output = GCHandle.Alloc(target, GCHandleType.Pinned);
            int width = part.shape.Heads * part.shape.Cache.KeySize;
            Segment = new AttentionSegment
            {
                Queries = (float*)queries.AddrOfPinnedObject() + first * (nint)width,
                QueryStride = width,
                Output = (float*)output.AddrOfPinnedObject(),
                OutputStride = part.OutputWidth,
                Pages = pages,
                First = first,
                Count = count,
            };
        }

        public AttentionSegment Segment { get; }

        public void Dispose()
        {
            queries.Free();
            output.Free();
            table.Dispose();
        }
    }
}
