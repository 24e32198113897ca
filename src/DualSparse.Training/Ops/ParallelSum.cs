using System.Numerics.Tensors;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>Sums of long vectors by all threads: each element is added in the order of the parts, so the threads' number changes no bit.</summary>
internal static unsafe class ParallelSum
{
    // Sum and part stay in L2 together.
    private const int Together = 1 << 14;

    /// <summary>sum += each part, one after another.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="sum">[length] f32.</param>
    /// <param name="length">Elements.</param>
    /// <param name="parts">Addresses of [length] f32.</param>
    public static void Add(ThreadTeam team, float* sum, long length, params nint[] parts) => For(team, length, (first, count) =>
    {
        var to = new Span<float>(sum + first, count);
        foreach (nint part in parts)
            TensorPrimitives.Add(to, new ReadOnlySpan<float>((float*)part + first, count), to);
    });

    /// <summary>Sets all elements to 0.</summary>
    public static void Clear(ThreadTeam team, float* values, long length) => For(team, length, (first, count) => new Span<float>(values + first, count).Clear());

    private static void For(ThreadTeam team, long length, Action<long, int> piece) => team.For(checked((int)((length + Together - 1) / Together)), (item, _) =>
    {
        long first = (long)item * Together;
        piece(first, (int)Math.Min(Together, length - first));
    });
}
