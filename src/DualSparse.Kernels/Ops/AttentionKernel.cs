using System.Numerics;
using System.Runtime.Intrinsics;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Ops;

/// <summary>
/// Attention with a blocked softmax: output = softmax(scale · q·Kᵀ)·V over the positions that each query sees, those up to its own or all. The two products are
/// the panel kernel's of the cache's format, f32 or bf16 (queries and weights rounded to it); scores, softmax and sums are f32.
/// </summary>
/// <remarks>
/// A query's keys are taken in spans of 256 from position 0, each span in blocks of 128, and the spans' sums are merged in order. So
/// results are batch-invariant: the same to the bit however a prompt is cut into calls, whatever else is in the batch, and on any number of
/// threads. They may differ between machines with vectors of other widths. A NaN in a query, or in a key or value that it sees, gives NaN.
/// </remarks>
internal static unsafe class AttentionKernel
{
    // Rows of queries that share one reading of keys and values; their sums stay in the second-level cache.
    private const int RowBlock = 96;
    private const int SpanKeys = 256;

    // With fewer items than this a thread, a segment's spans become items of their own.
    private const int ItemsPerThread = 8;

    /// <summary>Computes attention.</summary>
    /// <param name="work">Threads, kernels, scratch.</param>
    /// <param name="shape">What is common to the segments.</param>
    /// <param name="segments">Sequences with their queries; all keys and values have been written.</param>
    public static void Forward(Workspace work, AttentionShape shape, AttentionSegment[] segments)
    {
        if (Vector512.IsHardwareAccelerated)
            Forward<WideSimd, Vector512<float>>(work, shape, segments);
        else
            Forward<PortableSimd, Vector<float>>(work, shape, segments);
    }

    /// <summary>Computes attention, with softmax in vectors of one width.</summary>
    internal static void Forward<TSimd, TVector>(Workspace work, AttentionShape shape, AttentionSegment[] segments)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        var (team, kernel) = (work.Team, work.Kernels[shape.Cache.Format]);
        var plan = AttentionPlan.Make(shape, segments, RowBlock, SpanKeys, ItemsPerThread * team.Size);
        int stride = shape.Cache.ValuePanels * PanelLayout.Columns;
        nint stateFloats = AttentionState.Floats(plan.RowBlock, stride);
        nint workerFloats = AttentionBlock<TSimd, TVector>.Scratch(shape, plan.RowBlock) + 2 * stateFloats;
        float* memory = work.Attention.Floats(team.Size * workerFloats + plan.PartialCount * stateFloats);
        float* partials = memory + team.Size * workerFloats;
        team.For(plan.Items.Length, (index, worker) =>
        {
            ref readonly var item = ref plan.Items[index];
            ref readonly var segment = ref segments[item.Segment];
            float* mine = memory + worker * workerFloats;
            var total = new AttentionState(item.Partial < 0 ? mine : partials + item.Partial * stateFloats, item.Rows, stride);
            var span = new AttentionState(mine + stateFloats, item.Rows, stride);
            var block = new AttentionBlock<TSimd, TVector>(kernel, shape, segment, item.Head, item.FirstRow, item.Rows, mine + 2 * stateFloats);
            total.Clear();
            block.Attend(item.From, Math.Min(item.To, item.From + SpanKeys), total);
            for (int from = item.From + SpanKeys; from < item.To; from += SpanKeys)
            {
                span.Clear();
                block.Attend(from, Math.Min(item.To, from + SpanKeys), span);
                total.Merge(span);
            }

            if (item.Partial < 0)
                Write(shape, segment, item, total);
        });
        team.For(plan.Merges.Length, (index, _) =>
        {
            ref readonly var item = ref plan.Merges[index];
            var total = new AttentionState(partials + item.Partial * stateFloats, item.Rows, stride);
            for (int i = 1; i < (item.To - item.From + SpanKeys - 1) / SpanKeys; i++)
                total.Merge(new AttentionState(partials + (item.Partial + i) * stateFloats, item.Rows, stride));
            Write(shape, segments[item.Segment], item, total);
        });
    }

    private static void Write(in AttentionShape shape, in AttentionSegment segment, in AttentionItem item, AttentionState state)
    {
        int size = shape.Cache.ValueSize;
        for (int r = 0; r < item.Rows; r++)
        {
            int row = item.FirstRow + r;
            float* output = segment.Output + row / shape.Group * segment.OutputStride + (item.Head * shape.Group + row % shape.Group) * (nint)size;
            state.Divide(r, new Span<float>(output, size));
        }
    }
}
