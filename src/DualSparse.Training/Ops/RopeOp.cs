using DualSparse.Kernels.Ops;
using DualSparse.Kernels.Threading;

namespace DualSparse.Training.Ops;

/// <summary>Rotary position embedding of the heads of windows that each begin at position 0.</summary>
internal static unsafe class RopeOp
{
    // Tokens that one thread does at a time: tens of microseconds.
    private const int TokensPerItem = 64;

    /// <summary>Rotates every head in place, to the bits of the engine's <see cref="Rope"/>.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="rope">Angles and layout.</param>
    /// <param name="x">[windows · length, heads, head size], changed.</param>
    /// <param name="windows">Windows.</param>
    /// <param name="length">Tokens of each: token t has position t mod length.</param>
    /// <param name="heads">Heads that are rotated.</param>
    /// <param name="headSize">Values of a head, at least <see cref="Rope.Size"/>.</param>
    public static void Forward(ThreadTeam team, Rope rope, HeadRows x, int windows, int length, int heads, int headSize)
    {
        rope.Prepare(length);
        team.For((windows * length + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            for (int t = item * TokensPerItem; t < Math.Min(windows * length, (item + 1) * TokensPerItem); t++)
            {
                for (int h = 0; h < heads; h++)
                    rope.Rotate(new Span<float>(x.At(t, h), headSize), t % length);
            }
        });
    }

    /// <summary>From the gradient of what came out to that of what went in, in place: the rotation's transpose.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="rope">Angles and layout.</param>
    /// <param name="dx">[windows · length, heads, head size], changed.</param>
    /// <param name="windows">Windows.</param>
    /// <param name="length">Tokens of each.</param>
    /// <param name="heads">Heads that were rotated.</param>
    /// <param name="headSize">Values of a head.</param>
    public static void Backward(ThreadTeam team, Rope rope, HeadRows dx, int windows, int length, int heads, int headSize)
    {
        rope.Prepare(length);
        team.For((windows * length + TokensPerItem - 1) / TokensPerItem, (item, _) =>
        {
            for (int t = item * TokensPerItem; t < Math.Min(windows * length, (item + 1) * TokensPerItem); t++)
            {
                for (int h = 0; h < heads; h++)
                    rope.RotateTransposed(new Span<float>(dx.At(t, h), headSize), t % length);
            }
        });
    }
}
